"""Cost: take in bills, hold them against budgets, forecast the end of the month, and make series of all of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from analytics import cost as arithmetic
from analytics.cost import Basis, host_days, month_of, quarter_of
from analytics.cost_budget import Standing, standing
from watchkeeper.app.pipeline import cost_ahead, cost_series
from watchkeeper.app.pipeline.cost_ahead import Ahead, Anomaly
from watchkeeper.app.pipeline.cost_read import Importer, in_force
from watchkeeper.app.schedule import every
from watchkeeper.config.cost import Budget
from watchkeeper.config.cost import Cost as Section
from watchkeeper.model import DayCharge, Layout
from watchkeeper.store.state import CostFile
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: When bills are first read after the start.
FIRST = timedelta(seconds=15)
#: A series that is older than five minutes is none to PromQL.
PUBLISH_EVERY = timedelta(minutes=1)


@dataclass(slots=True, eq=False)
class Costing:
    """Bills live in the state database; what is here can be made again from them."""

    engine: Engine
    importer: Importer
    files: list[CostFile] = field(default_factory=list)
    ahead: dict[str, Ahead] = field(default_factory=dict)  #: ``currency/CNY`` or ``budget/<name>`` -> end of its period
    anomalies: list[Anomaly] = field(default_factory=list)
    read_at: datetime | None = None
    _months: dict[date, list[DayCharge]] = field(default_factory=dict)
    _known: tuple[Section, date] | None = None  #: configuration and day that everything here was made for
    _layouts: dict[str, Layout] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine) -> Costing:
        return cls(engine, Importer(engine.state))

    @property
    def section(self) -> Section:
        return self.engine.config.cost

    @property
    def basis(self) -> Basis:
        return self.section.basis

    # --- steps -----------------------------------------------------------------------------------------------------

    async def step(self, now: datetime) -> None:
        """Look at the files; when something changed, or a day went by, make everything anew."""
        fresh = self._known is None and not await asyncio.to_thread(self._kept)
        changed = await asyncio.to_thread(self.importer.run, self.engine.loaded, now)
        self.read_at = now
        made_for = (self.section, self.today(now))
        if changed or self._known is None or self._known[0] is not made_for[0] or self._known[1] != made_for[1]:
            await asyncio.to_thread(self._load, now)
            self.ahead = await cost_ahead.month_ends(self, now)
            self.anomalies = await asyncio.to_thread(cost_ahead.anomalies, self, now)
            self._known = made_for
            if fresh:
                await self._fill_series(now)
        await self.publish(self.engine.clock.now())

    async def publish(self, now: datetime) -> None:
        """Everything as series, every minute, so that a rule always finds it."""
        ticks = await asyncio.to_thread(cost_series.ticks, self, now, self._layouts)
        if ticks:
            await self.engine.collecting.append_derived("cost", ticks)

    async def _fill_series(self, now: datetime) -> None:
        ticks = cost_series.history(self, now - self.engine.config.store.retention, now)
        if ticks:
            await self.engine.collecting.append_derived("cost", ticks)

    def _kept(self) -> list[CostFile]:
        with self.engine.state.read() as unit:
            return unit.charges.files()

    def _load(self, now: datetime) -> None:
        rows, self.files = in_force(self.engine.state, self.section.sources)
        today = self.today(now)
        for host in self.section.hosts:
            last = min(host.until or today, today)
            if host.since <= last:
                rows += host_days(host.name, host.price, host.currency, host.since, last, service=host.service,
                                  tags=host.tags)  # fmt: skip
        months: defaultdict[date, list[DayCharge]] = defaultdict(list)
        for row in rows:
            months[row.day.replace(day=1)].append(row)
        self._months = dict(months)

    # --- questions -------------------------------------------------------------------------------------------------

    def today(self, now: datetime) -> date:
        return now.astimezone(self.engine.config.zone).date()

    def months(self, today: date) -> list[date]:
        """First days of months with charges, the newest first; months to come are left out."""
        return sorted((month for month in self._months if month <= today), reverse=True)

    def rows(self, first: date, last: date) -> list[DayCharge]:
        """Charges of these days, both included."""
        wanted = [rows for month, rows in self._months.items() if month_of(month)[1] >= first and month <= last]
        return [row for rows in wanted for row in rows if first <= row.day <= last]

    def through(self, today: date, currency: str = "") -> date | None:
        """The last day that bills speak of; that of own hosts where there are only those."""
        for billed in (True, False):
            for month in self.months(today):
                days = [
                    row.day
                    for row in self._months[month]
                    if row.day <= today and (row.source != "hosts") == billed and currency in ("", row.currency)
                ]
                if days:
                    return max(days)
        return None

    def source_through(self, today: date) -> dict[str, date]:
        found: dict[str, date] = {}
        for rows in self._months.values():
            for row in rows:
                if row.day <= today:
                    found[row.source] = max(row.day, found.get(row.source, row.day))
        return found

    def currencies(self) -> list[str]:
        return sorted({row.currency for rows in self._months.values() for row in rows})

    def daily(self, rows: Sequence[DayCharge], currency: str) -> tuple[dict[date, Decimal], list[str]]:
        """Totals by day in one currency; or nothing, and the currencies that have no rate."""
        by: defaultdict[date, dict[str, Decimal]] = defaultdict(dict)
        for (day, name), cost in arithmetic.sums(rows, lambda row: (row.day, row.currency), self.basis).items():
            by[day][name] = cost
        found: dict[date, Decimal] = {}
        for day, totals in by.items():
            value, missing = self.convert(totals, currency)
            if value is None:
                return {}, missing
            found[day] = value
        return found, []

    def convert(self, totals: dict[str, Decimal], currency: str) -> tuple[Decimal | None, list[str]]:
        """Rates are of one unit in ``cost.currency``: they lead to it, and to no other."""
        rates = self.section.rates if currency == self.section.currency else {}
        return arithmetic.convert(totals, currency, rates)

    def budget_period(self, budget: Budget, today: date) -> tuple[date, date]:
        if budget.since is not None and budget.until is not None:
            return budget.since, budget.until
        return quarter_of(today) if budget.period == "quarter" else month_of(today)

    def standings(self, now: datetime) -> list[tuple[Budget, Standing]]:
        """Every budget in the period under way."""
        return [(budget, self._standing(budget, self.today(now))) for budget in self.section.budgets]

    def _standing(self, budget: Budget, today: date) -> Standing:
        period, shares = self.budget_period(budget, today), (budget.warn, budget.breach)
        if period[0] > today:
            return standing(period, budget.amount, shares, None, reason="not_yet")
        rows = self.rows(period[0], min(period[1], today))
        if not rows:
            return standing(period, budget.amount, shares, None, reason="no_charges")
        own = arithmetic.matching(rows, budget.service, budget.tags)
        used, missing = self.convert(arithmetic.sums(own, lambda row: row.currency, self.basis), budget.currency)
        if used is None:
            return standing(period, budget.amount, shares, None, reason="no_rate", missing=missing)
        ahead = self.ahead.get(f"budget/{budget.name}")
        reason = "over" if period[1] < today else ""
        expected = used if reason else (None if ahead is None else ahead.expected)
        return standing(period, budget.amount, shares, used, reason=reason, forecast=expected)


def schedule(engine: Engine, now: datetime) -> None:
    """Bills soon after the start, then as often as configured."""
    section = engine.config.cost
    if not section.enabled:
        return
    engine.scheduler.add("cost", every(section.every, now + FIRST), engine.costing.step)
    engine.scheduler.add("cost_publish", every(PUBLISH_EVERY, now + PUBLISH_EVERY), engine.costing.publish)
