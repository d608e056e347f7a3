"""Gates 1 to 5: may we act at all now, and is what we see true and ours to mend?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from remediation.confirm import OBSERVERS, RULE, agreeing
from remediation.situation import Situation, Watched
from watchkeeper.model import RiskClass, Severity, Verdict

from .base import passed, refused, waived

#: Evidence may be this many evaluation intervals old.
FRESH_INTERVALS = 2
#: Fewer bad targets than this are no common cause, however small the estate.
COMMON_TARGETS = 2
#: Fewer unrelated targets than this say nothing about our own connection.
UNRELATED_TARGETS = 2


def switch(s: Situation) -> Verdict:
    """Gate 1: kill switch, change freeze, maintenance window."""
    if s.kill_switch:
        return refused("switch", f"the kill switch is set: {s.kill_switch}")
    for window in s.settings.maintenance:
        named = {target.name for target in s.plan.targets} & set(window.targets)
        if named and window.start <= s.wall < window.end:
            return refused("switch", f"maintenance of {', '.join(sorted(named))} until {window.end.isoformat()}")
    exempt = s.plan.risk is RiskClass.A0 or (s.plan.risk is RiskClass.A1 and s.severity is Severity.P0)
    for freeze in s.settings.freeze:
        if freeze.start <= s.wall < freeze.end and not exempt:
            return refused("switch", f"change freeze until {freeze.end.isoformat()}: {freeze.reason}")
    if s.frozen and not exempt:
        told = s.frozen[0]
        if told.end is None:
            return refused("switch", f"change freeze until it is called off: {told.reason}")
        return refused("switch", f"change freeze until {told.end.isoformat()}: {told.reason}")
    return passed("switch")


def fresh(s: Situation) -> Verdict:
    """Gate 2: the newest evidence is known, finite and at most two intervals old."""
    newest = s.history[-1] if s.history else None
    if newest is None:
        return refused("fresh", "nothing was observed yet")
    if newest.bad is None:
        return refused("fresh", f"the evidence is unknown: {newest.reason or 'no reason given'}")
    limit = FRESH_INTERVALS * s.rule.interval
    if newest.newest_sample_at is None:
        return refused("fresh", "the evidence names no sample")
    for what, moment in (("observation", newest.at), ("newest sample", newest.newest_sample_at)):
        age = s.wall - moment
        if age > limit or age < -limit:
            return refused("fresh", f"the {what} is {age.total_seconds():.0f} s old, limit {limit.total_seconds():.0f}")
    if not all(math.isfinite(value) for _, value in newest.series):
        return refused("fresh", "a value of the evidence is not finite")
    return passed("fresh", age_seconds=(s.wall - newest.newest_sample_at).total_seconds())


def confirmed(s: Situation) -> Verdict:
    """Gate 3: k of n bad, by two independent observers; a dual link names its own."""
    if verdict := waived("confirmed", s):
        return verdict
    k, n = s.rule.confirm_k, s.rule.confirm_n
    voices = agreeing(s.history, k, n)
    missing = sorted(set(s.link.link.observers) - set(voices)) if s.link else []
    if RULE not in voices or len(voices) < OBSERVERS or missing:
        lacks = f"; {', '.join(missing)} did not confirm" if missing else ""
        return refused("confirmed", f"{len(voices)} of {OBSERVERS} observers saw {k} of {n} bad{lacks}", voices=voices)
    return passed("confirmed", voices=voices)


def isolation(s: Situation) -> Verdict:
    """Gate 4: canaries or unrelated targets dark too? Then we are cut off, and know nothing."""
    if s.isolated:
        return refused("isolation", s.isolated)
    verdict = cut_off(s.rule.service, s.settings.canaries, s.canaries, s.watched)
    if verdict.passed and not heard(s.settings.canaries, s.canaries, s.asked, s.onset):
        return refused("isolation", f"no canary was tried since the fault began ({', '.join(s.settings.canaries)})")
    return verdict


def heard(
    named: Sequence[str],
    canaries: Mapping[str, bool | None],
    asked: Mapping[str, datetime],
    onset: datetime | None,
) -> bool:
    """A canary answered since the fault began: what it said before tells nothing of a cut that came with the fault.

    True too when none answers at all: gate 4 has a better reason then.
    """
    answer = [name for name in named if canaries.get(name) is True]
    return onset is None or not answer or any(asked.get(name, onset) >= onset for name in answer)


def cut_off(
    service: str, named: Sequence[str], canaries: Mapping[str, bool | None], watched: Sequence[Watched]
) -> Verdict:
    """The verdict of gate 4 by what we reach: of the named canaries one is enough, of unrelated targets half."""
    if named and not any(canaries.get(name) is True for name in named):
        return refused("isolation", f"no canary answers ({', '.join(named)}): we are cut off")
    unrelated = [each for each in watched if each.service != service]
    dark = [each.name for each in unrelated if each.up is not True]
    if len(unrelated) >= UNRELATED_TARGETS and 2 * len(dark) > len(unrelated):
        return refused("isolation", f"{len(dark)} of {len(unrelated)} unrelated targets are dark too", dark=dark[:20])
    return passed("isolation")


def common_cause(s: Situation) -> Verdict:
    """Gate 5: much went bad together: diagnose and page, change nothing. A dual link counts other services only."""
    since = (s.onset or s.wall) - s.settings.common_window
    services = {name for name, at in s.bad_services.items() if at >= since}
    if s.link:
        services.discard(s.rule.service)
    if len(services) >= s.settings.common_services:
        return refused("common_cause", f"{len(services)} services went bad together", services=sorted(services))
    counted = [watched for watched in s.watched if not s.link or watched.service != s.rule.service]
    bad = _bad_together(counted, s, s.settings.common_window)
    if len(bad) >= COMMON_TARGETS and len(bad) >= s.settings.common_share * len(counted):
        return refused("common_cause", f"{len(bad)} of {len(counted)} targets went bad together", targets=bad[:20])
    return passed("common_cause")


def _bad_together(watched: Sequence[Watched], s: Situation, window: timedelta) -> list[str]:
    since = (s.onset or s.wall) - window
    return [each.name for each in watched if each.bad_since is not None and each.bad_since >= since]
