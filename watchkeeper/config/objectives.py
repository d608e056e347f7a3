"""``objectives:`` service levels that were promised. The arithmetic is in ``analytics/``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration

Window = Literal["month", "year", "30d"]
#: Names become values of the label ``objective``.
Name = Annotated[str, Field(pattern=r"^[\w.-]{1,60}$")]
#: Exact per cent; 100 leaves no error budget, and nothing could ever be measured against it.
Percent = Annotated[Decimal, Field(gt=0, lt=100)]
Minutes = Annotated[Decimal, Field(gt=0)]
#: Options that each kind needs.
NEEDS = {"uptime": ("query",), "ratio": ("good", "total"), "threshold": ("query",)}
#: A year of minutes is counted minute by minute; finer would cost more than it tells.
FINEST = timedelta(seconds=5)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tier(Section):
    """What every service of a tier promises unless it says otherwise."""

    target: Percent  #: per cent, exact
    contract_minutes: dict[Window, Minutes] = {}  #: allowed bad minutes as the contract writes them


#: Shipped tiers: the figures of the contract (month of 730 h for core, of 30 days for the others).
TIERS: Mapping[str, Tier] = {
    "core": Tier(target=Decimal("99.9"), contract_minutes={"month": Decimal("43.8")}),
    "agent": Tier(target=Decimal("99.5"), contract_minutes={"month": Decimal(216)}),
    "support": Tier(target=Decimal("99.0"), contract_minutes={"month": Decimal(432)}),
}


class Maintenance(Section):
    """A planned window that counts neither as good nor as bad."""

    start: AwareDatetime  #: with its zone, for example 2026-03-01T02:00:00+08:00
    end: AwareDatetime
    reason: str

    @model_validator(mode="after")
    def _order(self) -> Maintenance:
        if self.end <= self.start:
            raise ValueError("a maintenance window ends after it starts")
        return self


class Objective(Section):
    """One promise: a share of time or of requests that is good."""

    name: Name
    title: str = ""  #: for people; empty: the name
    service: str = ""  #: becomes the label `service` of its series
    tier: str = "core"  #: core, agent, support or one of `tiers`
    owner: str = ""  #: who answers for it
    description: str = ""  #: what is promised, in words
    kind: Literal["uptime", "ratio", "threshold"] = "uptime"
    query: str = ""  #: uptime: PromQL, above 0 is up; threshold: PromQL of the measured value
    combine: Literal["worst", "best"] = "worst"  #: several series: all must be good, or one is enough
    good: str = ""  #: ratio: PromQL of good events a second
    total: str = ""  #: ratio: PromQL of all events a second
    at_most: float | None = None  #: threshold: a minute is good up to this value
    at_least: float | None = None  #: threshold: a minute is good from this value on
    exclude: str = ""  #: PromQL; time in which it is above 0 does not count
    maintenance: list[Maintenance] = []  #: planned windows that do not count
    target: Percent | None = None  #: per cent, exact; none: that of the tier
    contract_minutes: dict[Window, Minutes] = {}  #: allowed bad minutes as the contract writes them
    windows: list[Window] = Field(default=["month", "year", "30d"], min_length=1)
    baseline: Annotated[Decimal, Field(ge=0, le=100)] | None = None  #: per cent from which improvement is counted
    due: date | None = None  #: day by which the target is to be reached

    @model_validator(mode="after")
    def _complete(self) -> Objective:
        missing = [name for name in NEEDS[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"an objective of kind {self.kind} needs {' and '.join(missing)}")
        if (self.kind == "threshold") != (self.at_most is not None or self.at_least is not None):
            raise ValueError("kind: threshold needs at_most or at_least, and nothing else takes them")
        return self


class Composite(Section):
    """A promise over services that must all work."""

    name: Name
    target: Percent  #: per cent, exact
    of: list[Name] = Field(min_length=1)  #: names of objectives


class Objectives(Section):
    enabled: bool = True
    every: Duration = timedelta(minutes=1)  #: how often new minutes are counted
    resolution: Duration = timedelta(minutes=1)  #: time is judged in pieces of this length; divides the hour
    own_host: bool = True  #: without any objective: one on the metrics of this machine
    tiers: dict[str, Tier] = {}  #: more tiers, or other figures for the shipped ones
    items: list[Objective] = []
    composites: list[Composite] = []

    @model_validator(mode="after")
    def _fits(self) -> Objectives:
        names = [one.name for one in self.items]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two objectives share the name {twice[0]!r}; names must differ")
        _check_tiers(self)
        for whole in self.composites:
            unknown = [name for name in whole.of if name not in names]
            if unknown:
                raise ValueError(f"composite {whole.name!r} names {unknown[0]!r}, which is no objective")
        step = self.resolution
        if step < FINEST or timedelta(hours=1) % step:
            raise ValueError("resolution divides the hour and is 5s at least, for example 15s, 1m or 5m")
        return self

    def tier(self, name: str) -> Tier:
        return {**TIERS, **self.tiers}[name]

    def target(self, one: Objective) -> Decimal:
        """Per cent, exact."""
        return one.target if one.target is not None else self.tier(one.tier).target

    def contract(self, one: Objective) -> Mapping[Window, Decimal]:
        """The contract's minutes: its own, and those of the tier while the target is the tier's."""
        tier = self.tier(one.tier)
        return {**(tier.contract_minutes if self.target(one) == tier.target else {}), **one.contract_minutes}


def _check_tiers(section: Objectives) -> None:
    known = {**TIERS, **section.tiers}
    for one in section.items:
        if one.tier not in known:
            raise ValueError(f"objective {one.name!r} is of tier {one.tier!r}; there are {', '.join(sorted(known))}")
