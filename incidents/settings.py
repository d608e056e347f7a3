"""Options of the section ``incidents``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT, Duration
from watchkeeper.model import Matcher, MatchOp, Severity

from .calendar import Calendar
from .clocks import DEFAULT_CLOCKS, ResponseClock, SecurityClock
from .mute import InhibitRule
from .routing import Route

DEFAULT_WAIT = {
    Severity.P0: timedelta(0),
    Severity.P1: timedelta(0),
    Severity.P2: timedelta(seconds=30),
    Severity.P3: timedelta(minutes=5),
}
DEFAULT_REPEAT = {
    Severity.P0: timedelta(minutes=30),
    Severity.P1: timedelta(hours=1),
    Severity.P2: timedelta(hours=4),
    Severity.P3: timedelta(hours=24),
}
#: What is down need not also be slow: a dead instance mutes the lesser alerts about the same instance.
DEFAULT_INHIBIT = (
    InhibitRule(
        source=(Matcher("alertname", MatchOp.EQUAL, "ServiceDown"),),
        target=(Matcher("alertname", MatchOp.NOT_EQUAL, "ServiceDown"), Matcher("instance", MatchOp.NOT_EQUAL, "")),
        equal=("job", "instance"),
    ),
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    group_by: tuple[str, ...] = ("service/job", "environment")  #: labels of one incident; a/b is the first that is set
    group_wait: Mapping[Severity, Duration] = Field(default_factory=lambda: dict(DEFAULT_WAIT))  #: before the first
    group_interval: Duration = timedelta(minutes=5)  #: between messages about more alerts of the same incident
    repeat_interval: Mapping[Severity, Duration] = Field(default_factory=lambda: dict(DEFAULT_REPEAT))  #: unanswered
    reopen_within: Duration = timedelta(minutes=10)  #: a resolved incident is opened again instead of a new one
    clocks: Mapping[Severity, ResponseClock] = Field(default_factory=lambda: dict(DEFAULT_CLOCKS))
    security_clock: SecurityClock = Field(default_factory=SecurityClock)  #: for alerts with family="security"
    warn_at: float = Field(default=0.8, gt=0, le=1)  #: share of a clock after which people are warned
    answering_starts_work: bool = True  #: acknowledging stops the second clock too
    calendar: Calendar = Field(default_factory=Calendar)
    inhibit: tuple[InhibitRule, ...] = DEFAULT_INHIBIT
    routes: tuple[Route, ...] = ()  #: first match wins; none: every channel
    dependencies: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)  #: service -> services it needs

    def wait(self, severity: Severity) -> timedelta:
        return self.group_wait.get(severity, DEFAULT_WAIT[severity])

    def repeat(self, severity: Severity) -> timedelta:
        return self.repeat_interval.get(severity, DEFAULT_REPEAT[severity])
