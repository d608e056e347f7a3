"""What people may do: approve, reject, judge, declare. Every word is a row and an audit row."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from watchkeeper.errors import AccessError, ActionError
from watchkeeper.model import ActionRecord, ActionState, Approval, RiskClass

from . import book
from .settings import Settings

if TYPE_CHECKING:
    from watchkeeper.store.state.database import State
    from watchkeeper.store.state.repositories import Unit

#: Classes whose approval needs an admin who signed in again just now.
STEP_UP = frozenset({RiskClass.A3, RiskClass.A4})


class People:
    """Call it from threads. ``admin`` and ``reauthenticated`` are the caller's knowledge of the person."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state, self._settings = state, settings
        self.skew = timedelta(0)  #: jumps of the wall clock seen by the engine

    def approve(
        self,
        action_id: str,
        user: str,
        verdict: Literal["approve", "reject"],
        reason: str,
        plan_hash: str,
        now: datetime,
        *,
        admin: bool = False,
        reauthenticated: bool = False,
    ) -> None:
        """One person's word on this very plan. Raises AccessError when it may not be given."""
        with self._state.begin() as unit:
            record = self._waiting(unit, action_id)
            self._may(record, user, verdict, plan_hash, admin=admin, reauthenticated=reauthenticated)
            unit.actions.approve(
                Approval(
                    action_id=action_id,
                    plan_hash=plan_hash,
                    user=user,
                    verdict=verdict,
                    reason=reason,
                    at=now - self.skew,
                )
            )
            unit.audit.append(user, f"action.{verdict}", action_id, {"plan_hash": plan_hash, "reason": reason}, at=now)

    def pin(self, link: str, side: Literal["primary", "backup"], user: str, reason: str, now: datetime) -> None:
        """Keep a link on a side until somebody unpins it: it is not led away, neither there nor back."""
        if self._settings.link(link) is None:
            raise ActionError(f"there is no link {link!r}")
        pinned = {"side": side, "user": user, "reason": reason}
        with self._state.begin() as unit:
            unit.documents.put(book.PIN_KEY + link, pinned, at=now)
            unit.audit.append(user, "link.pinned", link, {"side": side, "reason": reason}, at=now)

    def unpin(self, link: str, user: str, reason: str, now: datetime) -> None:
        with self._state.begin() as unit:
            unit.documents.put(book.PIN_KEY + link, {}, at=now)
            unit.audit.append(user, "link.unpinned", link, {"reason": reason}, at=now)

    @staticmethod
    def _waiting(unit: Unit, action_id: str) -> ActionRecord:
        record = unit.actions.get(action_id)
        if record is None or record.state is not ActionState.AWAITING_APPROVAL:
            raise AccessError(f"{action_id} does not wait for approval")
        return record

    @staticmethod
    def _may(
        record: ActionRecord, user: str, verdict: str, plan_hash: str, *, admin: bool, reauthenticated: bool
    ) -> None:
        if plan_hash != record.plan.digest():
            raise AccessError(f"the plan of {record.id} is another one; look at it again")
        if verdict == "reject":
            return
        if user == record.requester:
            raise AccessError("nobody approves what they asked for")
        if record.plan.risk in STEP_UP and not (admin and reauthenticated):
            raise AccessError(f"class {record.plan.risk} is approved by an admin who signed in again")

    def judge(self, action_id: str, user: str, verdict: Literal["right", "wrong", "harmful"], now: datetime) -> None:
        """Was a dry-run's proposal right? Counted once for each action, towards graduation."""
        with self._state.begin() as unit:
            record = unit.actions.get(action_id)
            if record is None or record.state is not ActionState.DRY_RUN:
                raise AccessError(f"{action_id} is not a finished dry-run")
            if any(row.action == "action.judged" for row in unit.audit.rows(subject=action_id)):
                raise AccessError(f"{action_id} was judged already")
            plan = record.plan
            book.tally(unit, plan.rule, plan.rule_version, now - self.skew, **{verdict: 1})
            unit.audit.append(user, "action.judged", action_id, {"verdict": verdict}, at=now)

    def declare(self, rule: str, owner: str, reason: str, now: datetime) -> datetime:
        """``mode: auto`` on the owner's word, until the returned moment, or until a rollback."""
        from watchkeeper.store.state.repositories.actions import Declaration

        if not owner or not reason.strip():
            raise AccessError("a declaration needs a named owner and a reason")
        start = now - self.skew
        expires = start + self._settings.declaration_lifetime
        with self._state.begin() as unit:
            unit.actions.declare(
                Declaration(rule=rule, owner=owner, declared_at=start, expires_at=expires, reason=reason)
            )
            detail = {"expires_at": expires.isoformat(), "reason": reason}
            unit.audit.append(owner, "declaration.made", rule, detail, at=now)
        return expires
