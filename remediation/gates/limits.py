"""Gates 10 to 12: not too soon, not too often, not again after failing."""

from __future__ import annotations

from datetime import timedelta

from remediation.breakers import BreakerState, open_breakers
from remediation.settings import Settings
from remediation.situation import Effect, Situation
from watchkeeper.model import RemedyRule, Verdict

from .base import passed, refused, waived

DAY = timedelta(days=1)
#: The opposite of what was done last waits this much longer.
OPPOSITE = 2


def cooldown(s: Situation) -> Verdict:
    """Gate 10: the same target rests between two actions, twice as long before the opposite direction."""
    if verdict := waived("cooldown", s):
        return verdict
    names = {target.name for target in s.plan.targets}
    own = [effect for effect in s.effects if effect.target in names]
    if not own:
        return passed("cooldown")
    last = max(own, key=lambda effect: effect.at)
    rest = s.link.link.cooldown if s.link else rest_of(s.rule, s.settings, last.direction, s.impact.direction)
    gone = s.now - last.at
    if gone < rest:
        return refused(
            "cooldown", f"the target rests for another {(rest - gone).total_seconds():.0f} s", last=last.action_id
        )
    return passed("cooldown", last=last.action_id)


def rest_of(rule: RemedyRule, settings: Settings, last: str, wanted: str) -> timedelta:
    """How long a target rests between what was done last and what is wanted, both directions."""
    rest = max(rule.cooldown, settings.cooldown)
    return OPPOSITE * rest if _opposite(last, wanted) else rest


def _opposite(one: str, other: str) -> bool:
    return {one, other} == {"in", "out"} or (one != other and one.startswith("switch:") and other.startswith("switch:"))


def budget(s: Situation) -> Verdict:
    """Gate 11: so many actions in ten minutes and in a day, all services together; a link has a budget of its own."""
    if verdict := waived("budget", s):
        return verdict
    limits = s.settings.budgets
    started = [effect for effect in s.effects if effect.operation == "execute"]
    recent = [effect for effect in started if s.now - effect.at < limits.window]
    counted: list[tuple[str, int, int]] = [("a day", _younger(started, s, DAY), limits.per_day)]
    if s.link:
        name = s.link.link.name
        counted.append((f"link {name}", sum(effect.link == name for effect in recent), s.link.link.budget))
    else:
        free = [effect for effect in recent if not effect.link]
        counted.append(("all actions", len(free), limits.actions))
        if s.impact.direction.startswith("switch:"):
            switches = sum(effect.direction.startswith("switch:") for effect in recent)
            counted.append(("failovers", switches, limits.failovers))
    for what, used, limit in counted:
        if used >= limit:
            return refused("budget", f"the budget of {what} is used up: {used} of {limit}")
    return passed("budget", **{what: f"{used} of {limit}" for what, used, limit in counted})


def _younger(effects: list[Effect], s: Situation, age: timedelta) -> int:
    return sum(s.now - effect.at < age for effect in effects)


def breaker(s: Situation) -> Verdict:
    """Gate 12: what keeps failing is only shown, not done; half-open lets exactly one through."""
    half_open: list[str] = []
    for target in s.plan.targets:
        found = open_breakers(s.ended, s.now, s.rule.name, target.name, s.settings.breakers)
        for scope, state in found.items():
            if state is BreakerState.OPEN:
                return refused("breaker", f"the breaker of {scope} is open after repeated failures")
            if _trying(s, scope, target.name):
                return refused("breaker", f"the breaker of {scope} is half-open and one action is being tried")
        half_open += found
    return passed("breaker", f"half-open: {', '.join(dict.fromkeys(half_open))}" if half_open else "")


def _trying(s: Situation, scope: str, target: str) -> bool:
    if scope == f"rule {s.rule.name}":
        return any(other.rule == s.rule.name for other in s.in_flight)
    if scope == f"target {target}":
        return any(other.target == target for other in s.in_flight)
    return bool(s.in_flight)
