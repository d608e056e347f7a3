"""Rules, plans, observations and situations for tests of remediation: one that passes every gate, to be bent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remediation.gates import GATES
from remediation.settings import Link, Settings
from remediation.situation import Effect, Ended, Impact, LinkView, Situation, Watched
from watchkeeper.model import (
    Intent,
    Mode,
    Observation,
    Plan,
    RemedyRule,
    RiskClass,
    Severity,
    Target,
)
from watchkeeper.ports import Reading

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STEP = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

RULE = RemedyRule(
    name="drain-web1",
    when="errors > 0.1",
    observers={"probe": "probe == 0"},
    action="haproxy",
    target="web",
    parameters={"drain": "web1"},
    mode=Mode.AUTO,
    verify="errors > 0.1",
    service="shop",
    version="v1",
)

PLAN = Plan(
    action="haproxy",
    rule="drain-web1",
    rule_version="v1",
    incident_id="inc-1",
    targets=(Target(kind="haproxy", name="web", epoch="abc.0"),),
    desired={"web1": {"state": "drain"}},
    before={"web1": {"state": "ready"}},
    rollback={"web1": {"state": "ready"}},
    parameters={"drain": "web1"},
    verify="errors > 0.1",
    risk=RiskClass.A1,
    mode=Mode.AUTO,
    reason="errors",
)

IMPACT = Impact(
    touched=("web1",),
    healthy_after=3.0,
    total=4.0,
    floor=2.0,
    ceiling=4.0,
    direction="in",
    risk=RiskClass.A1,
)

LINK = Link(
    name="maps",
    service="shop",
    target="web",
    primary="web1",
    backup="web2",
    primary_probe="probe1",
    backup_probe="probe2",
    observers=["probe"],
)


def observation(at: datetime = NOON, *, bad: bool | None = True, rule: str = "drain-web1", **more: Any) -> Observation:
    """Seen by the rule and by one more observer, from a sample five seconds old."""
    given: dict[str, Any] = {
        "observers": {"probe": bad},
        "newest_sample_at": at - timedelta(seconds=5),
        "series": (((("__name__", "errors"),), 0.5),) if bad else (),
        **more,
    }
    return Observation(rule=rule, at=at, bad=bad, **given)


def history(count: int = 4, *, until: datetime = NOON, bad: bool | None = True) -> tuple[Observation, ...]:
    return tuple(observation(until - STEP * (count - 1 - number), bad=bad) for number in range(count))


def intent_of(plan: Plan, *, token: int = 7, action_id: str = "act-1", operation: str = "execute") -> Intent:
    from dataclasses import asdict

    return Intent(
        token=token,
        action_id=action_id,
        idempotency_key=f"{plan.idempotency_key()}/{operation}",
        operation=operation,
        plan=asdict(plan),
        plan_hash=plan.digest(),
        committed_at=NOON,
    )


def settings(**more: Any) -> Settings:
    targets = [{"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}]
    return Settings(**{"targets": targets, "canaries": ["north", "south"], **more})


def passing(**changes: Any) -> Situation:
    """A situation that passes all fifteen gates, with these changes."""
    situation = Situation(
        now=NOON,
        wall=NOON,
        rule=RULE,
        plan=PLAN,
        impact=IMPACT,
        reading=Reading(state={}, epoch="abc"),
        history=history(),
        settings=settings(),
        severity=Severity.P1,
        action_id="act-1",
        requester=RULE.name,
        watched=tuple(Watched(name=f"t{number}", service=f"s{number}", up=True) for number in range(6)),
        canaries={"north": True, "south": True},
        onset=NOON - 3 * STEP,
        intent=intent_of(PLAN),
        rehearsed=True,
    )
    return replace(situation, **changes)


def effect(ago: timedelta, **more: Any) -> Effect:
    given = {"action_id": "act-0", "rule": "other", "target": "else", "operation": "execute", "direction": "in"}
    return Effect(at=NOON - ago, **{**given, **more})


def failed(ago: timedelta, **more: Any) -> Ended:
    return Ended(at=NOON - ago, **{"rule": "other", "target": "else", "ok": False, **more})


def a_plan(**changes: Any) -> dict[str, Any]:
    plan = replace(PLAN, **changes)
    return {"plan": plan, "intent": intent_of(plan)}


def a_link(**changes: Any) -> LinkView:
    view = LinkView(link=LINK, other_probes=(True, True, True, True))
    return replace(view, **changes)


def bad(name: str, service: str) -> Watched:
    return Watched(name=name, service=service, up=True, bad_since=NOON)


def refusals(situation: Situation) -> list[str]:
    """Every gate that would refuse, asked one by one."""
    return [name for name, gate in GATES if not gate(situation).passed]
