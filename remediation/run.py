"""One step's hands: the database in a thread, transitions with their audit rows, and what to tell people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from watchkeeper.errors import StoreError
from watchkeeper.model import ActionRecord, ActionState, Plan, RemedyRule, Severity
from watchkeeper.model.incident import Incident
from watchkeeper.ports import ActuatorClient

from .change import Change, ChangeKind
from .confirm import History
from .cuts import Cuts
from .killswitch import KillSwitch
from .settings import Settings
from .situation import Facts, LinkView
from .steady import Tick

if TYPE_CHECKING:
    from watchkeeper.store.state.database import State
    from watchkeeper.store.state.repositories import Unit

T = TypeVar("T")
#: Mark of an end that says something about us, not about the action: it need not wait before it is proposed again.
AGAIN = "again"


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything one step needs. Made anew for each; only ``histories`` and ``counts`` live on."""

    state: State
    settings: Settings
    rules: Mapping[str, RemedyRule]
    actuator: ActuatorClient
    switch: KillSwitch
    tick: Tick
    facts: Facts
    histories: Mapping[str, History]
    cuts: Cuts
    counts: Counter[str]
    links: Mapping[str, LinkView] = field(default_factory=dict)  #: rule -> its dual link now
    changes: list[Change] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)  #: actions whose intent was committed in this very step
    held_up: Callable[[], float] = lambda: 0.0  #: seconds since this step looked at the world

    async def db(self, work: Callable[[Unit], T]) -> T:
        """One write transaction, in a thread."""
        return await asyncio.to_thread(self._in_unit, work)

    async def read(self, work: Callable[[Unit], T]) -> T:
        """One consistent read, in a thread: takes no turn from writers, and what ``work`` writes is undone."""
        return await asyncio.to_thread(self._in_view, work)

    def _in_unit(self, work: Callable[[Unit], T]) -> T:
        with self.state.begin() as unit:
            return work(unit)

    def _in_view(self, work: Callable[[Unit], T]) -> T:
        with self.state.read() as unit:
            return work(unit)

    async def stopped(self) -> str:
        """Why nothing may be executed; read anew, file and database, whenever asked."""
        return await asyncio.to_thread(self.switch.reason)

    def rule_of(self, record: ActionRecord) -> RemedyRule | None:
        return self.rules.get(record.plan.rule)

    def history(self, rule: str) -> History:
        return self.histories.get(rule) or History()

    def isolated(self, rule: str) -> str:
        """Why nothing that the rule sees may be trusted now; empty when it may."""
        return self.tick.isolated or self.cuts.why(rule, self.tick.now)

    def incident(self, rule: RemedyRule) -> Incident | None:
        """The open incident with the rule's labels, else the one of its service."""
        wanted = dict(rule.incident_labels) or ({"service": rule.service} if rule.service else {})
        for incident in self.facts.incidents:
            if wanted and all(incident.labels.get(name) == value for name, value in wanted.items()):
                return incident
        return None

    async def move(
        self,
        record: ActionRecord,
        state: ActionState,
        reason: str,
        *,
        progress: Mapping[str, object] | None = None,
        evidence: Mapping[str, object] | None = None,
        also: Callable[[Unit], Any] | None = None,
        **fields: Any,
    ) -> ActionRecord:
        """The next state: row, transition and audit in one transaction, before anything follows from it."""
        merged = {**record.progress, **(progress or {})}
        if state.terminal:
            merged["ended_at"] = self.tick.now.isoformat()
        if progress and "deadline" in progress:
            left = datetime.fromisoformat(str(merged["deadline"])) - self.tick.now
            fields["deadline_at"] = self.tick.wall + left
        moved = replace(record, state=state, updated_at=self.tick.wall, progress=merged, **fields)

        def work(unit: Unit) -> None:
            write(unit, moved, record.state, reason, self.tick.wall, evidence or {})
            if also is not None:
                also(unit)

        await self.db(work)
        self.counts[f"state:{state}"] += 1
        return moved

    def tell(
        self, kind: ChangeKind, record: ActionRecord, reason: str, *, page: bool = False, **evidence: object
    ) -> None:
        self.changes.append(
            Change(
                kind=kind,
                action_id=record.id,
                rule=record.plan.rule,
                incident_id=record.plan.incident_id,
                state=record.state,
                severity=severity_of(record, self.settings),
                plan=record.plan,
                reason=reason,
                at=self.tick.wall,
                page=page,
                evidence=evidence,
            )
        )

    def past(self, record: ActionRecord, key: str) -> bool:
        """True when the steady time kept under ``key`` is over."""
        moment = record.progress.get(key)
        return moment is not None and self.tick.now >= datetime.fromisoformat(str(moment))


def severity_of(record: ActionRecord, settings: Settings) -> Severity:
    return Severity(str(record.progress.get("severity", settings.default_severity)))


def write(
    unit: Unit,
    record: ActionRecord,
    before: ActionState | None,
    reason: str,
    at: datetime,
    evidence: Mapping[str, object],
    actor: str = "engine",
) -> None:
    """Row, transition and audit row of one change of state."""
    unit.actions.save(record, reason=reason, at=at, evidence=evidence, actor=actor)
    detail: dict[str, object] = {
        "from": before or "",
        "to": record.state,
        "reason": reason,
        "evidence": dict(evidence),
        "rule": record.plan.rule,
        "plan_hash": record.plan.digest(),
    }
    if record.state in (ActionState.PROPOSED, ActionState.INTENT_COMMITTED):
        detail["plan"] = record.plan.body()
    unit.audit.append(actor, f"action.{record.state}", record.id, detail, at=at)


def verdicts_json(verdicts: Sequence[Any]) -> list[dict[str, object]]:
    return [
        {"gate": each.gate, "passed": each.passed, "reason": each.reason, "evidence": dict(each.evidence)}
        for each in verdicts
    ]


def same_change(one: Plan, other: Plan) -> bool:
    """True when two plans would do the same to the same target, from the same state."""
    parts = ("rule_version", "action", "targets", "desired", "before", "rollback", "risk", "incident_id")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


async def in_turn(steps: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """All of them, although one breaks off: what one target says never keeps another from being mended."""
    failures: list[Exception] = []
    for step in steps:
        try:
            await step()
        except StoreError:  # it is the same for all
            raise
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if failures:
        raise failures[0]
