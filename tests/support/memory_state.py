"""A state database in memory, for simulations of very many steps: what remediation asks of a transaction, and no more.

Rows are what the real repositories would give back, JSON's types and whole milliseconds included. ``test_machine`` and
``test_hours`` live the same life on both and compare the audit's heads, which cover every step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import ActionRecord, Approval, Intent, Plan
from watchkeeper.store.state.columns import _plain, dump_json
from watchkeeper.store.state.repositories.actions import Declaration, IntentRow, plan_from_row
from watchkeeper.store.state.repositories.audit import GENESIS, AuditRow, row_hash
from watchkeeper.store.state.repositories.transitions import Transition

Undo = list[Callable[[], object]]
_MISSING = object()


def kept(moment: datetime) -> datetime:
    return from_ms(to_ms(moment))


class Table(dict[Any, Any]):
    """A dictionary whose changes can be taken back."""

    def __init__(self, undo: Undo) -> None:
        super().__init__()
        self._undo = undo

    def put(self, key: Any, value: Any) -> None:
        before = self.get(key, _MISSING)
        self._undo.append(lambda: self.pop(key) if before is _MISSING else self.__setitem__(key, before))
        self[key] = value

    def take(self, key: Any) -> None:
        if key in self:
            before = self.pop(key)
            self._undo.append(lambda: self.__setitem__(key, before))


class Documents:
    def __init__(self, undo: Undo) -> None:
        self._rows = Table(undo)

    def put(self, key: str, value: Any, *, at: datetime) -> None:
        del at
        self._rows.put(key, _plain(value))

    def get(self, key: str, default: Any = None) -> Any:
        return self._rows.get(key, default)

    def remove(self, key: str) -> None:
        self._rows.take(key)

    def with_prefix(self, prefix: str) -> dict[str, Any]:
        return {key: value for key, value in self._rows.items() if key.startswith(prefix)}


class Transitions:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._of: defaultdict[str, list[Transition]] = defaultdict(list)

    def record(self, transition: Transition) -> None:
        rows = self._of[transition.subject_id]
        rows.append(replace(transition, at=kept(transition.at)))
        self._undo.append(rows.pop)

    def of(self, subject_id: str) -> list[Transition]:
        return list(self._of.get(subject_id, ()))


class Audit:
    """The chain is hashed when its head is asked for."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._rows: list[tuple[datetime, str, str, str, Mapping[str, object]]] = []
        self._of: defaultdict[str, list[int]] = defaultdict(list)

    def append(self, actor: str, action: str, subject: str, detail: Mapping[str, object], *, at: datetime) -> None:
        self._rows.append((at, actor, action, subject, detail))
        places = self._of[subject]
        places.append(len(self._rows))
        self._undo += [self._rows.pop, places.pop]

    def rows(self, *, subject: str | None = None, limit: int | None = 1000) -> list[AuditRow]:
        places = range(1, len(self._rows) + 1) if subject is None else self._of.get(subject, [])
        return [self._row(place) for place in places[:limit]]

    def _row(self, place: int) -> AuditRow:
        at, actor, action, subject, detail = self._rows[place - 1]
        return AuditRow(
            seq=place,
            at=kept(at),
            actor=actor,
            action=action,
            subject=subject,
            detail=detail,
            previous_hash="",
            hash="",
        )

    def head(self) -> tuple[int, str]:
        digest = GENESIS
        for at, actor, action, subject, detail in self._rows:
            digest = row_hash(digest, [to_ms(at), actor, action, subject], dump_json(detail))
        return len(self._rows), digest

    def verify(self) -> None:
        """Nobody else can reach it."""


class Actions:
    def __init__(self, undo: Undo, transitions: Transitions) -> None:
        self._undo, self._transitions = undo, transitions
        self._records, self._active, self._effective = Table(undo), Table(undo), Table(undo)
        self._of_rule: defaultdict[str, Table] = defaultdict(lambda: Table(undo))
        self._intents, self._approvals, self._declarations = Table(undo), Table(undo), Table(undo)
        self._key_of = Table(undo)
        self._numbers = Table(undo)
        self._plan: tuple[Plan | None, Any] = (None, None)

    # records ---------------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        return f"act-{self._next('action')}"

    def _next(self, name: str) -> int:
        number = int(self._numbers.get(name, 0)) + 1
        self._numbers.put(name, number)
        return number

    def save(
        self,
        record: ActionRecord,
        *,
        reason: str,
        at: datetime,
        evidence: Mapping[str, object] | None = None,
        actor: str = "engine",
    ) -> None:
        known = self._records.get(record.id)
        before = known.state if known else None
        if before != record.state:
            step = Transition(
                kind="action", subject_id=record.id, old_state=before or "", new_state=record.state, at=at,
                reason=reason, evidence=evidence or {}, actor=actor, correlation_id=record.correlation_id,
            )  # fmt: skip
            self._transitions.record(step)
        row = replace(
            record,
            plan=self._as_read(record.plan),
            progress=_plain_beside(record.progress, known.progress if known else {}),
            created_at=kept(record.created_at),
            updated_at=kept(at),
            deadline_at=kept(record.deadline_at) if record.deadline_at else None,
        )
        self._records.put(row.id, row)
        self._of_rule[row.plan.rule].put(row.id, row)
        if row.state.terminal:
            self._active.take(row.id)
        else:
            self._active.put(row.id, row)
        if row.token > 0:
            self._effective.put(row.id, row)

    def _as_read(self, plan: Plan) -> Plan:
        """A plan that was read before is as it was read."""
        if self._plan[0] is not plan and self._plan[1] is not plan:
            self._plan = plan, plan_from_row(_plain(plan.body()))
        return self._plan[1]  # type: ignore[no-any-return]

    def get(self, action_id: str) -> ActionRecord | None:
        return self._records.get(action_id)

    def active(self) -> list[ActionRecord]:
        return _in_order(self._active)

    def recent(self, since: datetime, limit: int = 1000) -> list[ActionRecord]:
        return [record for record in _in_order(self._records) if record.created_at >= since][-limit:]

    def effective(self, since: datetime) -> list[ActionRecord]:
        return [record for record in _in_order(self._effective) if record.created_at >= since]

    def of_rule(self, rule: str, since: datetime) -> list[ActionRecord]:
        return [record for record in _in_order(self._of_rule[rule]) if record.created_at >= since]

    # approvals -------------------------------------------------------------------------------------------------------

    def approve(self, approval: Approval) -> None:
        given = {(one.plan_hash, one.user): one for one in self.approvals(approval.action_id)}
        given[approval.plan_hash, approval.user] = replace(approval, at=kept(approval.at))
        self._approvals.put(approval.action_id, tuple(given.values()))

    def approvals(self, action_id: str) -> list[Approval]:
        return list(self._approvals.get(action_id, ()))

    # intents ---------------------------------------------------------------------------------------------------------

    def commit_intent(self, record: ActionRecord, operation: str, target: str, at: datetime) -> Intent:
        key = f"{record.plan.idempotency_key()}/{operation}"
        assert key not in self._key_of, "the real column is unique"
        row = IntentRow(
            token=self._next("token"), action_id=record.id, operation=operation, idempotency_key=key, target=target,
            committed_at=kept(at), finished_at=None, outcome=None,
            plan=_plain(record.plan.body()), plan_hash=record.plan.digest(),
        )  # fmt: skip
        self._intents.put(row.token, row)
        self._key_of.put(key, row.token)
        return replace(row.intent(), committed_at=at)

    def finish_intent(self, token: int, outcome: Mapping[str, object], at: datetime) -> None:
        if token in self._intents:
            self._intents.put(token, replace(self._intents[token], finished_at=kept(at), outcome=_plain(outcome)))

    def intents_since(self, since: datetime) -> list[IntentRow]:
        return [row for row in self._intents.values() if row.committed_at >= since]

    def intents_of(self, action_id: str) -> list[IntentRow]:
        return [row for row in self._intents.values() if row.action_id == action_id]

    def intent_by_key(self, idempotency_key: str) -> IntentRow | None:
        token = self._key_of.get(idempotency_key)
        return None if token is None else self._intents[token]

    # declarations ----------------------------------------------------------------------------------------------------

    def declare(self, declaration: Declaration) -> None:
        self._declarations.put(declaration.rule, declaration)

    def declaration(self, rule: str) -> Declaration | None:
        return self._declarations.get(rule)


def _plain_beside(values: Mapping[str, object], read: Mapping[str, object]) -> dict[str, object]:
    """As JSON; what was read before is so already."""
    return {key: value if read.get(key, _MISSING) is value else _plain(value) for key, value in values.items()}


def _in_order(rows: Table) -> list[ActionRecord]:
    return sorted(rows.values(), key=lambda record: (record.created_at, record.id))


class MemoryState:
    """Stands for ``State`` in one thread. ``writes`` counts transactions that may have changed something."""

    def __init__(self, _url: str = "") -> None:
        self.writes = 0
        self._undo: Undo = []
        transitions = Transitions(self._undo)
        self._unit = SimpleNamespace(
            documents=Documents(self._undo),
            transitions=transitions,
            audit=Audit(self._undo),
            actions=Actions(self._undo, transitions),
            people=SimpleNamespace(users=list),
        )

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self.writes += 1
        self._undo.clear()
        try:
            yield self._unit
        except BaseException:
            for each in reversed(self._undo):
                each()
            raise

    @contextmanager
    def read(self) -> Iterator[Any]:
        self._undo.clear()
        yield self._unit
        assert not self._undo, "the real database undoes what is written while reading"

    def now(self) -> None:
        """It has no clock of its own."""

    def close(self) -> None:
        """There is nothing to close."""
