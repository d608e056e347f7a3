"""Gates 6 to 9: is the target quiet, ours, able, and is the change small enough?"""

from __future__ import annotations

import math

from remediation.situation import Situation
from watchkeeper.model import Verdict

from .base import passed, refused, waived

#: Good probes of the other side of a dual link, of the last four, the newest among them.
LINK_PROBES_GOOD, LINK_PROBES = 3, 4


def flapping(s: Situation) -> Verdict:
    """Gate 6: what changes four times in ten minutes is not mended by a fifth change."""
    if verdict := waived("flapping", s):
        return verdict
    limit = s.link.link.budget + s.settings.flap_changes if s.link else s.settings.flap_changes
    counts = {"changes of the target": s.changes, "onsets of the symptom": s.onsets}
    for what, moments in counts.items():
        recent = [moment for moment in moments if s.now - moment < s.settings.flap_window]
        if len(recent) >= limit:
            return refused("flapping", f"{len(recent)} {what} in {s.settings.flap_window}, limit {limit}")
    return passed("flapping")


def drift(s: Situation) -> Verdict:
    """Gate 7: the target is not as we left it: somebody else acts, so we yield."""
    if s.foreign_at is not None and s.now - s.foreign_at < s.settings.foreign_hold:
        left = s.settings.foreign_hold - (s.now - s.foreign_at)
        return refused("drift", f"somebody else changed the target; hands off for {left.total_seconds():.0f} s")
    return passed("drift")


def precondition(s: Situation) -> Verdict:
    """Gate 8: the action itself can be done: known target, something to do, floor kept, guards known."""
    problem = _cannot(s) or _capacity(s) or _scaling(s) or _way_back(s)
    return refused("precondition", problem) if problem else passed("precondition", floor=s.impact.floor)


def _cannot(s: Situation) -> str:
    if s.impact.problem:
        return s.impact.problem
    if not _counted(s):
        return "it cannot be known how many would be healthy"
    if not s.plan.targets or not s.plan.desired:
        return "the plan selects nothing, and nothing means nothing"
    if s.reading is None:
        return "the target cannot be read"
    if not s.impact.touched:
        if s.rule.scale is not None:
            bound = "most" if s.rule.scale.direction == "out" else "least"
            return f"{s.impact.total:g} run, which is the {bound} allowed"
        return "the target is in the wanted state already"
    unknown = sorted(expr for expr, value in s.guards.items() if value is None or not math.isfinite(value))
    return f"the guard {unknown[0]} cannot be read" if unknown else ""


def _counted(s: Situation) -> bool:
    """NaN is below no floor and above none."""
    return math.isfinite(s.impact.healthy_after) and math.isfinite(s.impact.total)


def _capacity(s: Situation) -> str:
    if s.link is not None and s.link.pinned and s.link.pinned == ("backup" if s.link.returning else "primary"):
        return f"the link is pinned to the {s.link.pinned} by {s.link.pinned_why}"
    if s.link is not None:  # the other side carries the load alone: what its owner declared must be enough
        link = s.link.link
        carried = 1.0 if s.link.returning else link.backup_capacity
        if carried < link.needed_capacity:
            return f"the other side carries {carried:.0%} of the load, {link.needed_capacity:.0%} are needed"
        return ""
    if s.impact.direction != "out" and s.impact.healthy_after < s.impact.floor:
        return f"{s.impact.healthy_after:g} healthy would be left, the floor is {s.impact.floor:g}{_unchecked(s)}"
    if s.impact.scaling and s.impact.total > s.impact.ceiling:
        return f"{s.impact.total:g} would run, the ceiling is {s.impact.ceiling:g}"
    return ""


def _unchecked(s: Situation) -> str:
    """Why so few are healthy where most are well, but nobody looks at them."""
    return f"; nobody checks {s.impact.unchecked_after:g} that would serve" if s.impact.unchecked_after else ""


def _scaling(s: Situation) -> str:
    if not (s.impact.scaling and s.impact.direction == "in"):
        return ""
    idle = s.now - s.idle_since if s.idle_since is not None else None
    if idle is None or idle < s.settings.scale_in_after:
        return f"scale-in waits until idle was known for {s.settings.scale_in_after} without a gap"
    return ""


def _way_back(s: Situation) -> str:
    if s.link is None or not s.link.returning:
        return ""
    if not s.link.half_open:
        return "the way back is only through half-open"
    if s.link.serving_since is not None and s.now - s.link.serving_since < s.link.link.dwell:
        return f"the backup must serve for {s.link.link.dwell} before the way back"
    return ""


def blast_radius(s: Situation) -> Verdict:
    """Gate 9: one member or a tenth of the pool, two thirds healthy afterwards; a dual link: is the other side good?"""
    if s.link is not None:
        good = [probe is True for probe in s.link.other_probes][-LINK_PROBES:]
        if sum(good) < LINK_PROBES_GOOD or not good[-1]:
            return refused(
                "blast_radius", f"the other side was probed good {sum(good)} of the last {LINK_PROBES} times"
            )
        return passed("blast_radius", probes=good)
    if not _counted(s):
        return refused("blast_radius", "it cannot be known how many would be healthy")
    cap = max(1, math.floor(s.settings.blast_share * s.impact.total))
    growing = s.impact.scaling and s.impact.direction == "out"  # bounded by its ceiling instead
    if len(s.impact.touched) > cap and not growing:
        return refused("blast_radius", f"{len(s.impact.touched)} members would be touched, the limit is {cap}")
    needed = math.ceil(s.settings.healthy_share * s.impact.total - 1e-9)
    if s.impact.direction != "out" and s.impact.healthy_after < needed:
        left = f"{s.impact.healthy_after:g} of {s.impact.total:g} would be healthy, {needed} are needed"
        return refused("blast_radius", left + _unchecked(s))
    return passed("blast_radius", touched=len(s.impact.touched), cap=cap)
