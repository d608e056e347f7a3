"""Remediation rules as the rules room reads them and the remediation room obeys them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from watchkeeper.model.action import Mode
from watchkeeper.model.series import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTime:
    """Hours of some days in which at least ``min`` workers run. One that ends before it starts goes past midnight."""

    days: Sequence[int]  #: 0 is Monday; the day on which it starts
    start: time
    end: time
    zone: str  #: IANA name
    min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many workers a rule wants: so many that each has at most ``per_worker`` of the load."""

    direction: str  #: out adds only, in takes away only
    load: str  #: PromQL, one number: work that waits, or that arrives in a second
    per_worker: float  #: load that one worker carries
    min: int
    max: int
    step: int  #: workers added or taken away at most, by one action
    tolerance: float = 0.1  #: share by which the load may differ from what is running without a change
    forecast: str = ""  #: PromQL, one number: the load to come; the greater of the two counts
    schedule: Sequence[ScaleTime] = ()
    cost_per_worker: float = 0.0  #: money for one worker and hour
    cost_ceiling: float = 0.0  #: money an hour that all workers together may cost; 0: no limit
    cost_guard: str = ""  #: PromQL; nothing is added while it returns series or a value other than 0, or is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderLevel:
    """One level of service. ``place``: 0 is the best; ``timeout``: what a request may spend on it before the next."""

    place: int
    name: str
    state: Mapping[str, object]
    timeout: timedelta
    enter: str  #: PromQL that leads down to it; empty for the best
    leave: str  #: PromQL that must hold to go up again; empty for the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Levels of service, best first; its steps are remediation rules of their own, named ``steps``."""

    name: str
    service: str
    target: str
    level: str  #: PromQL of the level that the application itself says it is on
    budget: timedelta  #: a request may take so long in all; 0: not said
    dwell: timedelta  #: least time on a level, and how long ``leave`` must hold
    levels: Sequence[LadderLevel]
    steps: Sequence[str]
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a rule's action is to do to one number; said beforehand, compared afterwards."""

    metric: str  #: PromQL; of several series the worst counts
    sense: str  #: at_most | at_least | about | other_than
    value: float
    cost_per_hour: float | None = None  #: money an hour that it costs more; below 0: less, None: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyRule:
    """``when`` says that something is wrong, ``observers`` who else sees it, ``verify`` that it is over."""

    name: str
    when: str  #: PromQL; the rule is bad while it returns series (comparison) or a value other than 0
    confirm_k: int = 3  #: bad evaluations needed ...
    confirm_n: int = 4  #: ... out of this many
    observers: Mapping[str, str] = field(default_factory=dict)  #: witnesses: name -> PromQL, bad as ``when``
    action: str  #: kind of action
    target: str  #: name of a configured target; empty means nothing, never everything
    parameters: Mapping[str, object] = field(default_factory=dict)
    scale: Scale | None = None  #: the number wanted follows from a load; instead of ``parameters``
    mode: Mode = Mode.DRY_RUN
    owner: str = ""
    verify: str  #: PromQL of the symptom; gone when it returns no series or only 0
    expect: Expectation | None = None  #: what its action is to do to a number
    guards: Sequence[str] = ()  #: PromQL of SLIs that must not get worse while verifying (higher is worse)
    rollback: Mapping[str, object] | str = "before"  #: "before" restores what was read, "none", or a state of its own
    hold: timedelta = timedelta(minutes=5)  #: how long the symptom must stay gone
    cooldown: timedelta = timedelta(minutes=10)
    interval: timedelta = timedelta(seconds=15)
    service: str = ""
    incident_labels: Mapping[str, str] = field(default_factory=dict)  #: joins the open incident that has these labels
    link: str = ""  #: name of the dual link this rule switches, empty for none
    on_request: bool = False  #: never opened by its own expression: a person or a contingency plan asks for it
    version: str = ""  #: hash of the rule's own text
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One evaluation of one remediation rule. ``fresh``: newest sample used is at most two intervals old."""

    rule: str
    at: datetime
    bad: bool | None  #: None when it cannot be known: no data, stale, not finite, or the query failed
    series: Sequence[tuple[Labels, float]] = ()
    observers: Mapping[str, bool | None] = field(default_factory=dict)
    sampled: Mapping[str, datetime] = field(default_factory=dict)  #: observer -> its newest sample, when it has one
    newest_sample_at: datetime | None = None
    reason: str = ""
