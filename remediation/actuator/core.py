"""The last check before anything changes: token, key, kill switch, and the target as the plan knew it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from remediation.actions import Kind, kind_of
from remediation.actions.base import COMMON_KEYS, secrets_in
from remediation.killswitch import file_says
from remediation.plan import CONFIGURED, base_epoch, options_in, plan_from
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, Plan, Target
from watchkeeper.ports import Reading

from .journal import Journal

EXECUTE, ROLLBACK = "execute", "rollback"


class Actuator:
    """Holds the credentials of the targets. Thread-safe: one effect at a time on each target."""

    def __init__(
        self,
        journal: Journal,
        targets: Mapping[str, Mapping[str, Any]],
        kill_switch_file: Path,
        *,
        kinds: Callable[[str], Kind] = kind_of,
    ) -> None:
        self._journal, self._targets, self._kill_switch_file, self._kinds = journal, targets, kill_switch_file, kinds
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()  # over journal, running and locks
        self._running: set[str] = set()
        self._changes = {name: journal.configured(name, _digest(one)) for name, one in targets.items()}

    def read(self, target: Target) -> Reading:
        """Its epoch bears how often its options have changed: a plan is for the target that it was made for alone."""
        kind, settings = self._of(target)
        with _hushed(kind, settings):
            reading = kind.read(target, settings)
        changes = self._changes[target.name]
        return replace(reading, epoch=f"{reading.epoch}{CONFIGURED}{changes}") if changes else reading

    def outcome(self, key: str) -> dict[str, Any]:
        """What became of an intent. One never seen is settled by asking: should it still arrive, it is refused."""
        with self._guard:
            if key in self._running:
                return {"state": "running"}
            known = self._journal.outcome(key)
            if known is None:
                known = _refused(0, "it never arrived, and was revoked before it could")
                self._journal.end(key, 0, known)
            return known

    def submit(self, intent: Intent, waited_for: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """Carry an intent out, once; the same key again is answered with what became of it.

        ``waited_for``: whoever sent it still waits. One that we overslept was decided on what was seen long ago.
        """
        plan = self._checked(intent)
        target = plan.targets[0]
        with self._guard:
            if intent.idempotency_key in self._running:
                return {"state": "running"}
            known = self._journal.outcome(intent.idempotency_key)
            if known is not None:
                return known
            self._running.add(intent.idempotency_key)
            lock = self._locks[target.name]
        try:
            with lock:
                return self._carry_out(intent, plan, target, waited_for)
        finally:
            with self._guard:
                self._running.discard(intent.idempotency_key)

    def _checked(self, intent: Intent) -> Plan:
        plan = plan_from(intent.plan)
        if plan.digest() != intent.plan_hash:
            raise ActionError("the plan is not the one that was hashed")
        if intent.operation not in (EXECUTE, ROLLBACK):
            raise ActionError(f"unknown operation {intent.operation!r}")
        if len(plan.targets) != 1:
            raise ActionError("a plan names exactly one target; nothing means nothing")
        self._of(plan.targets[0])
        return plan

    def _carry_out(self, intent: Intent, plan: Plan, target: Target, waited_for: Callable[[], bool]) -> dict[str, Any]:
        kind, settings = self._of(target)
        wanted = plan.desired if intent.operation == EXECUTE else plan.rollback
        refusal = self._refusal(intent, plan, target, kind)
        if refusal is not None:
            return refusal
        if not waited_for():
            return self._end(intent, _refused(intent.token, "whoever sent it waits no more: it came too late"))
        with self._guard:
            self._journal.begin(intent.idempotency_key, intent.token, target.name, intent.operation)
        try:
            with _hushed(kind, settings):
                evidence = kind.apply(wanted, intent, settings)
            outcome = {"state": "done", "token": intent.token, "detail": "", "evidence": dict(evidence)}
        except ActionError as error:
            state = "unknown" if error.unknown else "failed"
            outcome = {"state": state, "token": intent.token, "detail": str(error), "evidence": {}}
        return self._end(intent, outcome)

    def _refusal(self, intent: Intent, plan: Plan, target: Target, kind: Kind) -> dict[str, Any] | None:
        highest = self._journal.highest.get(target.name, 0)
        if intent.token <= highest:  # not written down: a stale leader could fill the journal
            return _refused(intent.token, f"token {intent.token} is not above {highest}")
        if not (plan.desired if intent.operation == EXECUTE else plan.rollback):
            return self._end(intent, _refused(intent.token, "the plan selects nothing, and nothing means nothing"))
        try:
            reading = self.read(target)
        except ActionError as error:
            return self._end(intent, _refused(intent.token, f"the target cannot be read: {error}"))
        if options_in(reading.epoch) != options_in(base_epoch(plan)):
            return self._end(
                intent, _refused(intent.token, "the target is configured otherwise since the plan was made")
            )
        if intent.operation == EXECUTE and reading.epoch != base_epoch(plan):
            return self._end(intent, _refused(intent.token, "the target changed since the plan was made"))
        if intent.operation == ROLLBACK and not kind.ours(reading, plan.before, plan.desired):
            return self._end(intent, _refused(intent.token, "somebody else changed the target since"))
        # Looked at last, right before the effect. Going back to what was is allowed even then.
        reason = file_says(self._kill_switch_file)
        if reason and intent.operation == EXECUTE:
            return self._end(intent, _refused(intent.token, f"the kill switch is set: {reason}"))
        return None

    def _end(self, intent: Intent, outcome: dict[str, Any]) -> dict[str, Any]:
        with self._guard:
            self._journal.end(intent.idempotency_key, intent.token, outcome)
        return outcome

    def _of(self, target: Target) -> tuple[Kind, Mapping[str, Any]]:
        settings = self._targets.get(target.name)
        if settings is None or settings.get("kind") != target.kind:
            raise ActionError(f"{target.kind} target {target.name!r} is not configured in the actuator")
        return self._kinds(target.kind), settings


@contextmanager
def _hushed(kind: Kind, settings: Mapping[str, Any]) -> Iterator[None]:
    """What others say is repeated to people and kept in the audit, without the target's secrets."""
    try:
        yield
    except ActionError as error:
        said = str(error)
        for secret in secrets_in(kind.options, settings):
            said = said.replace(secret, "***")
        raise ActionError(said, unknown=error.unknown) from None


def _digest(settings: Mapping[str, Any]) -> str:
    """Of the options of its kind. The journal that keeps it is its owner's alone, as the configuration is."""
    own = {key: value for key, value in settings.items() if key not in COMMON_KEYS - {"kind"}}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()


def _refused(token: int, detail: str) -> dict[str, Any]:
    """Nothing was done, and with this key nothing ever will be."""
    return {"state": "refused", "token": token, "detail": detail, "evidence": {}}
