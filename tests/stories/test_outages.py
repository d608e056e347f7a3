"""Outages of others, played against our own remediation: each would have been stopped, and this is by what.

Figures are the ones promised in docs/remediation.md; the longer ones run in ``make test-long``.
"""

from __future__ import annotations

import math
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.hours import PARTITIONS, Hours
from support.memory_state import MemoryState
from support.remediator import World
from support.remedies import HOUR, IMPACT, LINK, MINUTE, NOON, PLAN, RULE, STEP, a_link, intent_of, observation, passing

from remediation import confirm
from remediation.actuator import Actuator, Journal
from remediation.gates import all_passed, evaluate
from remediation.plan import make_plan
from remediation.situation import Facts, Watched
from watchkeeper.errors import ActionError, StoreError
from watchkeeper.model import ActionState, Plan, Scale, Target
from watchkeeper.ports import Reading

pytestmark = pytest.mark.uncounted

NAMED = {partition.name: partition for partition in PARTITIONS}
LONG = pytest.mark.long


class Scripted(Hours):
    """Nothing befalls the watcher but what the story says."""

    def _befall(self) -> None:
        pass

    def divide(self, name: str, seconds: float) -> None:
        self.partition, self.until = NAMED[name], self.clock.monotonic() + seconds
        self.run(seconds / 3600)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.state.close()


@pytest.mark.parametrize("phases", [20, pytest.param(100, marks=LONG)])
def test_github_2018_a_cut_of_43_seconds_promotes_nothing_whenever_it_comes(tmp_path: Path, phases: int) -> None:
    """A 43 s partition promoted far-side primaries; 24 h degraded. Gates 3, 4 and 8."""
    chance = random.Random(2018)
    with closing(Scripted(tmp_path, 2018)) as hours:
        hours.run(0.1)
        for _ in range(phases):
            hours.clock.advance(chance.uniform(0, 15))  # another phase between the beats
            hours.divide(chance.choice(["from the primary's site", "of our own uplink", "from everything"]), 43)
            hours.run(0.06)
        assert hours.pool.executed() == 0


@pytest.mark.parametrize("pauses", [40, pytest.param(200, marks=LONG)])
def test_patroni_2026_a_frozen_agent_of_a_primary_that_still_writes_moves_nothing(world: World, pauses: int) -> None:
    """The agent froze, the database was fine, failover anyway. Gate 3: replication still advances."""
    chance = random.Random(2026)
    for _ in range(pauses):
        frozen = chance.randint(1, 4)  # looks at which the agent says nothing good
        world.symptom = 1.0
        world.step(frozen, observers={"probe": False})
        world.symptom = 0.0
        world.step(chance.randint(1, 3), observers={"probe": False})
    assert world.pool.effects == []


@pytest.mark.parametrize("pauses", [60, pytest.param(300, marks=LONG)])
def test_aws_dynamodb_2025_a_delayed_enactor_never_applies_an_old_plan(tmp_path: Path, pauses: int) -> None:
    """A plan checked long ago was applied over a newer one, a clean-up left the record empty. Token at the effect."""
    world, chance = World(tmp_path), random.Random(2025)
    core, pool = world.actuator.core, world.pool

    def plan(state: str) -> Plan:
        epoch = pool.read(PLAN.targets[0], {}).epoch
        return replace(
            PLAN, targets=(Target(kind="haproxy", name="web", epoch=f"{epoch}.0"),), desired={"web1": {"state": state}}
        )

    delayed, token = [], 0
    for number in range(pauses):
        wanted = "drain" if pool.servers["web1"]["state"] == "ready" else "ready"
        old = replace(intent_of(plan(wanted), token=token + 1), idempotency_key=f"old-{number}")
        new = replace(intent_of(plan(wanted), token=token + 2), idempotency_key=f"new-{number}")
        token += 2
        assert core.submit(new)["state"] == "done"
        delayed.append(old)  # its enactor checked, and then slept
        chance.shuffle(delayed)
        assert {core.submit(one)["state"] for one in delayed[:3]} == {"refused"}
    assert [intent.idempotency_key for intent in pool.effects] == [f"new-{number}" for number in range(pauses)]
    empty = replace(intent_of(replace(plan("ready"), desired={}), token=token + 1), idempotency_key="empty")
    assert "nothing means nothing" in core.submit(empty)["detail"]
    assert set(pool.servers) == {"web1", "web2", "web3", "web4"}


def test_reddit_2016_what_people_switched_off_no_restart_and_no_clean_up_turns_on_again(world: World) -> None:
    """Config management turned the autoscaler on again; it killed servers in 16 s. The latch, one target at a time."""
    world.remediator.kill_switch.set("eve", "migrating", world.clock.now())
    for _ in range(10):
        (world.folder / "kill-switch").unlink(missing_ok=True)
        world.start()
        world.step(5)
    assert world.pool.effects == []
    assert "migrating" in world.remediator.kill_switch.reason()
    world.remediator.kill_switch.clear("ada", "migrated", world.clock.now(), admin=True)
    world.step(8)  # two minutes: what went wrong in 16 s there
    assert world.pool.executed() <= 1
    assert sum(server["state"] == "ready" for server in world.pool.servers.values()) >= 3


@pytest.mark.parametrize("known", [None, False])
def test_slack_2021_idle_processors_behind_a_lossy_network_take_nothing_away(known: bool | None) -> None:
    """Packet loss made CPUs look idle. Scale-in needs processors and traffic, present and without a gap."""
    rule = replace(RULE, scale=Scale(direction="in", load="x", per_worker=1, min=1, max=9, step=1))
    shrink = replace(IMPACT, scaling=True, floor=1.0)
    chance, passed = random.Random(2021), 0
    for _ in range(2000):
        history = confirm.History()
        for look in range(20):
            lost = chance.random() < 0.3
            bad = None if lost else True
            history.add(
                observation(NOON + look * STEP - 20 * STEP, bad=bad, observers={"traffic": known}),
                NOON + look * STEP,
                HOUR,
            )
        situation = passing(rule=rule, impact=shrink, history=tuple(history.seen), idle_since=history.idle_since)
        passed += all_passed(evaluate(situation, last="blast_radius"))
    assert passed == 0


@pytest.mark.parametrize("selectors", [2000, pytest.param(10_000, marks=LONG)])
def test_google_diskerase_a_selector_that_means_nothing_changes_nothing(selectors: int) -> None:
    """An empty set of machines was read as all of them. Empty is nothing."""
    chance = random.Random(7)
    reading = Reading(state={"web1": {"state": "ready", "weight": 100}}, epoch="e", capacity={"total": 4.0})
    settings = passing().settings
    nothing: tuple[Any, ...] = ("", None, [], (), {}, " ", "*", [""], ["*"], "all", [None])
    done = 0
    for _ in range(selectors):
        parameters = {
            chance.choice(("drain", "ready", "maint")): chance.choice(nothing) for _ in range(chance.randint(0, 2))
        }
        target = chance.choice(("", "web", "*", "all", "web "))
        rule = replace(RULE, parameters=parameters, target=target)
        try:
            made = make_plan(rule, observation(), reading, settings, "inc-1")
        except ActionError:
            continue  # refused with a reason, before there is a plan
        done += all_passed(evaluate(passing(plan=made.plan, impact=made.impact, rule=rule), last="precondition"))
    assert done == 0


def test_aws_s3_2017_a_person_who_mistypes_takes_no_more_than_one(world: World) -> None:
    """Mistyped input removed too much capacity. Cap and floor bind people too, whatever they waive."""
    import asyncio

    wide = replace(RULE, parameters={"drain": ["web1", "web2", "web3"]})
    world.remediator.use([wide])
    facts = Facts(query=world.query, incidents=[world.incident] if world.incident else [])
    waive = ["confirmed", "flapping", "cooldown", "budget"]
    asked = world.remediator.request(world.clock.now(), wide.name, "ada", "typo", facts, waive=waive)
    action = asyncio.run(asked)
    world.step()
    assert world.record().id == action
    assert world.record().state is ActionState.SUPPRESSED
    assert str(world.record().progress["gate"]) in ("precondition", "blast_radius")
    assert world.pool.effects == []


def test_stack_exchange_2016_when_a_third_of_the_fleet_looks_bad_nobody_is_drained() -> None:
    """The page the balancer probed was slow; every server was removed. Gate 5 keeps serving."""
    drained = []
    for total in range(2, 60):
        for sick in range(1, total + 1):
            watched = tuple(
                Watched(name=f"web{n}", service="shop", up=True, bad_since=NOON if n < sick else None)
                for n in range(total)
            )
            if sick / total > 0.3 and sick > 1 and all_passed(evaluate(passing(watched=watched))):
                drained.append((sick, total))
    assert drained == []


@pytest.mark.parametrize("restarts", [12, pytest.param(500, marks=LONG)])
def test_a_database_that_stops_in_the_middle_of_a_commit_doubles_nothing(tmp_path: Path, restarts: int) -> None:
    """No audit, no action; what is not known is read from the target. Gate 15 and I3."""
    chance, ends = random.Random(15), Counter[str]()
    for number in range(restarts):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder)
        dies_at, writes, real = chance.randint(2, 9), [0], world.state.begin

        def begin(real: Any = real, writes: list[int] = writes, dies_at: int = dies_at) -> Any:
            writes[0] += 1
            if writes[0] == dies_at:
                raise StoreError("state database: the server stopped")
            return real()

        world.state.begin = begin  # type: ignore[method-assign]
        for _ in range(4):
            try:
                world.step()
            except StoreError:
                world.start()
        world.state.begin = real  # type: ignore[method-assign]
        world.start()
        world.step(4)
        keys = Counter(intent.idempotency_key for intent in world.pool.effects)
        with world.state.read() as unit:
            committed = {row.idempotency_key for row in unit.actions.intents_since(NOON - HOUR)}
            assert unit.audit.verify() is None
        assert max(keys.values(), default=1) == 1
        assert set(keys) <= committed
        ends[str(world.records()[0].state)] += 1
        world.state.close()
        shutil.rmtree(folder)
    assert len(ends) > 1  # it died in different places


@pytest.mark.parametrize("traces", [3000, pytest.param(100_000, marks=LONG)])
def test_nan_stale_and_absent_are_not_zero_and_lead_to_nothing(traces: int) -> None:
    """ "No data" was read as zero. Gate 2, I8."""
    chance, acted = random.Random(8), 0
    for _ in range(traces):
        looks = []
        for look in range(4):
            at = NOON - (3 - look) * STEP
            looks.append(observation(at, bad=chance.choice((True, True, None))))
        spoiled = chance.randrange(5)
        last = looks[-1]
        looks[-1] = (
            replace(last, bad=None),
            replace(last, newest_sample_at=None),
            replace(last, newest_sample_at=NOON - 3 * STEP),
            replace(last, series=(((), chance.choice((math.nan, math.inf, -math.inf))),)),
            replace(last, at=NOON - 5 * MINUTE, newest_sample_at=NOON - 5 * MINUTE),
        )[spoiled]
        acted += all_passed(evaluate(passing(history=tuple(looks)), last="confirmed"))
    assert acted == 0


def test_a_restart_that_helps_for_thirty_seconds_is_tried_three_times_and_then_a_person_is_paged(
    tmp_path: Path,
) -> None:
    """Restarting "fixed" it for ever. It must hold five minutes, and three failures in an hour are the end."""
    world, done = World(tmp_path, open_state=MemoryState), 0
    for _ in range(4 * 60 * 2):
        if world.pool.executed() > done:  # it helps, for two looks
            done = world.pool.executed()
            world.symptom = 0.0
            world.step(2)
            world.symptom = 1.0
        world.step()
        if world.clock.now() - NOON > timedelta(hours=1):
            break
    assert world.pool.executed() == 3
    assert any(change.page and "breaker" in change.reason for change in world.told)


@pytest.mark.parametrize("seeds", [1, pytest.param(60, marks=LONG)])
def test_a_rival_controller_is_given_way_for_half_an_hour(tmp_path: Path, seeds: int) -> None:
    """Two controllers undid each other's work. Gate 7: after somebody else's change, hands off."""
    for seed in range(seeds):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world, chance = World(folder, open_state=MemoryState), random.Random(seed)
        rival_at = None
        for _ in range(240):  # an hour
            if chance.random() < 0.02:
                world.pool.servers["web1"] = {
                    "state": chance.choice(("ready", "maint")),
                    "weight": chance.choice((50, 100)),
                }
                rival_at = world.clock.monotonic()
            before = world.pool.executed()
            world.step()
            if rival_at is not None and world.pool.executed() > before:
                assert world.clock.monotonic() - rival_at > 30 * 60 - 60
        world.state.close()


def test_a_dual_link_whose_other_side_is_not_proven_good_is_not_switched() -> None:
    """Both sides bad: a switch would only move the harm. Gate 9."""
    for probes in ((False,) * 4, (None,) * 4, (True, True, True, False), ()):
        situation = passing(link=a_link(link=LINK, other_probes=probes))
        assert evaluate(situation)[-1].gate == "blast_radius"


def test_watchkeeper_dies_a_hundred_times_and_what_it_did_is_neither_lost_nor_repeated(tmp_path: Path) -> None:
    """The journal is read again at every start; the target is asked, not assumed."""
    world, chance = World(tmp_path), random.Random(100)
    for number in range(100):
        world.symptom = chance.choice((0.0, 1.0))
        world.step(chance.randint(1, 3))
        world.actuator.core._journal.close()
        if number % 2:
            world.start()
        else:  # the actuator alone
            journal = Journal(world.folder / "journal")
            targets = {str(target["name"]): target for target in world.settings.targets}
            world.actuator.core = Actuator(journal, targets, world.folder / "kill-switch", kinds=lambda _: world.pool)
    tokens = [intent.token for intent in world.pool.effects]
    assert tokens == sorted(set(tokens))
    assert max(Counter(intent.idempotency_key for intent in world.pool.effects).values(), default=1) == 1
