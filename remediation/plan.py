"""Plans: the end wanted, resolved once, hashed; the same bytes in dry-run and for real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from watchkeeper.errors import ActionError
from watchkeeper.model import Mode, Observation, Plan, RemedyRule, RiskClass, Target
from watchkeeper.ports import Reading

from .actions import kind_of
from .links import RETURN
from .settings import Settings
from .situation import Impact

#: Between a target's own epoch and how often its options have changed.
CONFIGURED = "@"
#: Evidence series kept in a plan; the observation's own row has them all.
MAX_SERIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, what it would do, and the reading it was made from."""

    plan: Plan
    impact: Impact
    reading: Reading


#: What a target that is not configured, or an empty selector, would do: nothing.
NOTHING = Impact(touched=(), healthy_after=0.0, total=0.0, floor=0.0, ceiling=0.0, direction="same", risk=RiskClass.A4)


def make_plan(
    rule: RemedyRule,
    observation: Observation,
    reading: Reading,
    settings: Settings,
    incident_id: str,
    *,
    generation: int = 0,
    rehearsed: bool = True,
) -> Planned:
    """Everything is decided here, once: target, wanted state, state to go back to, class.

    ``generation`` is the newest fencing token on the target: what was planned before another effect has another
    key than what is planned after it. Raises ActionError when the parameters make no sense.
    """
    target = settings.target(rule.target)
    if target is None or not rule.parameters:
        return Planned(plan=_plan(rule, observation, incident_id), impact=NOTHING, reading=reading)
    kind = kind_of(rule.action)
    if target["kind"] != rule.action:
        raise ActionError(f"rule {rule.name}: target {rule.target!r} is of kind {target['kind']}, not {rule.action}")
    desired, before = kind.desired(reading, rule.parameters)
    rollback = _rollback(rule, before)
    impact = _of_link(rule, settings, kind.impact(reading, desired, target))
    risk = RiskClass.A2 if rule.link and impact.risk is RiskClass.A1 else impact.risk
    if not rollback or not rehearsed:  # no way back, or one nobody ever tried
        risk = RiskClass.A4 if risk is not RiskClass.A0 else risk
    plan = _plan(rule, observation, incident_id)
    plan = _with(
        plan,
        targets=(Target(kind=rule.action, name=rule.target, epoch=f"{reading.epoch}.{generation}"),),
        desired=desired,
        before=before,
        rollback=rollback,
        risk=risk,
        evidence={**plan.evidence, "impact": asdict(impact), "capacity": dict(reading.capacity)},
    )
    return Planned(plan=plan, impact=impact, reading=reading)


def _of_link(rule: RemedyRule, settings: Settings, impact: Impact) -> Impact:
    """A dual link's plan leads to one of its two sides, whatever the kind of target calls that."""
    link = settings.link(rule.link)
    if link is None or not impact.touched:
        return impact
    return replace(impact, direction=f"switch:{link.primary if rule.name.endswith(RETURN) else link.backup}")


def _plan(rule: RemedyRule, observation: Observation, incident_id: str) -> Plan:
    return Plan(
        action=rule.action,
        rule=rule.name,
        rule_version=rule.version,
        incident_id=incident_id,
        targets=(),
        desired={},
        before={},
        rollback={},
        parameters=dict(rule.parameters),
        verify=rule.verify,
        risk=RiskClass.A4,
        mode=rule.mode,
        reason=observation.reason or f"{rule.when} is bad",
        evidence={
            "observed_at": observation.at.isoformat(),
            "newest_sample_at": observation.newest_sample_at.isoformat() if observation.newest_sample_at else None,
            "series": [[dict(labels), value] for labels, value in list(observation.series)[:MAX_SERIES]],
            "observers": dict(observation.observers),
            "service": rule.service,
            "link": rule.link,
        },
    )


def _with(plan: Plan, **changes: Any) -> Plan:
    return Plan(**{**{name: getattr(plan, name) for name in plan.__slots__}, **changes})


def _rollback(rule: RemedyRule, before: Mapping[str, object]) -> dict[str, object]:
    if isinstance(rule.rollback, Mapping):
        return dict(rule.rollback)
    if rule.rollback == "before":
        return dict(before)
    if rule.rollback == "none":
        return {}
    raise ActionError(f'rule {rule.name}: rollback is "before", "none" or a state, not {rule.rollback!r}')


def plan_from(values: Mapping[str, Any]) -> Plan:
    """A plan as it was sent: the same digest comes out. Raises ActionError when it is not one."""
    try:
        body = dict(values)
        body["targets"] = tuple(Target(**target) for target in body["targets"])
        body["risk"], body["mode"] = RiskClass(body["risk"]), Mode(body["mode"])
        return Plan(**body)
    except (KeyError, TypeError, ValueError) as error:
        raise ActionError(f"not a plan: {error}") from error


def base_epoch(plan: Plan) -> str:
    """The target's own epoch when the plan was made, without the generation."""
    return plan.targets[0].epoch.rpartition(".")[0] if plan.targets else ""


def options_in(epoch: str) -> str:
    """How often the target's options had changed when this was read; empty for never."""
    return epoch.partition(CONFIGURED)[2]
