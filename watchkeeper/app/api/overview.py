"""The Overview page: the eight signals of SR-001, live, and what needs a person."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request

from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.promql import RangeMatrix, Vector

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: How far the sparklines look back, and how finely.
SPAN, STEP = timedelta(hours=1), timedelta(seconds=15)
#: An answer this young is given again: many open pages cost as much as one.
FRESH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Signal:
    """One tile: how the series of all services become one number, and what to add when there is none."""

    key: str
    fold: str  #: PromQL aggregation: max for "the worst", sum for totals, min where less is worse
    unit: str
    missing: str  #: message key of the hint

    @property
    def expr(self) -> str:
        return f"{self.fold}({self.key})"

    def possible(self, value: float | None) -> float | None:
        """An edge of the expected band, kept to what the signal can be: never below 0, a ratio never above 1."""
        if value is None:
            return None
        return min(max(value, 0.0), 1.0) if self.unit == "ratio" else max(value, 0.0)


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
            shapes.incident(row, alerts=len(row.alert_ids), actions=len(unit.actions.of_incident(row.id)))
            for row in open_incidents
        ]
    sources = list(engine.sources.values())
    return {
        "now": shapes.moment(now),
        "signals": [tile(engine, signal, now, forecasts) for signal in SIGNALS],
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
    start = end - round(SPAN.total_seconds() * 1000)
    matrix = engine.promql.range(signal.expr, start, end, round(STEP.total_seconds() * 1000))
    newest = engine.promql.instant(f"max(timestamp({signal.key}))", end)
    value = engine.promql.instant(signal.expr, end)
    score = engine.promql.instant(f'max(watchkeeper_anomaly_score{{metric="{signal.key}"}})', end)
    at = from_ms(_one(newest) * 1000) if _one(newest) is not None else None  # type: ignore[operator]
    age = None if at is None else max((now - at).total_seconds(), 0.0)
    stale_after = 2.5 * engine.config.rules.interval.total_seconds() + 5.0
    points = _points(matrix)
    forecast = forecasts.get(f"signal/{signal.key}", {})
    return {
        "key": signal.key,
        "unit": signal.unit,
        "value": _one(value),
        "score": _one(score),
        **{name: signal.possible(_one(_band(engine, signal, part, end))) for name, part in BANDS.items()},
        "at": shapes.moment(at),
        "age_seconds": age,
        "stale": age is not None and age > stale_after,
        "missing": "" if points or age is not None else signal.missing,
        "points": points,
        "band": [
            [when, signal.possible(low), signal.possible(high)]
            for when, low, high in _band_points(engine, signal, start, end)
        ],
        "forecast": forecast.get("points", []),
        "forecast_unknown": forecast.get("unknown", "" if forecast else "not enough history yet"),
    }


BANDS = {"expected": "expected", "lower": "expected_lower", "upper": "expected_upper"}


def _band(engine: Engine, signal: Signal, part: str, at: int) -> Vector:
    result = engine.promql.instant(f'{signal.fold}(watchkeeper_{part}{{metric="{signal.key}"}})', at)
    assert isinstance(result, Vector)
    return result


def _band_points(engine: Engine, signal: Signal, start: int, end: int) -> list[list[float | None]]:
    """[[ms, lower, upper], ...]"""
    step = round(STEP.total_seconds() * 1000)
    edges = [
        engine.promql.range(f'{signal.fold}(watchkeeper_{part}{{metric="{signal.key}"}})', start, end, step)
        for part in ("expected_lower", "expected_upper")
    ]
    if not all(edge.series for edge in edges):
        return []
    rows = zip(edges[0].times.tolist(), edges[0].values[0].tolist(), edges[1].values[0].tolist(), strict=True)
    return [[when, low, high] for when, low, high in rows if np.isfinite(low) and np.isfinite(high)]


def _one(result: object) -> float | None:
    """The single value of an aggregation, None when there is none."""
    if isinstance(result, Vector) and len(result.values):
        return shapes.number(float(result.values[0]))
    return None


def _points(matrix: RangeMatrix) -> list[list[float | None]]:
    if not matrix.series:
        return []
    return shapes.pairs(matrix.times, np.where(matrix.present[0], matrix.values[0], np.nan))


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
