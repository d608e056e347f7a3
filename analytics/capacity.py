"""Rows of the capacity page: where a pool stands, where it will be, when it is full, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import CapacityRow, Exhaustion, Forecast

Direction = Literal["up", "down"]
#: The plan counts with the upper edge of the 80 % band: one day in ten is worse.
PLANNED = 0.9
NEVER = Exhaustion(earliest=None, expected=None, latest=None)
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One resource somebody pays for, with its declared limit. ``unit`` is that of the values and of the limit."""

    pool: str
    resource: str
    unit: str
    limit: float = NAN  #: NaN when none is declared
    lead_time: timedelta = timedelta(days=14)  #: from order to use
    headroom_ratio: float = 0.2  #: share of the limit that should stay free
    idle_ratio: float = 0.3  #: below this share of the limit for all of the horizon, less would do


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What is left, in units and as a share of the limit; NaN where it is unknown."""

    free: float
    ratio: float
    planned_need: float  #: limit that leaves the wanted headroom over the planned use at lead time


def capacity_row(
    pool: Pool,
    forecast: Forecast,
    exhaustion: Exhaustion,
    *,
    newest_value: float,
    newest_at: datetime,
    now: datetime,
) -> CapacityRow:
    """One row. Figures beyond the forecast's horizon are NaN, and ``unknown`` says why figures are missing."""
    at = {days: expected_at(forecast, now + timedelta(days=days)) for days in (7, 30, 90)}
    return CapacityRow(
        pool=pool.pool,
        resource=pool.resource,
        unit=pool.unit,
        now=newest_value,
        limit=pool.limit,
        in_7d=at[7],
        in_30d=at[30],
        in_90d=at[90],
        exhaustion=exhaustion,
        backtest_mase=forecast.backtest.mase,
        proposal=proposal(pool, forecast, exhaustion, newest_value=newest_value, now=now),
        data_age_seconds=(now - newest_at).total_seconds(),
        unknown=_unknown(pool, forecast, at),
    )


def expected_at(forecast: Forecast, moment: datetime, quantile: float = 0.5) -> float:
    """The path's value at a moment, between its steps; NaN outside of the path."""
    when = to_ms(moment)
    if forecast.unknown or not len(forecast.times) or not forecast.issued_ms <= when <= int(forecast.times[-1]):
        return NAN
    return float(np.interp(when, forecast.times, forecast.quantiles[quantile]))


def headroom(pool: Pool, forecast: Forecast, newest_value: float, now: datetime) -> Headroom:
    """What is left now, and the limit that would keep the wanted headroom until a new one can arrive."""
    free = pool.limit - newest_value
    planned = expected_at(forecast, now + pool.lead_time, PLANNED)
    return Headroom(
        free=free,
        ratio=free / pool.limit if pool.limit > 0 else NAN,
        planned_need=planned / (1.0 - pool.headroom_ratio),
    )


def proposal(pool: Pool, forecast: Forecast, exhaustion: Exhaustion, *, newest_value: float, now: datetime) -> str:
    """A message key: what to do, worst reason first."""
    if not np.isfinite(pool.limit):
        return "capacity.proposal.declare_limit"
    if not np.isfinite(newest_value) or forecast.unknown:
        return "capacity.proposal.unknown"
    if newest_value >= pool.limit:
        return "capacity.proposal.full"
    if exhaustion.expected is not None and exhaustion.expected <= now + pool.lead_time:
        return "capacity.proposal.expand_now"
    planned_need = headroom(pool, forecast, newest_value, now).planned_need
    if exhaustion.expected is not None or planned_need > pool.limit:
        return "capacity.proposal.plan_expansion"
    if exhaustion.earliest is not None:
        return "capacity.proposal.watch"
    if max(newest_value, float(forecast.quantiles[PLANNED].max())) < pool.idle_ratio * pool.limit:
        return "capacity.proposal.shrink"
    return "capacity.proposal.none"


def _unknown(pool: Pool, forecast: Forecast, at: dict[int, float]) -> str:
    if forecast.unknown:
        return forecast.unknown
    if not np.isfinite(pool.limit):
        return "no limit is declared"
    missing = [f"{days} days" for days, value in at.items() if np.isnan(value)]
    if not missing:
        return ""
    return f"the forecast ends {from_ms(int(forecast.times[-1])):%Y-%m-%d}, before {', '.join(missing)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """A queue served by workers with a start limit, as many job runners are."""

    workers: int
    starts_per_minute: float  #: hard limit on job starts
    seconds_per_job: float  #: mean service time

    @property
    def most_per_minute(self) -> float:
        """Jobs a minute that can be served at all: the smaller of the two limits."""
        return min(self.starts_per_minute, 60.0 * self.workers / self.seconds_per_job)

    def utilisation(self, jobs_per_minute: float) -> float:
        """Load as a share of what can be served; 1 and more means that the queue grows for ever."""
        return jobs_per_minute / self.most_per_minute

    def wait_seconds(self, jobs_per_minute: float) -> float:
        """Mean wait at a steady load by the M/M/c queue (Erlang C); infinite from saturation on.

        The start limit is counted as fewer workers, so the wait is that of the tighter of the two limits.
        """
        load = jobs_per_minute / 60.0 * self.seconds_per_job  # in Erlang: workers kept busy
        servers = max(1, int(self.most_per_minute / 60.0 * self.seconds_per_job + 1e-9))
        if load <= 0:
            return 0.0
        if load >= servers:
            return float("inf")
        blocked = 1.0  # Erlang B by its stable recursion
        for count in range(1, servers + 1):
            blocked = load * blocked / (count + load * blocked)
        waiting = blocked / (1.0 - load / servers * (1.0 - blocked))
        return waiting * self.seconds_per_job / (servers - load)
