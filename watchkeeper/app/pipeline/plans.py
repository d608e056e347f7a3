"""Plan: incidents start contingency plans, and runs are taken from step to step until they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from remediation.contingency import Ask, Look, PlanError, Turn, advance, begin, begun, changed
from remediation.contingency.load import Known, definition
from remediation.contingency.machine import REHEARSING, unable
from remediation.contingency.triggers import quiet, triggered
from rules.observe import observe
from watchkeeper.app.pipeline.ask import Ask as Query
from watchkeeper.app.pipeline.plans_read import plans_of
from watchkeeper.app.pipeline.plans_tell import tell
from watchkeeper.app.schedule import every
from watchkeeper.errors import AccessError, ActionError
from watchkeeper.model import Incident, PlanRun, RemedyRule, StepState
from watchkeeper.store.state import Unit
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

T = TypeVar("T")
EVERY = timedelta(seconds=2)
#: A symptom's samples may be twice as old as this.
LOOKED = timedelta(seconds=60)
#: Turns of one run in one look at most: no plan has more steps.
MOST = 100


@dataclass(slots=True, eq=False)
class Planning:
    """The plans in force and their runs. Every change is one transaction: rows, transitions, audit, messages."""

    engine: Engine
    ask: Query
    known: dict[str, Known] = field(default_factory=dict)  #: replaced by a reload; runs keep the plan they began with
    _live: bool = True  #: there may be runs under way
    _busy: bool = False
    _seen: set[tuple[str, str]] = field(default_factory=set)  #: plans and incidents that have their run
    _rehearsing: set[str] = field(default_factory=set)  #: runs whose rehearsal this life of the engine has begun

    @classmethod
    def checked(cls, engine: Engine, ask: Query, remedies: Any) -> Planning:
        """Raises ConfigError."""
        return cls(engine, ask, plans_of(engine.loaded, remedies))

    async def step(self, now: datetime) -> None:
        """Start what incidents ask for, and take every run as far as it goes now. One at a time."""
        if self._busy or not self.engine.leads() or not (self.known or self._live):
            return
        self._busy = True
        try:
            await asyncio.to_thread(self._start, now)
            if self._live:
                await self._advance_all(now)
        finally:
            self._busy = False

    # --- triggers --------------------------------------------------------------------------------------------------

    def _start(self, now: datetime) -> None:
        for known in self.known.values():
            if not known.plan.trigger.by_hand:
                for incident, met in self._met(known, now):
                    self._begin_for(known, incident, met, now)

    def _met(self, known: Known, now: datetime) -> list[tuple[Incident, datetime]]:
        """Open incidents that meet the trigger and have no run of it yet, with the moment at which they did."""
        trigger = known.plan.trigger
        labels = {**trigger.labels, **({"service": trigger.service} if trigger.service else {})}
        found: dict[str, list[Any]] = {}
        with self.engine.state.read() as unit:
            for alert in unit.alerts.firing_with(trigger.alerts, labels):
                if alert.incident_id and (known.plan.name, alert.incident_id) not in self._seen:
                    found.setdefault(alert.incident_id, []).append(alert)
            incidents = [(unit.incidents.get(key), alerts) for key, alerts in found.items()]
        met = [(one, triggered(trigger, one, alerts, now)) for one, alerts in incidents if one is not None]
        return [(one, at) for one, at in met if at is not None]

    def _begin_for(self, known: Known, incident: Incident, met: datetime, now: datetime) -> None:
        self._seen.add((known.plan.name, incident.id))
        try:
            self.begin(known.plan.name, now, by="engine", reason="its trigger is met", incident=incident, clock_at=met)
        except PlanError:  # of an earlier life, or begun by a person
            return

    def begin(
        self,
        plan: str,
        now: datetime,
        *,
        by: str,
        reason: str,
        incident: Incident | None = None,
        clock_at: datetime | None = None,
        drill: bool = False,
    ) -> str:
        """A new run; its id. Raises PlanError: no such plan, it ran for the incident, or it is under way."""
        known = self.known.get(plan)
        if known is None:
            raise PlanError(f"there is no plan {plan!r}")

        def work(unit: Unit) -> Turn:
            self._may(unit, plan, incident, drill=drill)
            turn = begin(
                known.plan, run_id=unit.plans.new_id(), definition=definition(known.plan), version=known.version,
                now=now, clock_at=clock_at or now, by=by, reason=reason, incident_id=incident.id if incident else "",
                correlation_id=incident.correlation_id if incident else "", drill=drill,
            )  # fmt: skip
            begun(unit, turn)
            return turn

        self._live = True
        return self._write(work).run.id

    @staticmethod
    def _may(unit: Unit, plan: str, incident: Incident | None, *, drill: bool) -> None:
        """A drill stands alone; a run by hand is not begun beside one that has no incident either."""
        live = [run for run in unit.plans.live() if run.plan == plan]
        if drill and live:
            raise PlanError(f"plan {plan} is under way: {live[0].id}")
        if not drill and incident is None and any(not run.drill and not run.incident_id for run in live):
            raise PlanError(f"plan {plan} is under way: {live[0].id}")

    # --- runs ------------------------------------------------------------------------------------------------------

    async def _advance_all(self, now: datetime) -> None:
        runs = await asyncio.to_thread(self._read, lambda unit: unit.plans.live())
        self._live = bool(runs)
        for run in runs:
            await self._advance(run, now)

    async def _advance(self, run: PlanRun, now: datetime) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MOST):
            seen = await loop.run_in_executor(self.engine.threads["rules"], self._look, run, now)
            asked = await asyncio.to_thread(self._take, run.id, seen, now)
            if asked is None:
                return
            await self._do(run, asked, now)
            again = await asyncio.to_thread(self._again, run.id)
            if again is None or again == run:
                return
            run = again

    def _again(self, run_id: str) -> PlanRun | None:
        return self._read(lambda unit: unit.plans.get(run_id))

    def _look(self, run: PlanRun, now: datetime) -> Look:
        """What PromQL and alerts say now."""
        plan = Turn.of(run, now).plan
        symptom, pending = plan.recovery.symptom, {step.name for step in run.steps if step.state is StepState.PENDING}
        holds = {step.when: self._bad(step.when, now) for step in plan.steps if step.when and step.name in pending}
        remediator = self.engine.remediation.remediator
        seen = Look(holds=holds, sees={step.rule: remediator.sees(step.rule) for step in plan.steps if step.wait})
        if run.drill:
            return seen
        if symptom:
            bad = self._bad(symptom, now)
            return replace(seen, quiet=None if bad is None else not bad)
        if not run.incident_id:
            return replace(seen, measured=False)
        alerts = self._read(lambda unit: unit.alerts.live_of_incident(run.incident_id, plan.trigger.alerts))
        return replace(seen, quiet=quiet(plan.trigger, alerts))

    def _bad(self, expr: str, now: datetime) -> bool | None:
        """As remediation rules are looked at: None when it cannot be known."""
        rule = RemedyRule(name=expr, when=expr, action="", target="", verify="", interval=LOOKED)
        return observe(rule, now, self.ask, self.ask.newest).bad

    def _take(self, run_id: str, seen: Look, now: datetime) -> Ask | None:
        """One turn. Looked at first, so that a run that waits takes no writer's turn."""
        with self.engine.state.read() as unit:
            before, turn, asked = self._turn(unit, run_id, seen, now)
            if turn.run == before:
                return asked

        def work(unit: Unit) -> Turn:
            nonlocal asked
            was, made, asked = self._turn(unit, run_id, seen, now)
            changed(unit, made, was)
            return made

        self._write(work)
        return asked

    def _turn(self, unit: Unit, run_id: str, seen: Look, now: datetime) -> tuple[PlanRun, Turn, Ask | None]:
        run = _found(unit, run_id)
        turn = Turn.of(run, now)
        current = turn.current()
        if current is not None and current.note == REHEARSING and run.id not in self._rehearsing:
            unable(turn, current, "interrupted by a restart: whether the rehearsal worked is not known")
        ids = [step.action_id for step in run.steps if step.action_id]
        actions = {key: record for key in ids if (record := unit.actions.get(key)) is not None}
        return run, turn, advance(turn, replace(seen, actions=actions))

    async def _do(self, run: PlanRun, asked: Ask, now: datetime) -> None:
        if run.drill:
            await self._drill(run, asked, now)
            return

        def also(unit: Unit, action_id: str) -> None:
            self._follow(unit, run.id, asked, action_id, now, f"asked for {action_id}")

        who, reason = asked.by or f"plan {run.plan}", f"step {asked.step} of {run.id}"
        try:
            await self.engine.remediation.request(
                asked.rule,
                who,
                f"{reason}: {asked.note}" if asked.note else reason,
                waive=asked.waive,
                incident_id=run.incident_id,
                also=also,
            )
        except PlanError:  # a person was faster: the run has moved on, and nothing was asked for
            return
        except (ActionError, AccessError) as error:
            await asyncio.to_thread(self._refused, run.id, asked, str(error), now)

    def _follow(self, unit: Unit, run_id: str, asked: Ask, action_id: str, now: datetime, why: str) -> None:
        """The step has this action from now on. Raises PlanError when it is not waiting for one."""
        run = _found(unit, run_id)
        turn = Turn.of(run, now)
        step = turn.current()
        waits = step is not None and step.name == asked.step and step.state is StepState.ACTIVE
        if step is None or not waits or step.attempt != asked.attempt or step.action_id:
            raise PlanError(f"step {asked.step} of {run_id} does not wait for an action")
        turn.step(step, StepState.ACTIVE, why, evidence={"action": action_id}, action_id=action_id)
        changed(unit, turn, run)

    def _refused(self, run_id: str, asked: Ask, reason: str, now: datetime) -> None:
        """An action of the rule that is under way already is the step's; else the machine cannot do it."""

        def work(unit: Unit) -> Turn | None:
            other = next((one for one in unit.actions.active() if one.plan.rule == asked.rule), None)
            if other is not None:
                self._follow(unit, run_id, asked, other.id, now, f"{other.id} of its rule is under way already")
                return None
            run = _found(unit, run_id)
            turn = Turn.of(run, now)
            step = turn.current()
            if step is not None and step.name == asked.step and not step.action_id:
                unable(turn, step, reason)
                changed(unit, turn, run)
            return turn

        self._write(work)

    async def _drill(self, run: PlanRun, asked: Ask, now: datetime) -> None:
        """There and back on the test target, or planned only; a step that was begun is never begun again."""
        self._rehearsing.add(run.id)
        try:
            await asyncio.to_thread(self._rehearsed, run.id, asked, now, {"note": REHEARSING}, "")
            try:
                found = await self.engine.remediation.remediator.drill(now, asked.rule, self.ask)
            except ActionError as error:
                await asyncio.to_thread(self._rehearsed, run.id, asked, now, {}, str(error))
            else:
                await asyncio.to_thread(self._rehearsed, run.id, asked, now, found, "")
        finally:
            self._rehearsing.discard(run.id)

    def _rehearsed(self, run_id: str, asked: Ask, now: datetime, found: Mapping[str, object], failed: str) -> None:
        def work(unit: Unit) -> Turn:
            run = _found(unit, run_id)
            turn = Turn.of(run, now)
            step = turn.current()
            if step is None or step.name != asked.step or run.state.over:
                return turn
            if failed:
                unable(turn, step, failed)
            elif "note" in found:
                turn.step(step, StepState.ACTIVE, REHEARSING, note=REHEARSING)
            else:
                word = "rehearsed on its test target" if found["how"] == "rehearsed" else "planned only: a dry run"
                turn.step(step, StepState.DONE, word, evidence=found, note=word)
            changed(unit, turn, run)
            return turn

        self._write(work)

    # --- people ----------------------------------------------------------------------------------------------------

    def act(self, run_id: str, now: datetime, change: Callable[[Unit, Turn], None]) -> PlanRun:
        """What a person does to a run, in one transaction; the run as it is then. Raises PlanError."""

        def work(unit: Unit) -> Turn:
            run = _found(unit, run_id)
            turn = Turn.of(run, now)
            change(unit, turn)
            changed(unit, turn, run)
            return turn

        return self._write(work).run

    def _write(self, work: Callable[[Unit], T]) -> T:
        """One transaction, with the messages of its turn."""
        with self.engine.state.begin() as unit:
            made = work(unit)
            told = tell(self.engine.telling, self.engine.config.plans, unit, made) if isinstance(made, Turn) else 0
        if told:
            self.engine.telling.wake()
        return made

    def _read(self, work: Callable[[Unit], T]) -> T:
        with self.engine.state.read() as unit:
            return work(unit)


def _found(unit: Unit, run_id: str) -> PlanRun:
    run = unit.plans.get(run_id)
    if run is None:
        raise PlanError(f"there is no run {run_id!r} of a plan")
    return run


def schedule(engine: Engine, now: datetime) -> None:
    engine.scheduler.add("plans", every(EVERY, now + EVERY), engine.planning.step)
