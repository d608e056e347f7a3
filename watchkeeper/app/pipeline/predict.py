"""Predict: forecasts of key figures that are kept as made, and scored when their periods are over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import predictions as arithmetic
from analytics.business_periods import from_grid, steps_within
from analytics.predictions import Made
from watchkeeper.app.api import shapes
from watchkeeper.app.pipeline import business_read
from watchkeeper.app.pipeline.business import Judged, to_matrix
from watchkeeper.app.pipeline.fits import Fit, fit
from watchkeeper.clock import to_ms
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Layout, Matrix, Tick, labels
from watchkeeper.store.state import KpiForecast, KpiValue
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.config.business import Kpi

log = logger(__name__)

#: Longest path: a month of hours.
MOST_STEPS = 720
#: How far back forecasts are scored: about 30,000 rows either way.
SCORED_BACK, SCORED_BACK_HOURS = timedelta(days=365), timedelta(days=30)
#: Periods drawn of the past, with what had been forecast for them one step ahead.
DRAWN_PAST = 120
BANDS = ("0.025", "0.1", "0.5", "0.9", "0.975")
DOCUMENT = "prediction/"


@dataclass(slots=True, eq=False)
class Predicting:
    """Fits in a worker process; rows and documents in the state database."""

    engine: Engine
    _scored: dict[str, int] = field(default_factory=dict)  #: figure -> what its accuracy was computed from

    async def step(self, now: datetime) -> None:
        """Forecast the figures whose time has come, and score what earlier forecasts said."""
        for one in list(self.engine.business.judged.values()):
            if not one.kpi.predict:
                continue
            try:
                if await asyncio.to_thread(self._due, one, now):
                    await self._forecast(one, now)
                await asyncio.to_thread(self._score, one, now)
            except WatchkeeperError as error:
                log.error("key figure cannot be forecast", kpi=one.kpi.name, error=str(error))

    def _due(self, one: Judged, now: datetime) -> bool:
        """A period has ended since the last forecast, and that is old enough; or there is none yet."""
        if one.last is None or one.error:
            return False
        with self.engine.state.read() as unit:
            made = unit.kpis.last_made(one.kpi.name, one.kpi.period)
        if made is None:
            return True
        newest = business_read.last_settled(one.kpi, made, self.engine.config.zone)
        return one.last.start > newest and now - made >= self.engine.config.business.predictions.every * 0.99

    # --- making ----------------------------------------------------------------------------------------------------

    async def _forecast(self, one: Judged, now: datetime) -> None:
        past = finished(one)
        matrix = to_matrix(one.kpi, past, self.engine.config.zone)
        found = await self._fit(one.kpi, matrix)
        if not found.unknown:
            await asyncio.to_thread(self._keep, one, matrix, found, now)
        await asyncio.to_thread(self._put, one.kpi, self._payload(one, found, now), now)

    async def _fit(self, kpi: Kpi, matrix: Matrix) -> Fit:
        section = self.engine.config.forecasting
        values = matrix.values[matrix.present]
        options: dict[str, Any] = {"lower": 0.0 if (values >= 0).all() else None}
        options["upper"] = 1.0 if kpi.unit == "ratio" and (values <= 1).all() else None
        days = max(self.engine.config.business.predictions.horizons)
        steps = min(steps_within(kpi.period, days), MOST_STEPS)
        method = self.engine.config.business.predictions.method or section.method
        options |= section.options if method == section.method else {}
        answer: list[Fit] = await self.engine.workers.run(fit, method, options, matrix, steps, [np.nan])
        return answer[0]

    def _keep(self, one: Judged, matrix: Matrix, found: Fit, now: datetime) -> None:
        """Every period of the path as a row, with what a naive forecast says of the same period."""
        kpi, zone = one.kpi, self.engine.config.zone
        known = np.where(matrix.present[0], matrix.values[0], np.nan)
        season = arithmetic.season_of(kpi.period)
        times = found.forecast.times.tolist()
        naive = arithmetic.naive_path(_without_gaps(known), len(times), season)
        scale = arithmetic.naive_scale(known.tolist(), season)
        rows = [
            KpiForecast(
                made_at=now,
                target=from_grid(kpi.period, at, zone),
                step=place + 1,
                quantiles={name: found.quantiles[name][place] for name in BANDS},
                naive=shapes.number(naive[place]),
                scale=shapes.number(scale),
                method=found.method,
            )
            for place, at in enumerate(times)
        ]
        with self.engine.state.begin() as unit:
            unit.kpis.keep_forecast(kpi.name, kpi.period, rows)

    def _payload(self, one: Judged, found: Fit, now: datetime) -> dict[str, Any]:
        kpi, zone = one.kpi, self.engine.config.zone
        targets = [from_grid(kpi.period, at, zone) for at in found.forecast.times.tolist()]
        path = [
            [to_ms(target), *(found.quantiles[name][place] for name in BANDS)] for place, target in enumerate(targets)
        ]
        return {
            "made_at": shapes.moment(now),
            "method": found.method,
            "unknown": found.unknown,
            "backtest": found.backtest,
            "forecast": path,
            "ahead": [_ahead(kpi, path, days) for days in self.engine.config.business.predictions.horizons],
        }

    # --- scoring ---------------------------------------------------------------------------------------------------

    def _score(self, one: Judged, now: datetime) -> None:
        """Earlier forecasts against what came. Done again when a period has ended or was restated."""
        kpi, done = one.kpi, finished(one)
        back = SCORED_BACK_HOURS if kpi.period == "hour" else SCORED_BACK
        actuals = {row.start: float(row.value) for row in done if row.value is not None}
        with self.engine.state.read() as unit:
            count = unit.kpis.made_count(kpi.name, kpi.period)
            key = hash((count, tuple(actuals.items())))
            if not count or self._scored.get(kpi.name) == key:
                return
            limit = max(actuals, default=now) + timedelta(milliseconds=1)
            rows = unit.kpis.forecasts(kpi.name, kpi.period, until=limit, since=now - back)
            payload = unit.documents.forecast(DOCUMENT + kpi.name)
        if payload is None:
            return
        made = [_made(row) for row in rows]
        payload["accuracy"] = [
            self._accuracy(kpi, made, actuals, days) for days in self.engine.config.business.predictions.horizons
        ]
        payload["past"] = past_points(made, actuals)[-DRAWN_PAST:]
        payload["forecasts_made"] = count
        self._put(kpi, payload, now)
        self._scored[kpi.name] = key

    def _accuracy(self, kpi: Kpi, made: Sequence[Made], actuals: Mapping[datetime, float], days: int) -> dict[str, Any]:
        """Figures over forecasts of up to so many days ahead."""
        steps = steps_within(kpi.period, days)
        found = arithmetic.accuracy((one for one in made if one.step <= steps), actuals)
        names = ("scored", "coverage80", "coverage95", "mape", "mase", "against_naive", "bias")
        return {"days": days, **{name: shapes.plain(getattr(found, name)) for name in names}}

    def _put(self, kpi: Kpi, payload: dict[str, Any], now: datetime) -> None:
        with self.engine.state.begin() as unit:
            before = unit.documents.forecast(DOCUMENT + kpi.name) or {}
            unit.documents.put_forecast(DOCUMENT + kpi.name, {**before, **payload}, at=now)

    # --- series and answers ----------------------------------------------------------------------------------------

    async def publish(self, now: datetime) -> None:
        """``watchkeeper_kpi_forecast{kpi,horizon,quantile}``: what is expected at the end of each horizon."""
        ticks = []
        for name, payload in (await asyncio.to_thread(self.documents)).items():
            found = [
                (labels("watchkeeper_kpi_forecast", kpi=name, horizon=f"{row['days']}d", quantile=quantile), row[part])
                for row in payload.get("ahead", ())
                for quantile, part in (("0.1", "low80"), ("0.5", "expected"), ("0.9", "high80"))
                if row[part] is not None
            ]
            if found:
                layout = Layout(tuple(series for series, _ in found))
                values = np.array([value for _, value in found], dtype=np.float64)
                ticks.append(Tick(target=f"kpi-forecast/{name}", time_ms=to_ms(now), layout=layout, values=values))
        if ticks:
            await self.engine.collecting.append_derived("business", ticks)

    def documents(self) -> dict[str, dict[str, Any]]:
        """What is known of every figure that is forecast now."""
        wanted = {kpi.name for kpi in self.engine.business.kpis if kpi.predict}
        with self.engine.state.read() as unit:
            found = unit.documents.forecasts()
        names = {key.removeprefix(DOCUMENT): value for key, value in found.items() if key.startswith(DOCUMENT)}
        return {name: value for name, value in names.items() if name in wanted}


def finished(one: Judged) -> list[KpiValue]:
    """Periods that are over and whose rows had time to arrive."""
    return [row for row in one.rows if one.last is not None and row.start <= one.last.start]


def _without_gaps(values: Any) -> list[float]:
    """A gap takes the value before it, for a naive forecast needs one."""
    found: list[float] = []
    for value in values.tolist():
        found.append(value if np.isfinite(value) or not found else found[-1])
    return found


def _made(row: KpiForecast) -> Made:
    naive, scale = (float("nan") if value is None else value for value in (row.naive, row.scale))
    return Made(made_at=row.made_at, target=row.target, step=row.step, quantiles=row.quantiles, naive=naive,
                scale=scale)  # fmt: skip


def past_points(made: Sequence[Made], actuals: Mapping[datetime, float]) -> list[list[float | None]]:
    """[[ms, low80, expected, high80, actual], ...]: for each period the newest forecast made before it."""
    newest: dict[datetime, Made] = {}
    for one in made:
        known = newest.get(one.target)
        if known is None or one.made_at > known.made_at:
            newest[one.target] = one
    return [
        [to_ms(target), *(one.quantiles[name] for name in ("0.1", "0.5", "0.9")), actuals.get(target)]
        for target, one in sorted(newest.items())
    ]


def _ahead(kpi: Kpi, path: Sequence[Sequence[float]], days: int) -> dict[str, Any]:
    """The last period of a horizon; null where the path does not reach so far."""
    steps = steps_within(kpi.period, days)
    row: Sequence[float | None] = path[steps - 1] if len(path) >= steps else [None] * 6
    return {"days": days, "at_ms": row[0], "low95": row[1], "low80": row[2], "expected": row[3], "high80": row[4],
            "high95": row[5]}  # fmt: skip
