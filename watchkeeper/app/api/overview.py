"""The Overview page: the eight signals of SR-001, live, and what needs a person."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request

from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.api.signal import DERIVED, Signal, draw
from watchkeeper.app.engine import Engine
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.promql import RangeMatrix, Vector

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: How far the sparklines look back, and how finely.
SPAN, STEP = timedelta(hours=1), timedelta(seconds=15)
#: An answer this young is given again: many open pages cost as much as one.
FRESH = timedelta(seconds=1)


SIGNALS = (
    Signal("cpu_usage", "max", "ratio", "host_or_node_exporter"),
    Signal("memory_usage", "max", "ratio", "host_or_node_exporter"),
    Signal("disk_io", "sum", "bytes_per_second", "host_or_node_exporter"),
    Signal("network_io", "sum", "bytes_per_second", "host_or_node_exporter"),
    Signal("database_connections", "sum", "count", "mysql_or_postgres"),
    Signal("cache_hit_rate", "min", "ratio", "redis_exporter"),
    Signal("api_response_times", "max", "seconds", "http_metrics_or_probe"),
    Signal("error_rates", "max", "ratio", "http_metrics_or_probe"),
)


class Cache:
    """The last overview, for as long as it is fresh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: datetime | None = None
        self._body: dict[str, Any] = {}

    def get(self, engine: Engine) -> dict[str, Any]:
        with self._lock:
            now = engine.clock.now()
            if self._at is None or not timedelta(0) <= now - self._at < FRESH:
                self._body, self._at = overview(engine, now), now
            return self._body


@router.get("/overview")
def show(request: Request) -> dict[str, Any]:
    cache: Cache = request.app.state.overview
    return cache.get(request.app.state.engine)


def overview(engine: Engine, now: datetime) -> dict[str, Any]:
    with engine.state.read() as unit:
        open_incidents = unit.incidents.open()
        waiting = [row for row in unit.actions.active() if row.state == "awaiting_approval"]
        forecasts = unit.documents.forecasts()
        rows = [
            shapes.incident(row, alerts=len(row.alert_ids), actions=unit.actions.count_of_incident(row.id))
            for row in open_incidents
        ]
    sources = list(engine.sources.values())
    learning = engine.threads["score"].submit(engine.scoring.learning).result()
    return {
        "now": shapes.moment(now),
        "signals": [{**tile(engine, signal, now, forecasts), "learning": signal.key in learning} for signal in SIGNALS],
        "incidents": rows,
        "warnings": warnings(forecasts, now),
        "actions_waiting": len(waiting),
        "kill_switch": engine.kill_switch(),
        "collectors": {
            "total": len(sources),
            "healthy": sum(source.state == "up" for source in sources),
            "failing": sum(source.state == "failing" for source in sources),
        },
        "unknown_rules": engine.judging.unknown_count(),
    }


def tile(engine: Engine, signal: Signal, now: datetime, forecasts: dict[str, Any]) -> dict[str, Any]:
    """One signal: value, age, band, score, sparkline and forecast, each null when it cannot be known."""
    end = to_ms(now)
    asked = Asked(engine, end - round(SPAN.total_seconds() * 1000), end)
    drawn = draw(signal, asked.every(signal.key), {part: asked.derived(part, signal.key) for part in DERIVED})
    newest = engine.promql.instant(f"max(timestamp({signal.key}))", end)
    at = from_ms(_one(newest) * 1000) if _one(newest) is not None else None  # type: ignore[operator]
    age = None if at is None else max((now - at).total_seconds(), 0.0)
    stale_after = 2.5 * engine.config.rules.interval.total_seconds() + 5.0
    forecast = forecasts.get(f"signal/{signal.key}", {})
    return {
        "key": signal.key,
        "unit": signal.unit,
        **drawn.newest(),
        "at": shapes.moment(at),
        "age_seconds": age,
        "stale": age is not None and age > stale_after,
        "missing": "" if len(drawn.times) or age is not None else signal.missing,
        "points": shapes.pairs(drawn.times, drawn.value),
        "band": drawn.band(),
        "forecast": forecast.get("points", []),
        "forecast_unknown": forecast.get("unknown", "" if forecast else "not enough history yet"),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions behind a tile."""

    engine: Engine
    start: int  #: ms
    end: int  #: ms; the last column, as the span is a whole number of steps

    def every(self, expr: str) -> RangeMatrix:
        return self.engine.promql.range(expr, self.start, self.end, round(STEP.total_seconds() * 1000))

    def derived(self, part: str, key: str) -> RangeMatrix:
        return self.every(f'watchkeeper_{part}{{metric="{key}"}}')


def _one(result: object) -> float | None:
    """The single value of an aggregation, None when there is none."""
    if isinstance(result, Vector) and len(result.values):
        return shapes.number(float(result.values[0]))
    return None


def warnings(forecasts: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Pools that run out within their lead time, the soonest first."""
    found = []
    for key, payload in forecasts.items():
        earliest = payload.get("row", {}).get("earliest") if key.startswith("capacity/") else None
        if not earliest:
            continue
        when = datetime.fromisoformat(earliest)
        lead = float(payload.get("lead_seconds", 0.0))
        if when - now <= timedelta(seconds=lead):
            row = payload["row"]
            severity = "P1" if when - now < timedelta(days=1) else "P2" if when - now < timedelta(days=7) else "P3"
            found.append(
                {
                    "series": key.removeprefix("capacity/"),
                    "pool": row["pool"],
                    "resource": row["resource"],
                    "exhausts_at": earliest,
                    "severity": severity,
                    "text": row["proposal"],
                }
            )
    return sorted(found, key=lambda row: str(row["exhausts_at"]))
