"""Every change of state is a row: old, new, when, why, on what evidence, by whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, insert, select

from watchkeeper.store.state.repositories.common import Repository
from watchkeeper.store.state.tables import transitions

_ROW = insert(transitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """``kind``: alert, incident, action, delivery."""

    kind: str
    subject_id: str
    old_state: str
    new_state: str
    at: datetime
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    actor: str = "engine"
    correlation_id: str = ""
    id: int = 0


class Transitions(Repository):
    def record(self, transition: Transition) -> None:
        self.record_many([transition])

    def record_many(self, steps: Iterable[Transition]) -> None:
        rows = [{name: getattr(step, name) for name in step.__slots__ if name != "id"} for step in steps]
        if rows:
            self.connection.execute(_ROW, rows)

    def of(self, subject_id: str) -> list[Transition]:
        """The life of one subject, oldest first."""
        return self._select(transitions.c.subject_id == subject_id)

    def chain(self, correlation_id: str) -> list[Transition]:
        """Everything that shares a correlation id, oldest first: what ``explain`` prints."""
        return self._select(transitions.c.correlation_id == correlation_id)

    def since(self, at: datetime, kind: str, limit: int = 1000) -> list[Transition]:
        return self._select(transitions.c.at >= at, transitions.c.kind == kind, limit=limit)

    def counts(self) -> dict[tuple[str, str], int]:
        """(kind, new state) -> rows: the ledgers of alerts and actions."""
        query = select(transitions.c.kind, transitions.c.new_state, func.count())
        rows = self.connection.execute(query.group_by(transitions.c.kind, transitions.c.new_state))
        return {(kind, state): int(count) for kind, state, count in rows}

    def _select(self, *conditions: object, limit: int = 10_000) -> list[Transition]:
        query = select(transitions).where(*conditions).order_by(transitions.c.id).limit(limit)  # type: ignore[arg-type]
        return [Transition(**row) for row in self.connection.execute(query).mappings()]
