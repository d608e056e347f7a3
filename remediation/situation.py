"""Everything a gate may look at, gathered before any gate is asked: gates are pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from watchkeeper.model import Approval, Intent, Labels, Matcher, Observation, Plan, RemedyRule, RiskClass, Severity
from watchkeeper.model.incident import Incident
from watchkeeper.ports import Reading

from .settings import Link, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a plan would do to its target, told by the kind from the reading alone."""

    touched: Sequence[str]  #: members whose state would differ; the blast radius counts them
    healthy_after: float  #: members known to be healthy
    total: float
    floor: float  #: declared; never below
    ceiling: float  #: declared; never above
    direction: str  #: "in" takes capacity away, "out" adds or gives back, "switch:<to>", "same"
    risk: RiskClass
    unchecked_after: float = 0.0  #: members that would serve and whose health nobody looks at yet: no gate counts them
    scaling: bool = False  #: the size of a pool changes, within floor and ceiling
    problem: str = ""  #: why the kind itself would refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One collected target of the estate, as the roof sees it."""

    name: str
    service: str
    up: bool | None  #: None: cannot be known, which counts as dark
    bad_since: datetime | None = None


class Query(Protocol):
    """PromQL at a moment; see ``watchkeeper.ports.Query``."""

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]: ...


#: Time of the newest sample that a selector sees at a moment; None when there is none.
Newest = Callable[[Sequence[Matcher], datetime], datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the roof knows beside the observations."""

    query: Query
    newest: Newest = lambda _matchers, at: at
    incidents: Sequence[Incident] = ()  #: open ones
    watched: Sequence[Watched] = ()
    bad_services: Mapping[str, datetime] = field(default_factory=dict)  #: service -> bad since
    canaries: Mapping[str, bool | None] = field(default_factory=dict)  #: name -> reachable
    asked: Mapping[str, datetime] = field(default_factory=dict)  #: canary -> when it was last tried; none: just now
    leader: bool = True  #: this engine holds the lease
    freezes: Sequence[Frozen] = ()  #: those that are on now
    quality: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  #: link -> its providers, rated


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A change freeze that is on, told as an event. Empty service or environment: all."""

    reason: str
    service: str = ""
    environment: str = ""
    end: datetime | None = None  #: none: until it is called off

    def means(self, rule: RemedyRule) -> bool:
        """A rule that names no environment is meant by every freeze of its service."""
        where = rule.incident_labels.get("environment", self.environment)
        return self.service in ("", rule.service) and self.environment in ("", where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A committed intent as cooldowns and budgets see it. ``at`` is steady time."""

    at: datetime
    action_id: str
    rule: str
    target: str
    operation: str  #: execute | rollback
    direction: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an action that had an effect ended, as breakers see it. ``at`` is steady time."""

    at: datetime
    rule: str
    target: str
    ok: bool
    rollback_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """An action between ARMED and its end."""

    action_id: str
    rule: str
    target: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A dual link at this moment."""

    link: Link
    other_probes: Sequence[bool | None] = ()  #: last four probes of the side that would carry the load, newest last
    serving_since: datetime | None = None  #: when the serving side began to serve; None: it always did
    returning: bool = False  #: the plan goes back to the primary
    half_open: bool = False  #: the way back was probed good long enough
    pinned: str = ""  #: side that a person keeps it on: primary | backup; empty: not pinned
    pinned_why: str = ""  #: who did it, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``now`` is steady time (no jumps), ``wall`` the clock that samples carry."""

    now: datetime
    wall: datetime
    rule: RemedyRule
    plan: Plan
    impact: Impact
    reading: Reading | None
    history: Sequence[Observation]  #: of this rule, newest last
    settings: Settings
    severity: Severity
    action_id: str = ""
    requester: str = ""
    kill_switch: str = ""  #: why it is set; empty: not set
    isolated: str = ""  #: why nothing we see may be trusted now: just woke, clock jumped
    watched: Sequence[Watched] = ()
    bad_services: Mapping[str, datetime] = field(default_factory=dict)
    canaries: Mapping[str, bool | None] = field(default_factory=dict)
    asked: Mapping[str, datetime] = field(default_factory=dict)
    onset: datetime | None = None  #: wall time of the first bad observation of this episode
    onsets: Sequence[datetime] = ()  #: steady times at which the symptom began, of the flap window
    changes: Sequence[datetime] = ()  #: steady times at which the target changed, by whomever
    idle_since: datetime | None = None  #: steady time since when every observation was known and bad
    foreign_at: datetime | None = None  #: steady time at which somebody else's change was noticed
    effects: Sequence[Effect] = ()  #: of the last 24 hours
    ended: Sequence[Ended] = ()  #: oldest first
    in_flight: Sequence[InFlight] = ()  #: other actions
    approvals: Sequence[Approval] = ()
    declared: bool = False
    graduated: bool = False
    rehearsed: bool = False
    leader: bool = True
    intent: Intent | None = None  #: the committed row, read back
    used_keys: frozenset[str] = frozenset()  #: idempotency keys of earlier intents of other actions
    link: LinkView | None = None
    guards: Mapping[str, float | None] = field(default_factory=dict)  #: guarded SLIs now; None: unknown
    frozen: Sequence[Frozen] = ()  #: freezes told as events that mean this rule
    waived: frozenset[str] = frozenset()  #: gates a person waived, with a written reason
