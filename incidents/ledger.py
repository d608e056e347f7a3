"""The conservation law of alerts: raised = notified + grouped + suppressed by reason + still waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.store.state import Unit

from .telling import GROUPED, NOTIFIED, WAITING

KEY = "incidents.ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """``notified``: in the first message of an incident; ``grouped``: told later as part of one that was known."""

    raised: int
    notified: int
    grouped: int
    waiting: int
    suppressed: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        return self.raised == sum(self.outcomes().values())

    def outcomes(self) -> dict[str, int]:
        """What became of them -> alerts."""
        told = {NOTIFIED: self.notified, GROUPED: self.grouped, WAITING: self.waiting}
        return {**told, **self.suppressed}


def read_ledger(unit: Unit) -> Ledger:
    counts: dict[str, int] = unit.documents.get(KEY, {})
    named = {"raised", NOTIFIED, GROUPED, WAITING}
    return Ledger(
        raised=counts.get("raised", 0),
        notified=counts.get(NOTIFIED, 0),
        grouped=counts.get(GROUPED, 0),
        waiting=counts.get(WAITING, 0),
        suppressed={reason: count for reason, count in counts.items() if reason not in named and count},
    )


def enter(unit: Unit, moves: Counter[str], now: datetime) -> None:
    """Add the moves of one step: each new alert is raised once and stands under exactly one word."""
    if any(moves.values()):
        counts = Counter(unit.documents.get(KEY, {}))
        counts.update(moves)
        unit.documents.put(KEY, dict(counts), at=now)


def move(moves: Counter[str], before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Count how the dispositions of one incident's alerts changed."""
    for alert_id, word in after.items():
        old = before.get(alert_id)
        if old == word:
            continue
        moves[word] += 1
        moves["raised" if old is None else old] += 1 if old is None else -1
