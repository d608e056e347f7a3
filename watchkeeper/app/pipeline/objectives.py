"""Objectives: count what was good and bad, say how every promise stands, and make series of it for the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.slo import BURN_WINDOWS
from analytics.slo_windows import Chain, Standing, burn, chain, span_of, standing
from watchkeeper.app.pipeline.objectives_count import Account, catch_up, fingerprint, restored
from watchkeeper.app.schedule import every
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.config.objectives import Objective
from watchkeeper.config.objectives import Objectives as Section
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import STALE_NAN, Layout, Tick, labels
from watchkeeper.promql import parse
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: When counting starts after the engine.
FIRST = timedelta(seconds=20)
#: A piece of time is counted once its last samples had this long to arrive.
SETTLE = timedelta(seconds=20)
#: Burn windows and their labels.
BURNS: Mapping[str, timedelta] = {
    "5m": timedelta(minutes=5), "30m": timedelta(minutes=30), "1h": timedelta(hours=1), "6h": timedelta(hours=6),
    "3d": timedelta(days=3),
}  # fmt: skip
assert {pair.long for pair in BURN_WINDOWS} | {pair.short for pair in BURN_WINDOWS} == set(BURNS.values())
#: What is promised when nothing is written: that this machine's own metrics arrive.
OWN_HOST = Objective(name="own-host", kind="uptime", query='up{job="node"}', tier="support", windows=["month", "30d"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One objective as it stands."""

    objective: Objective
    target: Decimal  #: per cent
    account: Account
    windows: Mapping[str, Standing]
    burns: Mapping[str, float]


@dataclass(slots=True, eq=False)
class Objectives:
    """Accounts by objective. They live in the state database; what is here is read back from it after a start."""

    engine: Engine
    accounts: dict[str, Account] = field(default_factory=dict)
    judged: dict[str, Judged] = field(default_factory=dict)
    _layouts: dict[str, Layout] = field(default_factory=dict)

    @classmethod
    def checked(cls, engine: Engine) -> Objectives:
        """Raises ConfigError for an expression that is no PromQL."""
        check(engine.config.objectives)
        return cls(engine)

    @property
    def section(self) -> Section:
        return self.engine.config.objectives

    @property
    def wanted(self) -> list[Objective]:
        """The objectives of the configuration in force; without any, that on this machine's metrics."""
        if self.section.items or not (self.section.own_host and self.engine.config.collect.host):
            return self.section.items
        return [OWN_HOST]

    async def step(self, now: datetime) -> None:
        """Count what is new, judge, publish."""
        if not self.section.enabled:
            return
        await asyncio.to_thread(self.count, now)
        ticks = [self._tick(one, now) for one in self.judged.values()]
        if ticks:
            await self.engine.collecting.append_derived("objectives", ticks)

    def count(self, now: datetime) -> None:
        """Every objective up to the newest piece of time that is complete."""
        step_ms = round(self.section.resolution.total_seconds() * 1000)
        end_ms = to_ms(now - SETTLE) // step_ms * step_ms
        judged = {}
        for one in self.wanted:
            account = self._account(one, now)
            before = account.error
            catch_up(self.engine, one, account, end_ms, step_ms, now)
            if account.error and account.error != before:
                log.error("objective cannot be counted", objective=one.name, error=account.error)
            judged[one.name] = self.judge(one, account, now)
        self.judged = judged

    def _account(self, one: Objective, now: datetime) -> Account:
        print_of = fingerprint(one, self.section.resolution)
        known = self.accounts.get(one.name)
        if known is None or known.fingerprint != print_of:
            with self.engine.state.begin() as unit:
                known = restored(unit, one.name, print_of, self.engine.config.zone, now)
            self.accounts[one.name] = known
        return known

    def judge(self, one: Objective, account: Account, now: datetime) -> Judged:
        """Every window as of the last piece counted: what is still to be counted is not unknown."""
        target, contract = self.section.target(one), self.section.contract(one)
        step = self.section.resolution + SETTLE + self.section.every
        lagging = now - step * 2
        at = max(min(now, _moment(account.until_ms, now)), lagging)
        first = from_ms(account.first_ms) if account.first_ms else None
        windows: dict[str, Standing] = {}
        for name in one.windows:
            span = span_of(name, at, self.engine.config.zone)
            windows[name] = standing(
                span, account.within(span), target=target, contract=contract.get(name), now=at, first=first
            )  # fmt: skip
        behind = at == lagging  # nothing counted lately: how fast the budget goes is not known
        burns = {
            name: np.nan if behind else burn(account.recent(length), length, target) for name, length in BURNS.items()
        }
        return Judged(objective=one, target=target, account=account, windows=windows, burns=burns)

    def standing(self) -> list[Judged]:
        """Every configured objective; one that was not counted yet is judged on nothing."""
        now = self.engine.clock.now()
        wanted = self.wanted if self.section.enabled else []
        return [self.judged.get(one.name) or self.judge(one, self._account(one, now), now) for one in wanted]

    def chains(self) -> list[tuple[str, list[str], Chain]]:
        """Composites: what their parts can give against what the whole promises."""
        targets = {one.name: self.section.target(one) for one in self.section.items}
        return [
            (whole.name, whole.of, chain([targets[name] for name in whole.of], whole.target))
            for whole in self.section.composites
        ]

    def _tick(self, one: Judged, now: datetime) -> Tick:
        own = {"objective": one.objective.name, "service": one.objective.service, "tier": one.objective.tier}
        found: list[tuple[str, dict[str, str], float]] = [
            ("watchkeeper_slo_target_ratio", {}, float(one.target / 100)),
            ("watchkeeper_slo_counted", {}, float(one.account.recent(BURNS["5m"]).known > 0 and not one.account.error)),
            *(("watchkeeper_burn_rate", {"window": name}, rate) for name, rate in one.burns.items()),
        ]
        for name, each in one.windows.items():
            label: dict[str, str] = {"window": name}
            found += [
                ("watchkeeper_slo_attained_ratio", label, each.attained),
                ("watchkeeper_error_budget_remaining_ratio", label, each.left_ratio),
                ("watchkeeper_slo_unknown_ratio", label, each.unknown_ratio),
            ]
        series = tuple(labels(name, {**own, **more}) for name, more, _ in found)
        target = f"objective/{one.objective.name}"
        if target not in self._layouts or self._layouts[target].series != series:
            self._layouts[target] = Layout(series)
        values = np.array([STALE_NAN if np.isnan(value) else value for _, _, value in found], dtype=np.float64)
        return Tick(target=target, time_ms=to_ms(now), layout=self._layouts[target], values=values)


def schedule(engine: Engine, now: datetime) -> None:
    engine.scheduler.add("objectives", every(engine.config.objectives.every, now + FIRST), engine.objectives.step)


def check(section: Section) -> None:
    """Raises ConfigError with the place of an expression that is no PromQL."""
    for index, one in enumerate(section.items):
        for name in ("query", "good", "total", "exclude"):
            expr: Any = getattr(one, name)
            try:
                if expr:
                    parse(expr)
            except QueryError as error:
                raise ConfigError(f"objectives.items[{index}].{name} ({one.name}): {error}") from None


def _moment(ms: int, now: datetime) -> datetime:
    return from_ms(ms) if ms else now
