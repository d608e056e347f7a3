"""Foresee: forecasts of the signals and of everything that can run out; the capacity page and report."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.capacity import Pool as AskedPool
from analytics.capacity import capacity_row
from watchkeeper.app.api import shapes
from watchkeeper.app.pipeline.fits import Fit, fit
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.config import Pool
from watchkeeper.errors import QueryError, WatchkeeperError
from watchkeeper.model import Labels, Layout, Matrix, Tick, label, labels
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: Signals forecast for the Overview, as the page folds them.
SIGNALS: Mapping[str, str] = {
    "cpu_usage": "max", "memory_usage": "max", "disk_io": "sum", "network_io": "sum", "database_connections": "sum",
    "cache_hit_rate": "min", "api_response_times": "max", "error_rates": "max",
}  # fmt: skip
#: Pools of this machine.
HOST_POOLS = (
    Pool(name="host", resource="cpu", query="avg by (instance) (cpu_usage)", limit=1.0, unit="ratio"),
    Pool(name="host", resource="memory", query="avg by (instance) (memory_usage)", limit=1.0, unit="ratio"),
    Pool(
        name="host",
        resource="disk",
        query="node_filesystem_size_bytes{fstype!~'tmpfs|ramfs|overlay|squashfs'} - node_filesystem_avail_bytes",
        limit_query="node_filesystem_size_bytes{fstype!~'tmpfs|ramfs|overlay|squashfs'}",
        unit="bytes",
    ),
)
#: Horizons of a capacity row.
HORIZONS = {"in_7d": timedelta(days=7), "in_30d": timedelta(days=30), "in_90d": timedelta(days=90)}
LONGEST = timedelta(days=90)
#: Points of a path that a page draws.
DRAWN = 200


@dataclass(slots=True, eq=False)
class Foreseeing:
    """Reads history in a thread, fits in a worker process, writes documents and series."""

    engine: Engine
    _young: set[str] = field(default_factory=set)

    # --- forecasts of the signals ----------------------------------------------------------------------------------

    async def forecast(self, now: datetime) -> None:
        """Forecast every signal that has a source."""
        await self._signals(now, SIGNALS)

    async def forecast_young(self, now: datetime) -> None:
        """Those that had too little history last time, more often."""
        if self._young:
            await self._signals(now, {key: SIGNALS[key] for key in SIGNALS if key in self._young})

    async def _signals(self, now: datetime, wanted: Mapping[str, str]) -> None:
        section = self.engine.config.forecasting
        for key, fold in wanted.items():
            matrix = await asyncio.to_thread(self._history, f"{fold}({key})", now, section.history, section.step)
            if matrix is None:
                continue
            horizon = max(round(section.horizon / section.step), 1)
            upper = 1.0 if key in ("cpu_usage", "memory_usage", "cache_hit_rate", "error_rates") else None
            found = await self._fit(matrix, horizon, lower=0.0, upper=upper, limits=[np.nan] * len(matrix.series))
            if found:
                await self._keep_signal(key, found[0], now)

    async def _keep_signal(self, key: str, found: Fit, now: datetime) -> None:
        if found.unknown:
            self._young.add(key)
        else:
            self._young.discard(key)
        payload = {
            "unknown": found.unknown,
            "method": found.method,
            "backtest": found.backtest,
            "points": found.drawn(DRAWN, ("0.1", "0.5", "0.9")),
        }
        await asyncio.to_thread(self._put, f"signal/{key}", payload, now)
        if not found.unknown:
            await self._append("forecast", key, found, now)

    async def _append(self, target: str, metric: str, found: Fit, now: datetime) -> None:
        """``watchkeeper_forecast{metric,quantile,horizon}``: the value at the end of the horizon, as seen now."""
        horizon = f"{self.engine.config.forecasting.horizon.total_seconds() / 3600:g}h"
        names = [
            labels("watchkeeper_forecast", {"metric": metric, "quantile": quantile, "horizon": horizon})
            for quantile in found.quantiles
        ]
        values = np.array([path[-1] for path in found.quantiles.values()], dtype=np.float64)
        tick = Tick(target=f"{target}/{metric}", time_ms=to_ms(now), layout=Layout(tuple(names)), values=values)
        await self.engine.collecting.append_derived("forecasts", [tick])

    # --- capacity --------------------------------------------------------------------------------------------------

    async def capacity(self, now: datetime) -> None:
        """A row for everything that can run out."""
        config = self.engine.config.capacity
        pools = [*(HOST_POOLS if config.host_pools else ()), *config.pools]
        for pool in pools:
            try:
                await self._pool(pool, now)
            except (QueryError, WatchkeeperError) as error:
                log.error("pool cannot be foreseen", pool=pool.name, resource=pool.resource, error=str(error))

    async def _pool(self, pool: Pool, now: datetime) -> None:
        step = self._step(pool, now)
        matrix = await asyncio.to_thread(self._history, pool.query, now, timedelta(days=365), step)
        if matrix is None:
            return
        limits = await asyncio.to_thread(self._limits, pool, matrix.series, now)
        horizon = min(round(LONGEST / step), 2160)
        for index in range(len(matrix.series)):
            one = _row(matrix, index)
            found = (await self._fit(one, horizon, lower=0.0, upper=None, limits=[limits[index]], explained=True))[0]
            payload = self._payload(pool, one, limits[index], found, now)
            await asyncio.to_thread(self._put, f"capacity/{payload['key']}", payload, now)
            await self._append_exhaustion(payload, now)

    def _step(self, pool: Pool, now: datetime) -> timedelta:
        """Daily points once there is a month of history, hourly before."""
        month_ago = to_ms(now - timedelta(days=30))
        old = self.engine.promql.instant(f"count({pool.query})", month_ago)
        return timedelta(days=1) if len(getattr(old, "series", ())) else timedelta(hours=1)

    def _limits(self, pool: Pool, series: Sequence[Labels], now: datetime) -> list[float]:
        """The limit of each series: the declared one, or that of the limit query with the same labels."""
        if not pool.limit_query:
            return [np.nan if pool.limit is None else pool.limit] * len(series)
        answer = {_without_name(one): value for one, value in self.engine.judging.ask(pool.limit_query, now)}
        return [answer.get(_without_name(one), np.nan) for one in series]

    def _payload(self, pool: Pool, one: Matrix, limit: float, found: Fit, now: datetime) -> dict[str, Any]:
        known = one.values[0][one.present[0]]
        last_ms = int(one.times[one.present[0]][-1]) if len(known) else 0
        asked = AskedPool(
            pool=_pool_name(pool, one.series[0]),
            resource=pool.resource,
            unit=pool.unit,
            limit=limit,
            lead_time=pool.lead_time,
        )
        row = capacity_row(
            asked,
            found.forecast,
            found.exhaustion,
            newest_value=float(known[-1]) if len(known) else float("nan"),
            newest_at=from_ms(last_ms),
            now=now,
        )
        key = f"{row.pool}/{row.resource}"
        return {"key": key, "lead_seconds": pool.lead_time.total_seconds(), **row_view(row, one, found)}

    async def _append_exhaustion(self, payload: dict[str, Any], now: datetime) -> None:
        """``watchkeeper_time_to_exhaustion_seconds{pool,resource,edge}``; +Inf when not within the horizon."""
        row = payload["row"]
        names, values = [], []
        for edge in ("earliest", "expected", "latest"):
            moment = row[edge]
            left = (datetime.fromisoformat(moment) - now).total_seconds() if moment else float("inf")
            pairs = {"pool": row["pool"], "resource": row["resource"], "edge": edge}
            names.append(labels("watchkeeper_time_to_exhaustion_seconds", pairs))
            values.append(left)
        if row["unknown"]:
            return
        tick = Tick(
            target=f"exhaustion/{payload['key']}",
            time_ms=to_ms(now),
            layout=Layout(tuple(names)),
            values=np.array(values, dtype=np.float64),
        )
        await self.engine.collecting.append_derived("forecasts", [tick])

    # --- shared ----------------------------------------------------------------------------------------------------

    def _history(self, expr: str, now: datetime, span: timedelta, step: timedelta) -> Matrix | None:
        """What is stored, on a regular grid that ends now; None when there is nothing at all."""
        every = round(step.total_seconds() * 1000)
        end = to_ms(now)
        oldest = int(self.engine.samples.stats().get("oldest_ms", end))
        span_ms = min(round(span.total_seconds() * 1000), max(end - oldest, 0))
        count = min(max(span_ms // every, 1), 10_000)  # two points at least: they tell the distance
        found = self.engine.promql.range(expr, end - count * every, end, every)
        if not found.series:
            return None
        return Matrix(
            series=found.series,
            times=found.times,
            values=np.where(found.present, found.values, np.nan),
            present=found.present,
        )

    async def _fit(
        self,
        matrix: Matrix,
        horizon: int,
        *,
        lower: float,
        upper: float | None,
        limits: Sequence[float],
        explained: bool = False,
    ) -> list[Fit]:
        section = self.engine.config.forecasting
        options = {"lower": lower, "upper": upper, **section.options}
        work = functools.partial(fit, explained=explained)
        return await self.engine.workers.run(work, section.method, options, matrix, horizon, list(limits))

    def _put(self, key: str, payload: Any, now: datetime) -> None:
        with self.engine.state.begin() as unit:
            unit.documents.put_forecast(key, payload, at=now)

    # --- answers ---------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the capacity page, the soonest to run out first."""
        now = self.engine.clock.now()
        with self.engine.state.read() as unit:
            found = [value for key, value in unit.documents.forecasts().items() if key.startswith("capacity/")]
        rows = []
        for payload in found:
            sampled = payload["sampled_at_ms"]
            age = None if not sampled else max(to_ms(now) - sampled, 0) / 1000
            rows.append({**payload["row"], **payload["charts"], "data_age_seconds": age})
        return sorted(rows, key=lambda row: (row["earliest"] or "9999", row["pool"], row["resource"]))

    def report(self, language: str, now: datetime, by: str) -> str:
        """Make and archive the capacity report; its id."""
        from dashboard.reports.capacity import capacity_csv, capacity_html

        data = {"rows": self.rows()}
        html = capacity_html(data, language, self.engine.config.time_zone, now)
        csv = capacity_csv(data, language, self.engine.config.time_zone, now)
        with self.engine.state.begin() as unit:
            report_id = unit.documents.add_report("capacity", language, html, csv, at=now)
            unit.audit.append(by, "report", report_id, {"kind": "capacity"}, at=now)
        return report_id

    async def send_report(self, now: datetime) -> None:
        """Weekly: e-mail gets it attached, robots get a link."""
        report_id = await asyncio.to_thread(self.report, self.engine.config.language, now, "schedule")
        names = self.engine.config.capacity.report_channels
        if names:
            await self.engine.telling.send_report(names, report_id, self.rows(), self._files(report_id), now)

    def _files(self, report_id: str) -> list[tuple[str, str, bytes]]:
        """The report as attachments: (file name, MIME type, content)."""
        with self.engine.state.read() as unit:
            found = unit.documents.report(report_id)
        if found is None:
            return []
        day = f"{found.created_at.astimezone(self.engine.config.zone):%Y-%m-%d}"
        return [(f"capacity-{day}.html", "text/html", found.html), (f"capacity-{day}.csv", "text/csv", found.csv)]


def _row(matrix: Matrix, index: int) -> Matrix:
    return Matrix(
        series=matrix.series[index : index + 1],
        times=matrix.times,
        values=matrix.values[index : index + 1],
        present=matrix.present[index : index + 1],
    )


def _without_name(series: Labels) -> Labels:
    return tuple(pair for pair in series if pair[0] != "__name__")


def _pool_name(pool: Pool, series: Labels) -> str:
    """The pool, and what tells its series apart: mount point, instance, database."""
    parts = [label(series, key) for key in ("mountpoint", "datname", "pool") if label(series, key)]
    where = label(series, "instance")
    return ":".join([pool.name if not where else f"{pool.name}@{where}", *parts])


def row_view(row: Any, one: Matrix, found: Fit) -> dict[str, Any]:
    """A CapacityRow with its charts, as docs/api.md has it."""
    step = max(len(one.times) // DRAWN, 1)
    times, values = one.times[::step], one.values[0][::step]
    headroom = 1 - row.now / row.limit if row.limit and np.isfinite(row.limit) else None
    return {
        "sampled_at_ms": int(one.times[one.present[0]][-1]) if one.present[0].any() else 0,
        "row": {
            "pool": row.pool,
            "resource": row.resource,
            "unit": row.unit,
            "now": shapes.number(row.now),
            "limit": shapes.number(row.limit),
            "headroom_ratio": shapes.number(headroom),
            **{name: shapes.number(getattr(row, name)) for name in HORIZONS},
            "earliest": shapes.moment(row.exhaustion.earliest),
            "expected": shapes.moment(row.exhaustion.expected),
            "latest": shapes.moment(row.exhaustion.latest),
            "backtest_mase": shapes.number(row.backtest_mase),
            "coverage80": shapes.number(found.backtest["coverage80"]),
            "better_than_last_value": found.backtest["better_than_last_value"],
            "proposal": row.proposal,
            "unknown": row.unknown,
        },
        "charts": {
            "history": shapes.pairs(times, values),
            "forecast": found.drawn(DRAWN, ("0.025", "0.1", "0.5", "0.9", "0.975")),
            "components": {
                name: shapes.pairs(times, np.asarray(path)[::step][: len(times)])
                for name, path in found.components.items()
                if len(path) == len(one.times)
            },
        },
    }
