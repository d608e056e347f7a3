"""A remediator on a manual clock, a real state database, and an actuator whose target is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.remedies import NOON, RULE
from support.states import hurry, made_already

from remediation.actions.base import state_hash
from remediation.actions.haproxy import Haproxy
from remediation.actuator import Actuator, Journal
from remediation.book import REHEARSED_KEY
from remediation.change import Change
from remediation.engine import Remediator
from remediation.settings import Settings
from remediation.situation import Facts, Watched
from watchkeeper.clock import ManualClock
from watchkeeper.errors import ActionError
from watchkeeper.model import (
    ActionRecord,
    Incident,
    IncidentState,
    Intent,
    Labels,
    Observation,
    RemedyRule,
    Severity,
    Target,
)
from watchkeeper.ports import Reading
from watchkeeper.store.state.database import State, sqlite_url


@dataclass
class Pool(Haproxy):
    """Servers of a backend in memory, with HAProxy's own arithmetic. Counts every effect by key."""

    servers: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {f"web{number}": {"state": "ready", "weight": 100} for number in range(1, 5)}
    )
    down: set[str] = field(default_factory=set)
    effects: list[Intent] = field(default_factory=list)
    fail: str = ""  #: "before": refuses; "half": does it and loses the answer
    dark: bool = False  #: cannot be read

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        if self.dark:
            raise ActionError("the target does not answer")
        capacity = {f"up.{name}": float(name not in self.down) for name in self.servers}
        healthy = sum(each["state"] == "ready" and name not in self.down for name, each in self.servers.items())
        capacity |= {"healthy": float(healthy), "total": float(len(self.servers))}
        state = {name: dict(each) for name, each in self.servers.items()}
        return Reading(state=state, epoch=state_hash(state), capacity=capacity)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        if self.fail == "before":
            raise ActionError("refused by the target")
        self.effects.append(intent)
        for name, change in desired.items():
            assert isinstance(change, Mapping)
            self.servers[name] = {**self.servers[name], **change}
        if self.fail == "half":
            raise ActionError("the answer was lost", unknown=True)
        return {"token": intent.token}

    def executed(self) -> int:
        return sum(intent.operation == "execute" for intent in self.effects)


class Direct:
    """An ActuatorClient without a socket: the real Actuator and journal, called in place."""

    def __init__(self, core: Actuator) -> None:
        self.core = core
        self.lose: str = ""  #: "request": never arrives; "answer": carried out, the answer is lost
        self.down = False

    def _reach(self) -> None:
        if self.down:
            raise ActionError("the actuator cannot be reached")

    async def read(self, target: Target) -> Reading:
        self._reach()
        return self.core.read(target)

    async def submit(self, intent: Intent) -> Mapping[str, object]:
        self._reach()
        if self.lose == "request":
            raise ActionError("lost on the way", unknown=True)
        outcome = self.core.submit(intent)
        if self.lose == "answer":
            raise ActionError("lost on the way back", unknown=True)
        return outcome

    async def outcome(self, idempotency_key: str) -> Mapping[str, object] | None:
        self._reach()
        return self.core.outcome(idempotency_key)


class World:
    """What tests steer: the clock, what is seen, the pool, and people."""

    #: How the engine's own coroutines are run.
    carry_out: Callable[[Coroutine[Any, Any, list[Change]]], list[Change]] = staticmethod(asyncio.run)

    def __init__(
        self,
        folder: Path,
        *rules: RemedyRule,
        rehearsed: bool = True,
        open_state: Callable[[str], Any] = State,
        **options: Any,
    ) -> None:
        self.folder, self.clock = folder, ManualClock(NOON)
        made_already(folder / "state.db")
        self.state: State = open_state(sqlite_url(folder / "state.db"))
        if isinstance(self.state, State):
            hurry(self.state)
        targets = [{"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}]
        self.settings = Settings(**{"targets": targets, **options})
        self.rules = rules or (RULE,)
        self.pool = Pool()
        self.symptom: float | None = 1.0  #: what ``verify`` and ``when`` answer; None: no data
        self.answers: dict[str, float | None] = {}  #: PromQL -> value
        self.incident: Incident | None = incident(Severity.P1)
        self.facts: dict[str, Any] = {}
        self.told: list[Change] = []
        self.start()
        if rehearsed:
            with self.state.begin() as unit:
                unit.documents.put(f"{REHEARSED_KEY}haproxy/web", {"at": NOON.isoformat()}, at=NOON)

    def start(self) -> None:
        """Engine and actuator as after a restart: only what is on disk is known."""
        journal = Journal(self.folder / "journal")
        targets = {str(target["name"]): target for target in self.settings.targets}
        kill_switch = self.folder / self.settings.kill_switch_file
        self.actuator = Direct(Actuator(journal, targets, kill_switch, kinds=lambda _: self.pool))
        self.remediator = Remediator(
            self.state,
            self.settings,
            self.rules,
            self.actuator,
            data_dir=self.folder,
            monotonic=self.clock.monotonic,
        )

    def query(self, expr: str, at: Any) -> Sequence[tuple[Labels, float]]:
        value = self.answers.get(expr, self.symptom)
        return [] if value is None else [((), value)]

    def see(self, **more: Any) -> list[Observation]:
        """Every rule observes the symptom, and so does its other observer."""
        now = self.clock.now()
        bad = None if self.symptom is None else self.symptom != 0
        newest = None if bad is None else now - timedelta(seconds=5)
        made = [
            Observation(
                rule=rule.name, at=now, bad=bad, observers=dict.fromkeys(rule.observers, bad), newest_sample_at=newest
            )
            for rule in self.rules
        ]
        return [replace(each, **more) for each in made]

    def step(
        self, times: int = 1, *, every: float = 15.0, observations: list[Observation] | None = None, **more: Any
    ) -> list[Change]:
        """Time passes, then the engine looks. What it says is returned and kept."""
        told: list[Change] = []
        for _ in range(times):
            self.clock.advance(every)
            watched = [Watched(name=f"t{number}", service=f"s{number}", up=True) for number in range(5)]
            incidents = [self.incident] if self.incident else []
            facts = Facts(**{"query": self.query, "watched": watched, "incidents": incidents, **self.facts})
            seen = self.see(**more) if observations is None else observations
            told += self.carry_out(self.remediator.step(self.clock.now(), self.clock.monotonic(), seen, facts))
        self.told += told
        return told

    def records(self) -> list[ActionRecord]:
        with self.state.read() as unit:
            return unit.actions.recent(NOON - timedelta(days=400))

    def record(self) -> ActionRecord:
        return self.records()[-1]

    def path(self, action_id: str = "") -> list[str]:
        """The states an action passed, from its transitions."""
        with self.state.read() as unit:
            return [each.new_state for each in unit.transitions.of(action_id or self.record().id)]

    def reason(self) -> str:
        with self.state.read() as unit:
            return unit.transitions.of(self.record().id)[-1].reason


def incident(severity: Severity) -> Incident:
    return Incident(
        id="inc-1",
        state=IncidentState.OPENED,
        severity=severity,
        title="shop is failing",
        group_key="shop",
        labels={"service": "shop"},
        opened_at=NOON,
        correlation_id="cor-1",
    )
