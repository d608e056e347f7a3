"""Leaps over beats at which all is well and will stay so: what each would have changed is done for all of them at once.

Such a beat writes nothing. It adds an observation to the rule's history and two good probes to the link, reads the
target when that is due, and time passes. ``test_hours`` compares hours lived through with the same ones leapt over.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from remediation import links, steady
from remediation.confirm import LEAVE_AFTER, History
from remediation.probing import Heard
from rules.observe import observe
from watchkeeper.model import ActionRecord, ActionState

if TYPE_CHECKING:
    from support.hours import Hours


def uneventful(hours: Hours, at_most: int) -> int:
    """Over how many beats may be leapt, from here."""
    beats = min(hours.uneventful_drawn(), at_most)
    if beats <= 0 or not _world_rests(hours):
        return 0
    return max(min(beats, _mind_rests(hours)), 0)


def _world_rests(hours: Hours) -> bool:
    from support.hours import healthy

    next_beat = hours.clock.monotonic() + _beat().total_seconds()
    serving = hours.pool.servers["web1"]["state"] == "ready"
    cut = hours.partition is not None and next_beat < hours.until
    return (
        hours.fault is healthy and serving and not cut and next_beat >= hours.lingers_until and hours.canary_every == 1
    )


def _mind_rests(hours: Hours) -> int:
    """At so many beats the remediator, seeing that all is well, would find nothing to do."""
    mind, rule, now = hours.remediator, hours.rules[0].name, hours.clock.now()
    clock, link = mind._steady, hours.settings.links[0]
    if clock is None or clock._written is None or clock._last is None:
        return 0
    if clock._last[1] != hours.clock.monotonic() or link.target not in mind._read_at or mind._cuts._cuts:
        return 0
    if mind.phase(link.name) is not links.Phase.PRIMARY or not mind._histories[rule].seen:
        return 0
    left = [int((clock._written + steady.KEEP_EVERY - now) / _beat()) - 1]
    with hours.state.read() as unit:
        left += [_waits(record, mind._histories[rule], now - mind.people.skew) for record in unit.actions.active()]
    return min(left)


def _waits(record: ActionRecord, history: History, now: datetime) -> int:
    """Beats before an action that is being confirmed is cleared, or its time is over. None for any other one."""
    if record.state is not ActionState.CONFIRMING:
        return 0
    good = 0
    for seen in reversed(history.seen):
        if seen.bad is not False:
            break
        good += 1
    deadline = datetime.fromisoformat(str(record.progress["deadline"]))
    return min(LEAVE_AFTER - good - 1, int((deadline - now) / _beat()) - 1)


def leap(hours: Hours, beats: int) -> None:
    from support.hours import BEAT, ERRORS, FRONT, PROBED

    mind, link = hours.remediator, hours.settings.links[0]
    rule, moments = hours.rules[0], list[datetime]()
    for _ in range(beats):
        hours.clock.advance(BEAT)
        moments.append(hours.clock.now())
    now = moments[-1]
    hours.beats += beats
    hours.samples.update(dict.fromkeys(PROBED, (now, 1.0)))
    hours.samples[FRONT], hours.samples[ERRORS] = (now, 1.0), (now, 0.0)
    seen = observe(rule, now, hours.query, hours.newest)
    for at in moments[-History.KEEP :]:
        looked = replace(seen, at=at, newest_sample_at=at, sampled=dict.fromkeys(seen.sampled, at))
        mind._histories[rule.name].add(looked, at - mind.people.skew, hours.settings.flap_window)
    state = mind._links[link.name]
    for _ in range(min(beats, max(links.PROBES, link.return_good))):
        state = links.follow(state, link, True, True, now - mind.people.skew)
    heard = Heard(now, timedelta(seconds=BEAT))  # the default of ``Facts.newest``: every look has a sample of its own
    mind._links[link.name] = replace(state, heard=(heard, heard))
    for at in moments:
        if at - mind.people.skew - mind._read_at[link.target] >= hours.settings.read_every:
            mind._read_at[link.target] = at - mind.people.skew
    assert mind._steady is not None
    mind._steady._last = (now, hours.clock.monotonic())
    hours.drawn(beats)


def _beat() -> timedelta:
    from support.hours import BEAT

    return timedelta(seconds=BEAT)
