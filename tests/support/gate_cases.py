"""For every gate, situations that it stops and no other gate does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from support.remedies import (
    HOUR,
    IMPACT,
    LINK,
    MINUTE,
    NOON,
    PLAN,
    RULE,
    STEP,
    a_link,
    a_plan,
    bad,
    effect,
    failed,
    history,
    intent_of,
    observation,
    settings,
)

from remediation.settings import Freeze, Maintenance
from remediation.situation import InFlight, Watched
from watchkeeper.model import Mode, RiskClass, Severity

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("switch", "the kill switch is set", {"kill_switch": "set by eve"}),
    (
        "switch",
        "the target is under maintenance",
        {"settings": settings(maintenance=[Maintenance(targets=["web"], start=NOON, end=NOON + HOUR, owner="eve")])},
    ),
    ("switch", "a change freeze is on", {"settings": settings(freeze=[Freeze(start=NOON, end=NOON + HOUR)])}),
    ("fresh", "nothing was observed", {"history": (), "waived": frozenset({"confirmed"})}),
    ("fresh", "the newest observation is unknown", {"history": (*history()[:3], observation(bad=None))}),
    ("fresh", "the observation is old", {"history": history(until=NOON - 3 * STEP)}),
    (
        "fresh",
        "the newest sample is old",
        {"history": (*history()[:3], observation(newest_sample_at=NOON - 3 * STEP))},
    ),
    (
        "fresh",
        "the sample comes from the future",
        {"history": (*history()[:3], observation(newest_sample_at=NOON + MINUTE))},
    ),
    ("fresh", "no sample is named", {"history": (*history()[:3], observation(newest_sample_at=None))}),
    ("fresh", "a value is NaN", {"history": (*history()[:3], observation(series=(((), math.nan),)))}),
    ("confirmed", "only two of four were bad", {"history": (*history(bad=False)[:2], *history()[2:])}),
    ("confirmed", "nobody else saw it", {"history": tuple(replace(seen, observers={}) for seen in history())}),
    (
        "confirmed",
        "the other observer cannot tell",
        {"history": tuple(replace(seen, observers={"probe": None}) for seen in history())},
    ),
    (
        "confirmed",
        "the link's own observer did not confirm",
        {
            "history": tuple(replace(seen, observers={"gossip": True}) for seen in history()),
            "link": a_link(),
        },
    ),
    ("isolation", "we just woke", {"isolated": "paused for 40 s"}),
    (
        "isolation",
        "both canaries answered, but before the fault began",
        {"asked": dict.fromkeys(("north", "south"), NOON - MINUTE), "onset": NOON},
    ),
    ("confirmed", "the newest look is good again", {"history": (*history()[1:], replace(history()[-1], bad=False))}),
    ("isolation", "both canaries are dark", {"canaries": {"north": False, "south": None}}),
    (
        "isolation",
        "unrelated targets are dark too",
        {"watched": tuple(Watched(name=f"t{number}", service=f"s{number}", up=None) for number in range(4))},
    ),
    ("common_cause", "three services went bad", {"bad_services": dict.fromkeys(("a", "b", "shop"), NOON)}),
    ("common_cause", "a third of the targets went bad", {"watched": tuple(bad(f"t{n}", "shop") for n in range(2))}),
    (
        "common_cause",
        "three other services went bad beside the link",
        {"bad_services": dict.fromkeys(("a", "b", "c"), NOON), "link": a_link()},
    ),
    ("flapping", "the target changed four times", {"changes": tuple(NOON - MINUTE * n for n in range(1, 5))}),
    ("flapping", "the symptom began four times", {"onsets": tuple(NOON - MINUTE * n for n in range(1, 5))}),
    ("drift", "somebody else changed the target", {"foreign_at": NOON - 29 * MINUTE}),
    ("precondition", "the plan selects nothing", a_plan(desired={})),
    ("precondition", "the plan has no target", a_plan(targets=())),
    ("precondition", "the target cannot be read", {"reading": None}),
    ("precondition", "the kind says no", {"impact": replace(IMPACT, problem="replica lags")}),
    ("precondition", "nothing would change", {"impact": replace(IMPACT, touched=())}),
    ("precondition", "the floor would be broken", {"impact": replace(IMPACT, floor=4.0)}),
    (
        "precondition",
        "the ceiling would be broken",
        {"impact": replace(IMPACT, scaling=True, direction="out", total=5.0)},
    ),
    ("precondition", "a guard cannot be read", {"guards": {"latency": None}}),
    (
        "precondition",
        "scale-in before idle was long enough",
        {"impact": replace(IMPACT, scaling=True), "idle_since": NOON - 4 * MINUTE},
    ),
    ("precondition", "scale-in while idle is not known", {"impact": replace(IMPACT, scaling=True), "idle_since": None}),
    ("precondition", "the backup cannot carry the load", {"link": a_link(link=replace(LINK, backup_capacity=0.5))}),
    ("precondition", "the way back without half-open", {"link": a_link(returning=True)}),
    (
        "precondition",
        "the way back before the dwell is over",
        {"link": a_link(returning=True, half_open=True, serving_since=NOON - 9 * MINUTE)},
    ),
    ("blast_radius", "two of ten members", {"impact": replace(IMPACT, touched=("a", "b"), healthy_after=8, total=10)}),
    ("blast_radius", "too few healthy ones left", {"impact": replace(IMPACT, healthy_after=2.0, total=4.0)}),
    ("blast_radius", "the other side of the link is bad", {"link": a_link(other_probes=(True, True, False, False))}),
    ("blast_radius", "the other side is bad just now", {"link": a_link(other_probes=(True, True, True, False))}),
    ("blast_radius", "the other side was never probed", {"link": a_link(other_probes=())}),
    ("cooldown", "the target was changed nine minutes ago", {"effects": (effect(9 * MINUTE, target="web"),)}),
    (
        "cooldown",
        "the opposite was done nineteen minutes ago",
        {"effects": (effect(19 * MINUTE, target="web", direction="out"),)},
    ),
    (
        "cooldown",
        "the rule wants a longer rest",
        {"rule": replace(RULE, cooldown=HOUR), "effects": (effect(59 * MINUTE, target="web"),)},
    ),
    (
        "cooldown",
        "the link rests",
        {"link": a_link(link=replace(LINK, budget=2)), "effects": (effect(9 * MINUTE, target="web", link="maps"),)},
    ),
    ("budget", "five actions in ten minutes", {"effects": tuple(effect(MINUTE * n) for n in range(1, 6))}),
    ("budget", "twenty actions in a day", {"effects": tuple(effect(HOUR * n) for n in range(1, 21))}),
    (
        "budget",
        "one failover in ten minutes",
        {"impact": replace(IMPACT, direction="switch:b"), "effects": (effect(MINUTE, direction="switch:a"),)},
    ),
    ("budget", "the link's own budget", {"link": a_link(), "effects": (effect(MINUTE, link="maps"),)}),
    (
        "breaker",
        "the rule failed three times",
        {"ended": tuple(failed(MINUTE * n, rule="drain-web1") for n in (3, 2, 1))},
    ),
    ("breaker", "the target failed three times", {"ended": tuple(failed(MINUTE * n, target="web") for n in (3, 2, 1))}),
    (
        "breaker",
        "five failures of anything",
        {"ended": tuple(failed(MINUTE * n, rule=f"r{n}", target=f"t{n}") for n in (5, 4, 3, 2, 1))},
    ),
    (
        "breaker",
        "two rollbacks failed",
        {"ended": tuple(failed(MINUTE * n, rule=f"r{n}", target=f"t{n}", rollback_failed=True) for n in (2, 1))},
    ),
    (
        "breaker",
        "half-open lets only one through",
        {
            "ended": tuple(failed(61 * MINUTE, rule="drain-web1") for _ in range(3)),
            "in_flight": (InFlight(action_id="act-9", rule="drain-web1", target="else", service="none"),),
        },
    ),
    ("approval", "nobody approved what needs one", a_plan(risk=RiskClass.A3)),
    ("approval", "the mode asks for a person", a_plan(mode=Mode.APPROVE)),
    ("approval", "a small pool asks for a person", {"impact": replace(IMPACT, healthy_after=2.0, total=2.0)}),
    ("approval", "P3 is only a suggestion", {"severity": Severity.P3}),
    ("approval", "data at risk for a P3 is refused", {**a_plan(risk=RiskClass.A4), "severity": Severity.P3}),
    ("lock", "another engine leads", {"leader": False}),
    (
        "lock",
        "the target is being changed",
        {"in_flight": (InFlight(action_id="act-9", rule="x", target="web", service="none"),)},
    ),
    (
        "lock",
        "the service is being changed",
        {"in_flight": (InFlight(action_id="act-9", rule="x", target="else", service="shop"),)},
    ),
    ("intent", "nothing was committed", {"intent": None}),
    ("intent", "another plan was committed", {"intent": intent_of(replace(PLAN, reason="other"))}),
    ("intent", "another action committed it", {"intent": intent_of(PLAN, action_id="act-2")}),
    ("intent", "the key was used before", {"used_keys": frozenset({intent_of(PLAN).idempotency_key})}),
]
