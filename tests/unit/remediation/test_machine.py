"""Anything may happen in any order; what RELIABILITY promises must hold after every step: I1 to I16.

I17, a target that lies about another one, is in ``tests/journey/test_hostile_target.py``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.fast_state import Counting, cycles_left_alone, run_at_once, without_threads
from support.memory_state import MemoryState
from support.remediator import World, incident
from support.remedies import NOON, RULE
from support.states import made_already

from remediation import gates, steady
from remediation.book import HOLDING
from remediation.gates.base import passed
from watchkeeper.errors import AccessError
from watchkeeper.model import ActionRecord, ActionState, Mode, Severity
from watchkeeper.store.state.database import sqlite_url
from watchkeeper.store.state.repositories import Unit
from watchkeeper.store.state.repositories.actions import IntentRow

pytestmark = pytest.mark.uncounted

SECOND = replace(RULE, name="drain-web2", parameters={"drain": "web2"}, service="shop")
S = ActionState
#: Every transition of the state machine, as drawn in the safety model.
ALLOWED = {
    "": {S.OBSERVED},
    S.OBSERVED: {S.CONFIRMING},
    S.CONFIRMING: {S.PROPOSED, S.CLEARED},
    S.PROPOSED: {S.SUPPRESSED, S.AWAITING_APPROVAL, S.ARMED, S.DRY_RUN, S.SUGGESTED},
    S.AWAITING_APPROVAL: {S.REJECTED, S.EXPIRED, S.ARMED},
    S.ARMED: {S.INTENT_COMMITTED, S.ABORTED},
    S.INTENT_COMMITTED: {S.EXECUTING, S.ABORTED},
    S.EXECUTING: {S.VERIFYING, S.FAILED, S.UNKNOWN},
    S.UNKNOWN: {S.RECONCILING},
    S.RECONCILING: {S.VERIFYING, S.ABORTED, S.ROLLING_BACK, S.ESCALATED},
    S.VERIFYING: {S.SUCCEEDED, S.ROLLING_BACK, S.ESCALATED},
    S.FAILED: {S.ROLLING_BACK},
    S.ROLLING_BACK: {S.ROLLED_BACK, S.ESCALATED},
}

STATES = frozenset(S)
#: Files that need not outlive the machine lie here, where it is there.
IN_MEMORY = Path("/dev/shm")
#: What this process has open.
OPEN = Path("/proc/self/fd")
#: Longer than anything may take: the wait for people, the deadline, and the hold of the rules.
LONGEST = timedelta(minutes=15 + 15 + 5 + 1)
#: Looks of 15 s after it: the first two only observe, as after every pause; then one for each state on the way.
LOOKS = 8
#: Looks until what is verified has held: half a minute to the verdict and five minutes of hold, and two more.
HELD = 24

#: How actions ended over all runs: a machine in which nothing ever happens proves nothing.
ENDS: Counter[str] = Counter()


class Life(RuleBasedStateMachine):
    """Time, symptoms, faults, people and restarts, in the order Hypothesis likes."""

    #: Where rows are kept; the actuator's journal is always a file.
    open_state: Callable[[str], Any] = Counting

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="wk-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
        self.stopped_at = -1
        self.blind_effects = 0
        self.checked = (-1, -1)  #: writes of the database and effects that the rows were looked at after
        self.known: dict[str, ActionRecord] = {}  #: rows as they were when they were looked at

    @initialize(
        mode=st.sampled_from([Mode.AUTO, Mode.AUTO, Mode.AUTO, Mode.APPROVE, Mode.DRY_RUN]),
        rehearsed=st.sampled_from([True, True, True, False]),
    )
    def begin(self, mode: Mode, *, rehearsed: bool) -> None:
        rules = (replace(RULE, mode=mode), replace(SECOND, mode=mode))
        self.mode = mode
        made_already(self.folder / "state.db")
        self.state = type(self).open_state(sqlite_url(self.folder / "state.db"))
        self.world = World(self.folder, *rules, rehearsed=rehearsed, open_state=lambda _: self.state)
        self.world.carry_out = run_at_once

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._the_deadline_passes()
            self.known.clear()
            self._rows_hold(self.world)  # all of them anew: none has changed since it was looked at
            with self.state.read() as unit:
                assert unit.audit.verify() is None  # I14
            ENDS.update(record.state.value for record in self.world.records())
            ENDS.update(f"gate:{record.progress.get('gate')}" for record in self.world.records())
            ENDS["effects"] += len(self.world.pool.effects)
            self.world.actuator.core._journal.close()
            self.world.state.close()
        shutil.rmtree(self.folder)

    def _the_deadline_passes(self) -> None:
        """I10: whatever is broken or silent by now, what was under way ends or a person is paged."""
        self.world.symptom = None
        self.step(1)  # time that passed while it was down and the clock was set back is known to nobody
        under_way = {record.id for record in self.world.records() if not record.state.terminal}
        self.world.clock.advance(LONGEST.total_seconds())
        self.step(LOOKS)
        left = {record.id: record.state for record in self.world.records() if record.id in under_way}
        assert all(state.terminal for state in left.values()), left
        ENDS["past its deadline"] += len(under_way)

    def step(self, steps: int, **seen: Any) -> None:
        with without_threads(steady.KEEP_EVERY):
            self.world.step(steps, **seen)

    @rule(bad=st.sampled_from([1.0, 1.0, 0.0, None]), steps=st.sampled_from([6, 1, 3, 8]))
    def see(self, bad: float | None, steps: int) -> None:
        before = self.world.pool.executed()
        self.world.symptom = bad
        self.step(steps)
        if bad != 1.0:  # I8: what is good or unknown leads to no effect
            self.blind_effects += self.world.pool.executed() - before

    @rule(steps=st.integers(1, 4))
    def one_observer_only(self, steps: int) -> None:
        self.world.symptom = 1.0
        self.step(1, observers={})  # until here earlier observations may still confirm
        before = self.world.pool.executed()
        self.step(steps, observers={})
        self.blind_effects += self.world.pool.executed() - before

    @rule(minutes=st.integers(1, 90))
    def sleep(self, minutes: int) -> None:
        self.world.clock.advance(minutes * 60)

    @rule(hours=st.sampled_from([0, 0, 0, -30, -1, 1, 30]))
    def jump(self, hours: int) -> None:
        self.world.clock.jump(timedelta(hours=hours))

    @rule()
    def quiet(self) -> None:
        """Everything works again, somebody puts back what was done for good, and half an hour passes."""
        self.world.pool.fail, self.world.actuator.lose = "", ""
        self.world.actuator.down, self.world.pool.dark = False, False
        if not self._under_way() and any(each["state"] != "ready" for each in self.world.pool.servers.values()):
            for name, each in self.world.pool.servers.items():
                self.world.pool.servers[name] = {**each, "state": "ready"}
            self.world.symptom = 0.0
            self.step(1)  # it sees that somebody else was here, and keeps its hands off for half an hour
        self.world.clock.advance(31 * 60)

    @rule()
    def fault(self) -> None:
        """After such a half hour something breaks, and stays broken: only what must not be done is not done."""
        self.quiet()
        self.world.symptom = 1.0
        self.step(6)

    @rule()
    def cured(self) -> None:
        """The same, and what is done about it helps."""
        self.fault()
        self._holds_good()

    @precondition(lambda self: self._verifying())
    @rule()
    def mended(self) -> None:
        self._holds_good()

    def _holds_good(self) -> None:
        """The symptom goes, and stays away for as long as an action is looked at."""
        self.world.symptom = 0.0
        for _ in range(HELD):
            if not self._verifying():
                break
            self.step(1)

    def _verifying(self) -> bool:
        return any(record.state is S.VERIFYING for record in self._under_way())

    def _under_way(self) -> Sequence[ActionRecord]:
        with self.state.read() as unit:
            return list(unit.actions.active())

    @rule()
    def restart(self) -> None:
        self.world.actuator.core._journal.close()  # as a process does that ends
        self.world.start()

    @rule(fail=st.sampled_from(["", "", "before", "half"]), lose=st.sampled_from(["", "", "request", "answer"]))
    def faults(self, fail: str, lose: str) -> None:
        self.world.pool.fail, self.world.actuator.lose = fail, lose

    @rule(down=st.sampled_from([False, False, False, True]), dark=st.sampled_from([False, False, False, True]))
    def outage(self, *, down: bool, dark: bool) -> None:
        self.world.actuator.down, self.world.pool.dark = down, dark

    @rule(name=st.sampled_from(["web1", "web3"]), weight=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2]))
    def foreign(self, name: str, weight: int) -> None:
        if weight:
            self.world.pool.servers[name]["weight"] = weight

    @rule(severity=st.sampled_from([Severity.P0, Severity.P1, Severity.P2]))
    def incident(self, severity: Severity) -> None:
        self.world.incident = incident(severity)

    @rule(wish=st.sampled_from(["", "", "clear", "clear", "set"]))
    def stop(self, wish: str) -> None:
        """One rule for both ways: a life in which nobody ever clears it would be over."""
        switch, now = self.world.remediator.kill_switch, self.world.clock.now()
        if wish == "set" and self.stopped_at < 0:
            switch.set("eve", "stop", now)
            self.stopped_at = self.world.pool.executed()
        if wish == "clear" and self.stopped_at >= 0:
            switch.clear("ada", "checked", now, admin=True)
            self.stopped_at = -1

    @rule(user=st.sampled_from(["ada", "eve", RULE.name]))
    def approve(self, user: str) -> None:
        for record in self.world.records():
            if record.state is S.AWAITING_APPROVAL:
                try:
                    self.world.remediator.people.approve(
                        record.id, user, "approve", "", record.plan.digest(), self.world.clock.now(),
                        admin=True, reauthenticated=True,
                    )  # fmt: skip
                except AccessError:
                    assert user == record.requester

    @invariant()
    def holds(self) -> None:
        world = getattr(self, "world", None)
        if world is None:
            return
        if self.stopped_at >= 0:
            assert world.pool.executed() == self.stopped_at  # I5
        assert self.blind_effects == 0  # I8
        if self.mode is Mode.DRY_RUN:
            assert not world.pool.effects  # I13
        assert sum(each["state"] == "ready" for each in world.pool.servers.values()) >= 3  # I6: two thirds of four
        now = (self.state.writes, len(world.pool.effects))
        if now != self.checked:  # the rows are what they were
            self.checked = now
            self._rows_hold(world)

    def _rows_hold(self, world: World) -> None:
        with world.state.read() as unit:
            records = unit.actions.recent(NOON - timedelta(days=4000), limit=100_000)
            rows = unit.actions.intents_since(NOON - timedelta(days=4000))
            for record in records:
                if self.known.get(record.id) != record:
                    self._path_holds(unit, record, rows)
                    self.known[record.id] = record
        assert sum(record.state in HOLDING for record in records) <= 1  # I1: one target
        tokens = [intent.token for intent in world.pool.effects]
        assert tokens == sorted(set(tokens))  # I2
        committed = {row.idempotency_key for row in rows}
        keys = Counter(intent.idempotency_key for intent in world.pool.effects)
        assert set(keys) <= committed  # I3
        assert max(keys.values(), default=0) <= 1  # I4
        self._rest(sorted(row.committed_at for row in rows if row.operation == "execute"))

    def _path_holds(self, unit: Unit, record: ActionRecord, rows: Sequence[IntentRow]) -> None:
        """Its transitions, approvals and intents, when its row is another one than before."""
        path = unit.transitions.of(record.id)
        assert all(each.new_state in ALLOWED[each.old_state] for each in path)
        audited = [row.action for row in unit.audit.rows(subject=record.id, limit=None)]
        assert sum(action.split(".")[-1] in STATES for action in audited) == len(path)  # I14
        assert sum(each.new_state == S.ROLLING_BACK for each in path) <= 1  # I11
        assert sum(row.operation == "rollback" for row in rows if row.action_id == record.id) <= 1
        approvals = unit.actions.approvals(record.id) if record.token else []
        if record.token and record.plan.risk == "A4":  # I9
            yes = {given.user for given in approvals if given.plan_hash == record.plan.digest()}
            assert len(yes - {record.requester}) >= 2
        if record.token and self.mode is Mode.APPROVE:
            assert {given.user for given in approvals} - {record.requester}

    def _rest(self, started: list[datetime]) -> None:
        """I7: cooldown and budget, whatever the clock did and however often we restarted."""
        for one, other in pairwise(started):
            assert other - one >= timedelta(minutes=10)
        for number in range(len(started) - 20):
            assert started[number + 20] - started[number] >= timedelta(days=1)


CALM = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
#: Lives on a real database and with rows in memory, whenever the tests run; promised in all; how many one process
#: lives before the clock is looked at.
REAL, REMEMBERED, PROMISED, CHUNK = 2, 40, 100_000, 50


class Remembered(Life):
    """The same life with its rows in memory, which takes a tenth of the time."""

    open_state = MemoryState


def lives(
    machine: type[Life], seed: int, count: int, steps: int, phases: Collection[Phase] = tuple(Phase)
) -> Counter[str]:
    """So many lives; how their actions ended."""
    before = ENDS.copy()
    some = settings(
        max_examples=count, stateful_step_count=steps, phases=phases, deadline=None, database=None,
        suppress_health_check=CALM,
    )  # fmt: skip
    with cycles_left_alone():
        run_state_machine_as_test(hypothesis.seed(seed)(type("Seeded", (machine,), {})), settings=some)
    return ENDS - before


def test_whatever_happens_the_invariants_hold() -> None:
    ends = lives(Life, 1, REAL, 30) + lives(Remembered, 2, REMEMBERED, 60)
    assert ends["effects"] >= REMEMBERED / 4  # a life in which nothing is ever done would prove nothing
    assert {"suppressed", "rolled_back", "succeeded"} <= set(ends)
    assert ends["past its deadline"] >= 1


@pytest.mark.parametrize(
    ("gate", "seed", "found"),
    [("blast_radius", 8, "holds"), ("cooldown", 1, "_rest"), ("budget", 1, "_rest"), ("approval", 2, "_path_holds")],
)
def test_without_a_gate_that_no_other_wall_stands_behind_an_invariant_breaks(
    gate: str, seed: int, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tuple((name, (lambda _: passed(gate)) if name == gate else each) for name, each in gates.GATES)
    monkeypatch.setattr(gates, "GATES", broken)
    with pytest.raises(AssertionError) as caught:
        lives(Remembered, seed, REMEMBERED, 60, [Phase.generate])  # where it breaks is enough, not the shortest way
    assert caught.traceback[-1].name == found


def test_a_life_that_is_over_holds_no_file() -> None:
    with cycles_left_alone():
        before, life = len(list(OPEN.iterdir())), Remembered()
        life.begin(mode=Mode.AUTO, rehearsed=True)
        life.restart()
        life.teardown()
        assert len(list(OPEN.iterdir())) == before


def test_a_life_is_the_same_in_memory_as_in_the_database() -> None:
    heads: dict[type[Life], list[tuple[int, str]]] = {}
    for kind in (Life, Remembered):

        class Compared(kind):  # type: ignore[valid-type, misc]
            def teardown(self) -> None:
                if hasattr(self, "world"):
                    with self.state.read() as unit:
                        heads.setdefault(kind, []).append(unit.audit.head())  # noqa: B023 - called in this round
                super().teardown()

        lives(Compared, 3, 2, 20)
    assert heads[Life] == heads[Remembered]
    assert max(rows for rows, _ in heads[Life]) > 20


@pytest.mark.long
def test_whatever_happens_for_long_the_invariants_hold() -> None:
    """A hundred thousand lives of a hundred steps, or as many as ``LONG_SECONDS`` has room for; seeds are printed."""
    first, deadline = (
        int(os.environ.get("SIMULATION_SEED", "10000")),
        time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600")),
    )
    workers, done, ends = os.cpu_count() or 1, 0, Counter[str]()
    with ProcessPoolExecutor(workers) as pool:
        while done * CHUNK < PROMISED and time.monotonic() < deadline:
            seeds = range(first + done, first + done + workers)
            for one in pool.map(partial(lives, Remembered, count=CHUNK, steps=100), seeds):
                ends += one
            done += workers
    print(f"\n{done * CHUNK} lives of up to 100 steps, seeds {first} to {first + done - 1}, 0 violations; {dict(ends)}")
    assert done > 0
