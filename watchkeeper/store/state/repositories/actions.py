"""The action ledger: records, approvals, intents and declarations of ``mode: auto``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, func, insert, select, text, update

from watchkeeper.model import ActionRecord, ActionState, Approval, Intent, Mode, Plan, RiskClass, Target
from watchkeeper.model.action import TERMINAL
from watchkeeper.store.state.repositories.common import Repository, next_number, upsert
from watchkeeper.store.state.repositories.transitions import Transition, Transitions
from watchkeeper.store.state.tables import actions, approvals, declarations, dump_json, intents

# Statements are made once: making one takes longer than carrying it out.
_IN_ORDER = select(actions).order_by(actions.c.created_at, actions.c.id)
_STATE = select(actions.c.state).where(actions.c.id == bindparam("id"))
_ACTIVE = _IN_ORDER.where(actions.c.state.not_in(tuple(TERMINAL)))
_OF_INCIDENT = _IN_ORDER.where(actions.c.incident_id == bindparam("incident"))
_OF_RULE = _IN_ORDER.where(actions.c.rule == bindparam("rule"), actions.c.created_at >= bindparam("since"))
_EFFECTIVE = _IN_ORDER.where(actions.c.token > 0, actions.c.created_at >= bindparam("since"))
_NEWEST = (
    select(actions)
    .where(actions.c.created_at >= bindparam("since"))
    .order_by(actions.c.created_at.desc(), actions.c.id.desc())
)
_COUNT_OF_INCIDENT = select(func.count()).where(actions.c.incident_id == bindparam("incident"))
_INTENTS = select(intents).order_by(intents.c.token)
_INTENTS_SINCE = _INTENTS.where(intents.c.committed_at >= bindparam("since"))
_INTENTS_OF = _INTENTS.where(intents.c.action_id == bindparam("action"))
_INTENT_BY_KEY = _INTENTS.where(intents.c.idempotency_key == bindparam("key"))
_UNFINISHED = _INTENTS.where(intents.c.finished_at.is_(None))
_APPROVALS = select(approvals).where(approvals.c.action_id == bindparam("action")).order_by(approvals.c.id)
#: Timeline of the database, then the sequence: after a failover that lost rows, numbers still only rise.
_FENCING = text(
    "(('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint << 40)"
    " + nextval(pg_get_serial_sequence('intents', 'token'))"
)
_DECLARATION = select(declarations).where(declarations.c.rule == bindparam("rule"))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRow:
    """A committed intent and what became of it."""

    token: int
    action_id: str
    operation: str
    idempotency_key: str
    target: str
    committed_at: datetime
    finished_at: datetime | None
    outcome: Mapping[str, object] | None
    plan: Mapping[str, object]
    plan_hash: str

    def intent(self) -> Intent:
        return Intent(
            token=self.token,
            action_id=self.action_id,
            idempotency_key=self.idempotency_key,
            operation=self.operation,
            plan=self.plan,
            plan_hash=self.plan_hash,
            committed_at=self.committed_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """An owner's word that a rule may act by itself; it expires, and falls by a rollback."""

    rule: str
    owner: str
    declared_at: datetime
    expires_at: datetime
    fallen_at: datetime | None = None
    reason: str = ""


class Actions(Repository):
    def new_id(self) -> str:
        return f"act-{next_number(self.connection, 'action')}"

    def save(
        self,
        record: ActionRecord,
        *,
        reason: str,
        at: datetime,
        evidence: Mapping[str, object] | None = None,
        actor: str = "engine",
    ) -> None:
        """Keep the row; a changed state is a transition with its reason."""
        before = self.connection.execute(_STATE, {"id": record.id}).scalar()
        if before != record.state:
            Transitions(self.connection).record(
                Transition(
                    kind="action",
                    subject_id=record.id,
                    old_state=before or "",
                    new_state=record.state,
                    at=at,
                    reason=reason,
                    evidence=evidence or {},
                    actor=actor,
                    correlation_id=record.correlation_id,
                )
            )
        row = {
            "incident_id": record.plan.incident_id,
            "rule": record.plan.rule,
            "state": record.state,
            "mode": record.plan.mode,
            "risk": record.plan.risk,
            "plan": record.plan.body(),
            "plan_hash": record.plan.digest(),
            "idempotency_key": record.plan.idempotency_key(),
            "token": record.token,
            "created_at": record.created_at,
            "updated_at": at,
            "deadline_at": record.deadline_at,
            "requester": record.requester,
            "correlation_id": record.correlation_id,
            "progress": dict(record.progress),
        }
        upsert(self.connection, actions, {"id": record.id}, row)

    def get(self, action_id: str) -> ActionRecord | None:
        row = self.connection.execute(select(actions).where(actions.c.id == action_id)).mappings().first()
        return _record(row) if row else None

    def active(self) -> list[ActionRecord]:
        """Everything not terminal, oldest first."""
        return self._records(_ACTIVE)

    def recent(self, since: datetime, limit: int = 1000) -> list[ActionRecord]:
        """The newest ``limit`` of them, oldest first."""
        return self._records(_NEWEST.limit(limit), since=since)[::-1]

    def effective(self, since: datetime) -> list[ActionRecord]:
        """Those whose intent was committed, oldest first: for breakers."""
        return self._records(_EFFECTIVE, since=since)

    def counts(self) -> dict[str, int]:
        """State -> records: proposed = done + refused + escalated + under way, read from the rows themselves."""
        query = select(actions.c.state, func.count()).group_by(actions.c.state)
        return {str(state): int(count) for state, count in self.connection.execute(query)}

    def of_incident(self, incident_id: str) -> list[ActionRecord]:
        return self._records(_OF_INCIDENT, incident=incident_id)

    def count_of_incident(self, incident_id: str) -> int:
        return int(self.connection.execute(_COUNT_OF_INCIDENT, {"incident": incident_id}).scalar_one())

    def of_rule(self, rule: str, since: datetime) -> list[ActionRecord]:
        return self._records(_OF_RULE, rule=rule, since=since)

    def _records(self, statement: Select[Any], **values: object) -> list[ActionRecord]:
        return [_record(row) for row in self.connection.execute(statement, values).mappings()]

    # approvals -------------------------------------------------------------------------------------------------------

    def approve(self, approval: Approval) -> None:
        """One person's word on one plan hash; a second word of the same person replaces the first."""
        key = {"action_id": approval.action_id, "plan_hash": approval.plan_hash, "user": approval.user}
        upsert(
            self.connection,
            approvals,
            key,
            {"verdict": approval.verdict, "reason": approval.reason, "at": approval.at},
        )

    def approvals(self, action_id: str) -> list[Approval]:
        rows = self.connection.execute(_APPROVALS, {"action": action_id}).mappings()
        return [Approval(**{item.name: row[item.name] for item in fields(Approval)}) for row in rows]

    # intents ---------------------------------------------------------------------------------------------------------

    def commit_intent(self, record: ActionRecord, operation: str, target: str, at: datetime) -> Intent:
        """The row that must exist before any effect. Its number is the fencing token."""
        plan, digest = json.loads(dump_json(record.plan.body())), record.plan.digest()
        key = f"{record.plan.idempotency_key()}/{operation}"
        numbered = {"token": _FENCING} if self.connection.dialect.name == "postgresql" else {}
        token = self.connection.execute(
            insert(intents)
            .values(
                action_id=record.id,
                operation=operation,
                idempotency_key=key,
                plan=plan,
                plan_hash=digest,
                target=target,
                committed_at=at,
                **numbered,
            )
            .returning(intents.c.token)
        ).scalar_one()
        return Intent(
            token=int(token),
            action_id=record.id,
            idempotency_key=key,
            operation=operation,
            plan=plan,
            plan_hash=digest,
            committed_at=at,
        )

    def finish_intent(self, token: int, outcome: Mapping[str, object], at: datetime) -> None:
        values = {"finished_at": at, "outcome": dict(outcome)}
        self.connection.execute(update(intents).where(intents.c.token == token).values(**values))

    def intents_since(self, since: datetime) -> list[IntentRow]:
        """For cooldowns and budgets: what was committed, finished or not."""
        return self._intents(_INTENTS_SINCE, since=since)

    def intents_of(self, action_id: str) -> list[IntentRow]:
        return self._intents(_INTENTS_OF, action=action_id)

    def intent_by_key(self, idempotency_key: str) -> IntentRow | None:
        found = self._intents(_INTENT_BY_KEY, key=idempotency_key)
        return found[0] if found else None

    def unfinished_intents(self) -> list[IntentRow]:
        return self._intents(_UNFINISHED)

    def _intents(self, statement: Select[Any], **values: object) -> list[IntentRow]:
        return [IntentRow(**row) for row in self.connection.execute(statement, values).mappings()]

    # declarations ----------------------------------------------------------------------------------------------------

    def declare(self, declaration: Declaration) -> None:
        row = {item.name: getattr(declaration, item.name) for item in fields(declaration)}
        upsert(self.connection, declarations, {"rule": row.pop("rule")}, row)

    def declaration(self, rule: str) -> Declaration | None:
        row = self.connection.execute(_DECLARATION, {"rule": rule}).mappings().first()
        return Declaration(**row) if row else None


def plan_from_row(values: Mapping[str, Any]) -> Plan:
    """A plan as it was written: the same digest comes out."""
    body = dict(values)
    body["targets"] = tuple(Target(**target) for target in body["targets"])
    body["risk"], body["mode"] = RiskClass(body["risk"]), Mode(body["mode"])
    return Plan(**body)


def _record(row: RowMapping) -> ActionRecord:
    return ActionRecord(
        id=row["id"],
        state=ActionState(row["state"]),
        plan=plan_from_row(row["plan"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        requester=row["requester"],
        correlation_id=row["correlation_id"],
        token=row["token"],
        deadline_at=row["deadline_at"],
        progress=row["progress"],
    )
