"""The fifteen gates, in order. Every one must pass before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence

from remediation.situation import Situation
from watchkeeper.model import Verdict

from . import authority, evidence, limits, target
from .base import Gate

GATES: tuple[tuple[str, Gate], ...] = (
    ("switch", evidence.switch),
    ("fresh", evidence.fresh),
    ("confirmed", evidence.confirmed),
    ("isolation", evidence.isolation),
    ("common_cause", evidence.common_cause),
    ("flapping", target.flapping),
    ("drift", target.drift),
    ("precondition", target.precondition),
    ("blast_radius", target.blast_radius),
    ("cooldown", limits.cooldown),
    ("budget", limits.budget),
    ("breaker", limits.breaker),
    ("approval", authority.approval),
    ("lock", authority.lock),
    ("intent", authority.intent),
)
#: Gates a person may waive with a written reason. Floor, fencing, audit and the empty selector bind humans too.
WAIVABLE = frozenset({"confirmed", "flapping", "cooldown", "budget"})


def evaluate(situation: Situation, *, last: str = "lock") -> list[Verdict]:
    """Verdicts in order, ending with the first refusal, or with the gate named ``last``."""
    verdicts: list[Verdict] = []
    for name, gate in GATES:
        verdicts.append(gate(situation))
        if not verdicts[-1].passed or name == last:
            break
    return verdicts


def all_passed(verdicts: Sequence[Verdict]) -> bool:
    return bool(verdicts) and all(verdict.passed for verdict in verdicts)


__all__ = ["GATES", "WAIVABLE", "Gate", "all_passed", "evaluate"]
