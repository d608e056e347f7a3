"""Dual links: which side serves, how well both are, and when the way back is open. Pure, one step at a time.

PRIMARY --(the rule, confirmed)--> BACKUP --(dwell over, primary good n times)--> HALF_OPEN
   ^                                  ^----------(one probe not good)---------------|
   '------------------(good for the whole hold, through the same gates)-------------'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from watchkeeper.model import Observation, RemedyRule

from .actions import kind_of
from .probing import SAME, Heard, Word
from .settings import Link
from .situation import LinkView

#: Suffix of the rule that leads back to the primary.
RETURN = ":return"
#: Probes of the other side that gate 9 looks at.
PROBES = 4


class Phase(StrEnum):
    PRIMARY = "primary"
    BACKUP = "backup"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """``since``: steady time at which the serving side began; None: it always did."""

    phase: Phase = Phase.PRIMARY
    since: datetime | None = None
    half_open_since: datetime | None = None
    primary: tuple[bool | None, ...] = ()  #: newest last; None is unknown, and unknown is not good
    backup: tuple[bool | None, ...] = ()
    heard: tuple[Heard, Heard] = (Heard(), Heard())  #: of primary and backup


def load(kept: Mapping[str, Any] | None) -> LinkState:
    """From the document of the last switch. Probes and half-open start anew after a restart."""
    if not kept:
        return LinkState()
    return LinkState(phase=Phase(kept["side"]), since=datetime.fromisoformat(kept["since"]))


def served(state: LinkState, kept: Mapping[str, Any] | None) -> LinkState:
    """Follow a switch that the ledger knows of."""
    fresh = load(kept)
    if fresh.since == state.since:
        return state
    return replace(fresh, primary=state.primary, backup=state.backup, heard=state.heard)


def follow(state: LinkState, link: Link, primary: Word, backup: Word, now: datetime) -> LinkState:
    """One look at both sides more."""
    keep = max(PROBES, link.return_good)
    probed = replace(state, primary=_with(state.primary, primary)[-keep:], backup=_with(state.backup, backup)[-keep:])
    if probed.phase is Phase.PRIMARY:
        return probed
    if not probed.primary or probed.primary[-1] is not True:  # hysteresis: all of it anew
        return replace(probed, phase=Phase.BACKUP, half_open_since=None)
    recent = probed.primary[-link.return_good :]
    dwelt = probed.since is None or now - probed.since >= link.dwell
    if probed.phase is Phase.BACKUP and dwelt and len(recent) == link.return_good and all(recent):
        return replace(probed, phase=Phase.HALF_OPEN, half_open_since=now)
    return probed


def _with(probes: tuple[bool | None, ...], said: Word) -> tuple[bool | None, ...]:
    return probes if said == SAME else (*probes, said)


def may_return(state: LinkState, link: Link, now: datetime) -> bool:
    """True when half-open held long enough."""
    return (
        state.phase is Phase.HALF_OPEN
        and state.half_open_since is not None
        and now - state.half_open_since >= link.hold
    )


def view(
    state: LinkState, link: Link, now: datetime, *, returning: bool, pin: Mapping[str, Any] | None = None
) -> LinkView:
    """What gates see of it. ``pin``: the document of a person who keeps the link where it is."""
    pin = pin or {}
    other = state.primary if returning else state.backup
    return LinkView(
        link=link,
        other_probes=other[-PROBES:],
        serving_since=state.since,
        returning=returning,
        half_open=may_return(state, link, now),
        pinned=str(pin.get("side", "")),
        pinned_why=f"{pin['user']}: {pin['reason']}" if pin else "",
    )


def failover_rule(rule: RemedyRule, link: Link) -> RemedyRule:
    """The user's rule with the plan that the link declares, unless the rule brings its own."""
    return replace(rule, target=link.target, service=rule.service or link.service, parameters=_failover(rule, link))


def return_rule(rule: RemedyRule, link: Link) -> RemedyRule:
    """The rule for the way back: same gates, same kind of plan."""
    return replace(
        rule,
        name=rule.name + RETURN,
        when=link.primary_probe,
        target=link.target,
        service=rule.service or link.service,
        parameters=_way_back(rule, link),
    )


def _failover(rule: RemedyRule, link: Link) -> Mapping[str, object]:
    if rule.parameters:
        own: Any = rule.parameters.get("failover", rule.parameters)
        return dict(own)
    return _switch(rule, serving=link.backup, idle=link.primary, idle_state="drain")


def _way_back(rule: RemedyRule, link: Link) -> Mapping[str, object]:
    own: Any = rule.parameters.get("return")
    if rule.parameters:
        return dict(own or {})  # a rule with its own way there and none back: nothing
    return _switch(rule, serving=link.primary, idle=link.backup, idle_state=link.backup_idle)


def _switch(rule: RemedyRule, *, serving: str, idle: str, idle_state: str) -> Mapping[str, object]:
    """As the kind of target puts it; one that has no words for a switch leaves it to the rule, so nothing here."""
    words = kind_of(rule.action).link
    if words == "servers":
        return {"servers": {serving: {"state": "ready"}, idle: {"state": idle_state}}}
    return {"primary": serving} if words == "primary" else {}


def return_observation(seen: Observation, state: LinkState, link: Link, now: datetime) -> Observation:
    """``bad`` reads "ready to go back": half-open long enough, and every witness says the primary is good."""
    return Observation(
        rule=seen.rule + RETURN,
        at=seen.at,
        bad=may_return(state, link, now),
        observers={name: None if bad is None else not bad for name, bad in seen.observers.items()},
        sampled=seen.sampled,
        newest_sample_at=seen.newest_sample_at,
        reason=f"{link.primary} was probed good throughout half-open",
    )
