"""A contingency plan in a test's hands: its definition, a run that is advanced step by step, and what was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from support.remedies import PLAN

from remediation.contingency import Ask, Look, Turn, advance, begin
from remediation.contingency.load import Known, definition
from watchkeeper.config.plans import Plan
from watchkeeper.model import ActionRecord, ActionState, PlanRun, StepRun

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
STEPS: list[dict[str, Any]] = [
    {"name": "degrade", "kind": "rule", "rule": "quotes_cached", "limit": "5m"},
    {"name": "tell", "kind": "notice"},
    {"name": "call", "owner": "duty", "vendor": "carrier", "limit": "10m"},
]
NOTICES = [{"audience": "customers", "at": "tell", "title": "{plan}", "text": "since {started}"}]


def plan(**more: Any) -> Plan:
    """Degrade by a rule, tell customers, call the vendor; recovered within 30 minutes."""
    found = {"name": "carrier", "trigger": {"alerts": ["CarrierDown"]}, "steps": STEPS, "notices": NOTICES, **more}
    return Plan.model_validate(found)


def action(state: ActionState, number: int = 1) -> ActionRecord:
    return ActionRecord(
        id=f"act-{number}",
        state=state,
        plan=PLAN,
        created_at=NOON,
        updated_at=NOON,
        requester="plan",
        correlation_id="c",
    )


@dataclass
class Playing:
    """A run on a clock of its own."""

    run: PlanRun
    now: datetime = NOON
    told: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, wanted: Plan, *, drill: bool = False) -> Playing:
        known = Known.of(wanted)
        turn = begin(
            wanted, run_id="plan-1", definition=definition(wanted), version=known.version, now=NOON, clock_at=NOON,
            by="engine", reason="test", incident_id="" if drill else "inc-1", drill=drill,
        )  # fmt: skip
        found = cls(turn.run)
        found._take(turn)
        return found

    def _take(self, turn: Turn) -> None:
        self.run = turn.run
        self.told += turn.told
        self.reasons += [move.reason for move in turn.moves]

    def turn(self) -> Turn:
        return Turn.of(self.run, self.now)

    def do(self, change: Any, *arguments: Any) -> Any:
        """What a person does."""
        turn = self.turn()
        found = change(turn, *arguments)
        self._take(turn)
        return found

    def look(
        self,
        *,
        after: float = 0.0,
        quiet: bool | None = False,
        measured: bool = True,
        holds: Mapping[str, bool | None] | None = None,
        actions: Mapping[str, ActionRecord] | None = None,
        sees: Mapping[str, bool | None] | None = None,
    ) -> Ask | None:
        """Time passes, and the engine looks."""
        self.now += timedelta(seconds=after)
        seen = Look(quiet=quiet, measured=measured, holds=holds or {}, actions=actions or {}, sees=sees or {})
        return self.do(advance, seen)  # type: ignore[no-any-return]

    def asked(self, step: str, action_id: str = "act-1") -> None:
        """The roof has asked for the rule: the run knows the action."""
        steps = tuple(replace(one, action_id=action_id) if one.name == step else one for one in self.run.steps)
        self.run = replace(self.run, steps=steps)

    def step(self, name: str) -> StepRun:
        return next(one for one in self.run.steps if one.name == name)

    def states(self) -> list[str]:
        return [str(one.state) for one in self.run.steps]
