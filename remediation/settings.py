"""Options of remediation: how much, how often and when anything may be changed at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT, Duration
from watchkeeper.errors import ConfigError


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("write the time zone too, for example 2026-11-22T21:00:00+08:00")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Budgets:
    """Effects that may be started, all services together; counted from committed intents."""

    failovers: Count = 1  #: switches of service per ``window``
    actions: Count = 5  #: actions of any kind per ``window``
    per_day: Count = 20  #: actions of any kind in 24 hours
    window: Duration = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Breakers:
    """When failing actions stop themselves."""

    rule_failures: Count = 3  #: failures of one rule, or on one target, within ``window`` that open its breaker
    global_failures: Count = 5  #: failures of all rules together within ``window``
    rollback_failures: Count = 2  #: rollbacks that failed within ``window``
    window: Duration = timedelta(hours=1)
    rest: Duration = timedelta(hours=1)  #: how long an open breaker waits before it lets one action through


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Maintenance:
    """Named targets that people work on: nothing is done there, what would have been done is recorded."""

    targets: list[str]
    start: Moment
    end: Moment
    owner: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Freeze:
    """A change freeze: only A0, and A1 for a P0."""

    start: Moment
    end: Moment
    reason: str = ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Link:
    """A declared primary and backup of one service, switched by one target."""

    name: str
    service: str
    target: str  #: target whose members ``primary`` and ``backup`` are
    primary: str
    backup: str
    primary_probe: str  #: PromQL of the active probe: good while every series is above 0; no series is unknown
    backup_probe: str
    backup_capacity: Share = 1.0  #: share of the full load that the backup carries; declared by its owner
    needed_capacity: Share = 1.0  #: share of the full load that must be carried after a switch
    hold: Duration = timedelta(minutes=5)  #: how long the symptom must stay gone, and how long half-open lasts
    dwell: Duration = timedelta(minutes=10)  #: least time on one side before the way back is even considered
    cooldown: Duration = timedelta(minutes=10)
    budget: Count = 1  #: switches per ten minutes
    backup_idle: Literal["drain", "ready"] = "drain"  #: state of the backup while the primary serves
    return_good: Count = 10  #: good probes in a row before the way back
    observers: list[str] = Field(default_factory=lambda: ["passive"])  #: names of observers a rule must bring along
    primary_cost: Annotated[float, Field(ge=0)] = 0.0  #: money an hour while it serves; published, for people to weigh
    backup_cost: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """Everything under ``remediation:`` in watchkeeper.yaml."""

    enabled: bool = True  #: off: rules are read, nothing is proposed
    kill_switch_file: Path = Path("kill-switch")  #: below the data folder; while it exists nothing is executed
    targets: list[dict[str, Any]] = Field(default_factory=list)  #: name, kind and the options of the kind
    links: list[Link] = Field(default_factory=list)
    canaries: list[str] = Field(default_factory=list)  #: two fixed places outside; both dark means we are cut off
    maintenance: list[Maintenance] = Field(default_factory=list)
    freeze: list[Freeze] = Field(default_factory=list)
    budgets: Budgets = Field(default_factory=Budgets)
    breakers: Breakers = Field(default_factory=Breakers)
    cooldown: Duration = timedelta(minutes=10)  #: least time between two actions on a target; a rule may ask for more
    foreign_hold: Duration = timedelta(minutes=30)  #: hands off a target after somebody else changed it
    flap_changes: Count = 4  #: changes of a target, or onsets of a symptom, within ``flap_window`` that mean hands off
    flap_window: Duration = timedelta(minutes=10)
    common_share: Share = 0.3  #: share of targets that went bad together which means a common cause
    common_services: Count = 3  #: services that went bad together which mean a common cause
    common_window: Duration = timedelta(seconds=60)
    blast_share: Share = 0.1  #: share of a pool one action may touch; one member is always allowed
    healthy_share: Share = 2 / 3  #: share of a pool that must be healthy afterwards (two of three)
    small_pool: Count = 3  #: smaller pools need a person's approval
    approval_lifetime: Duration = timedelta(minutes=15)
    declaration_lifetime: Duration = timedelta(days=90)
    graduation_days: Duration = timedelta(days=14)
    graduation_proposals: Count = 20
    graduation_right: Share = 0.95
    verify_within: Duration = timedelta(seconds=30)  #: first verdict on the symptom after an effect
    guard_tolerance: Annotated[float, Field(ge=0.0)] = 0.1  #: how much of its value a guard may rise, for noise
    deadline: Duration = timedelta(minutes=15)  #: from proposal to the end, without waiting for people and hold
    retry_after: Duration = timedelta(seconds=60)  #: least time between a refusal and the next proposal of the rule
    observe_after_gap: Duration = timedelta(seconds=30)  #: observe only, after a pause or a jump of the clock
    scale_in_after: Duration = timedelta(minutes=5)  #: how long idle must last, known all the time, before scale-in
    read_every: Duration = timedelta(seconds=30)  #: how often targets are read to notice foreign changes
    default_severity: Annotated[str, Field(pattern="^P[0-3]$")] = "P2"  #: of a proposal that belongs to no incident

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)

    def target(self, name: str) -> Mapping[str, Any] | None:
        """The configured target; an empty or unknown name is nothing, never everything."""
        return next((target for target in self.targets if name and target.get("name") == name), None)

    def __post_init__(self) -> None:
        names = [str(target.get("name", "")) for target in self.targets]
        for number, target in enumerate(self.targets):
            if not target.get("name") or not target.get("kind"):
                raise ConfigError("a target needs a name and a kind", key=f"remediation.targets.{number}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"two targets share the name {twice[0]!r}; names must differ", key="remediation.targets")
        for number, link in enumerate(self.links):
            if link.target not in names:
                raise ConfigError(
                    f"{link.target!r} is not a configured target", key=f"remediation.links.{number}.target"
                )
            if link.primary == link.backup:
                raise ConfigError("primary and backup must differ", key=f"remediation.links.{number}.backup")
