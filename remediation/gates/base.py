"""How gates answer. A gate is a pure function of the situation; its verdict is written down whatever it is."""

from __future__ import annotations

from collections.abc import Callable

from remediation.situation import Situation
from watchkeeper.model import Verdict

Gate = Callable[[Situation], Verdict]


def passed(gate: str, reason: str = "", **evidence: object) -> Verdict:
    return Verdict(gate=gate, passed=True, reason=reason, evidence=evidence)


def refused(gate: str, reason: str, **evidence: object) -> Verdict:
    return Verdict(gate=gate, passed=False, reason=reason, evidence=evidence)


def waived(gate: str, situation: Situation) -> Verdict | None:
    """A person may waive this gate with a written reason; the verdict says so."""
    return passed(gate, f"waived by {situation.requester}") if gate in situation.waived else None
