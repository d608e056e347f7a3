"""What the month will cost, and which service cost what it never did: through the forecaster and detector in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import cost as arithmetic
from analytics.cost import DAY, days_between, month_of
from watchkeeper.app.pipeline.fits import Fit, fit
from watchkeeper.clock import to_ms
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Matrix, labels
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.cost import Costing

log = logger(__name__)

#: Days a forecaster needs to know a week from a trend; with fewer the mean day goes on, and is called that.
LEAST_DAYS = 28
#: With fewer days than this nothing is said at all.
LEAST_MEAN = 3
#: Days that a forecaster or detector looks back.
LOOKED_AT = 400
#: Days ahead at most: a quarter.
MOST_AHEAD = 92
#: Bills that ended longer ago than this say nothing of the period under way.
STALE = timedelta(days=7)
#: A score from here on is unusual, and how far back that is shown.
UNUSUAL = 0.5
SHOWN_BACK = 31
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a period costs in the end. ``method`` is a forecaster's, ``run_rate``, or empty when unknown."""

    first: date
    last: date
    known: Decimal | None = None  #: up to ``through``
    through: date | None = None
    expected: Decimal | None = None
    low: Decimal | None = None  #: 80 % interval, a wide one: days are taken to err together
    high: Decimal | None = None
    method: str = ""
    days_known: int = 0
    days_left: int = 0
    unknown: str = ""  #: no_charges, no_rate, stale, too_little


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A day on which a service cost what its past does not lead to expect."""

    service: str
    currency: str
    day: date
    cost: float
    expected: float
    lower: float
    upper: float
    score: float


@dataclass(frozen=True, slots=True)
class _Asked:
    key: str
    period: tuple[date, date]
    daily: Mapping[date, Decimal]
    unknown: str = ""


async def month_ends(costing: Costing, now: datetime) -> dict[str, Ahead]:
    """Each currency at the end of its month, each budget at the end of its period."""
    today, found = costing.today(now), {}
    for asked in _asked(costing, today):
        found[asked.key] = await _ahead(costing, asked, today)
    return found


def _asked(costing: Costing, today: date) -> list[_Asked]:
    rows = costing.rows(today - LOOKED_AT * DAY, today)
    found = []
    for name in costing.currencies():
        daily, _ = costing.daily([row for row in rows if row.currency == name], name)
        found.append(_Asked(f"currency/{name}", month_of(today), daily))
    for budget in costing.section.budgets:
        period = costing.budget_period(budget, today)
        if period[0] <= today <= period[1]:
            past = rows if period[0] >= today - LOOKED_AT * DAY else costing.rows(period[0], today)
            daily, missing = costing.daily(arithmetic.matching(past, budget.service, budget.tags), budget.currency)
            found.append(_Asked(f"budget/{budget.name}", period, daily, "no_rate" if missing else ""))
    return found


async def _ahead(costing: Costing, asked: _Asked, today: date) -> Ahead:
    first, last = asked.period
    through = costing.through(today)
    if asked.unknown or through is None or not asked.daily:
        return Ahead(first=first, last=last, unknown=asked.unknown or "no_charges")
    if through < min(first, today) - STALE or through < today - 31 * DAY:
        return Ahead(first=first, last=last, unknown="stale", through=through)
    through = min(through, today - DAY) if through == today and today != first else through  # today is not whole yet
    begin = min(asked.daily)
    values = [asked.daily.get(day, Decimal(0)) for day in days_between(begin, through)] if begin <= through else []
    known = arithmetic.total(value for day, value in asked.daily.items() if first <= day <= through)
    start, left = max(first, through + DAY), 0
    left = max((last - start).days + 1, 0)
    common: dict[str, Any] = {
        "first": first, "last": last, "known": known, "through": through, "days_known": len(values), "days_left": left,
    }  # fmt: skip
    if len(values) < LEAST_MEAN:
        return Ahead(**common, unknown="too_little")
    skipped = (start - through).days - 1  # days between the bill's end and the period's beginning
    path = await _path(costing, values, begin, skipped + left) if left else None
    if path is None:
        return Ahead(**common, expected=known + arithmetic.run_rate(values[-LEAST_DAYS:], left), method="run_rate")
    parts = [Decimal(repr(sum(path.quantiles[name][skipped:]))).quantize(CENT) for name in ("0.1", "0.5", "0.9")]
    low, expected, high = (known + part for part in parts)
    return Ahead(**common, low=low, expected=expected, high=high, method=path.method)


async def _path(costing: Costing, values: Sequence[Decimal], begin: date, steps: int) -> Fit | None:
    """The forecaster's path, None when there is too little to go by or it cannot be made."""
    engine, section = costing.engine, costing.engine.config.forecasting
    if len(values) < LEAST_DAYS or steps > MOST_AHEAD or not section.enabled:
        return None
    floats = np.array([[float(value) for value in values]])
    matrix = Matrix(series=(labels("watchkeeper_cost"),), times=_times(begin, len(values)), values=floats,
                    present=np.ones(floats.shape, dtype=bool))  # fmt: skip
    options = {**section.options, "lower": 0.0 if (floats >= 0).all() else None}
    try:
        answer: list[Fit] = await engine.workers.run(fit, section.method, options, matrix, steps, [np.nan])
    except WatchkeeperError as error:
        log.error("cost cannot be forecast", error=str(error))
        return None
    return None if answer[0].unknown else answer[0]


def _times(begin: date, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    start = to_ms(datetime(begin.year, begin.month, begin.day, tzinfo=UTC))
    return start + 86_400_000 * np.arange(count, dtype=np.int64)


def anomalies(costing: Costing, now: datetime) -> list[Anomaly]:
    """Service-days of the last month that stand out, the newest first. Days still being billed are left out."""
    today = costing.today(now)
    through = costing.through(today)
    if through is None or not costing.engine.config.scoring.enabled:
        return []
    last = min(through, today - DAY)
    rows = costing.rows(last - LOOKED_AT * DAY, last)
    if not rows:
        return []
    begin = min(row.day for row in rows)
    count = (last - begin).days + 1
    if count < LEAST_DAYS:
        return []
    by = arithmetic.sums(rows, lambda row: (row.service, row.currency, row.day), costing.basis)
    names = sorted({(service, currency) for service, currency, _ in by})
    days = list(days_between(begin, last))
    values = np.array([[float(by.get((*name, day), 0)) for day in days] for name in names])
    matrix = Matrix(series=tuple(labels("watchkeeper_cost", service=service, currency=currency)
                                 for service, currency in names),
                    times=_times(begin, count), values=values, present=np.ones(values.shape, dtype=bool))  # fmt: skip
    scores = costing.engine.detector.score(matrix)
    found = []
    for at, place in np.argwhere(scores.value[:, -SHOWN_BACK:] >= UNUSUAL).tolist():
        column = max(count - SHOWN_BACK, 0) + place
        parts = (scores.expected, scores.lower, scores.upper, scores.value)
        expected, lower, upper, score = (float(part[at, column]) for part in parts)
        if lower <= values[at, column] <= upper:
            continue  # the echo of a jump the day before: the cost itself is as expected
        found.append(
            Anomaly(service=names[at][0], currency=names[at][1], day=days[column], cost=float(values[at, column]),
                    expected=expected, lower=lower, upper=upper, score=score)
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.day, one.score), reverse=True)
