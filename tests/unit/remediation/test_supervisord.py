"""Against a real supervisord: processes that run are what counts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.remedies import PLAN, intent_of
from support.supervisord import supervisord, target

from remediation.actions.supervisord import Supervisord
from watchkeeper.errors import ActionError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

KIND, POOL = Supervisord(), Target(kind="supervisord", name="pool")
SLOTS = [f"pool:pool_{number}" for number in range(12)]
READING = Reading(
    state={"running": SLOTS[:3], "slots": SLOTS, "started": dict.fromkeys(SLOTS[:3], 100)},
    epoch="e",
    capacity={"healthy": 3, "total": 3, "slots": 12},
)
OPTIONS = {"name": "pool", "server": "/nowhere", "group": "pool", "floor": 2, "ceiling": 4}


@pytest.fixture(scope="module")
def pool() -> Iterator[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    with supervisord(folder, 4):
        yield target(folder)
    shutil.rmtree(folder)


def running(pool: dict[str, Any]) -> object:
    return KIND.read(POOL, pool).state["running"]


@pytest.mark.servers
def test_so_many_slots_run_and_the_way_back_restores_the_very_same(pool: dict[str, Any]) -> None:
    KIND.apply({"running": SLOTS[:1]}, intent_of(PLAN), pool)
    before = KIND.read(POOL, pool)
    assert before.state["running"] == SLOTS[:1]
    desired, rollback = KIND.desired(before, {"count": 3})
    for _ in range(2):  # the second time there is nothing left to do
        KIND.apply(desired, intent_of(PLAN), pool)
        assert running(pool) == SLOTS[:3]
    assert KIND.ours(KIND.read(POOL, pool), rollback, desired)
    KIND.apply(rollback, intent_of(PLAN), pool)
    after = KIND.read(POOL, pool)
    assert (after.state["running"], after.epoch) == (SLOTS[:1], before.epoch)
    assert after.capacity["healthy"] == 1


@pytest.mark.servers
def test_a_restart_is_done_once_however_often_it_is_applied(pool: dict[str, Any]) -> None:
    KIND.apply({"running": SLOTS[:1]}, intent_of(PLAN), pool)
    reading = KIND.read(POOL, pool)
    later = {"running": SLOTS[:1], "restarted": {SLOTS[0]: int(str(started(reading)[SLOTS[0]])) - 1}}
    assert KIND.reached(reading, later)
    assert KIND.apply(later, intent_of(PLAN), pool)["calls"] == []


@pytest.mark.servers
def test_an_unknown_group_and_an_unknown_slot_are_errors(pool: dict[str, Any]) -> None:
    with pytest.raises(ActionError, match="no group"):
        KIND.read(POOL, {**pool, "group": "nobody"})
    with pytest.raises(ActionError, match="BAD_NAME"):
        KIND.apply({"running": ["pool:pool_9"]}, intent_of(PLAN), pool)
    with pytest.raises(ActionError, match="outside of 2 to"):
        KIND.apply({"running": SLOTS[:1]}, intent_of(PLAN), {**pool, "floor": 2})


def started(reading: Reading) -> dict[str, object]:
    value = reading.state["started"]
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("server", ["/nowhere/s.sock", "http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_no_answer_is_an_error(server: str) -> None:
    with pytest.raises(ActionError, match="cannot be asked"):
        KIND.read(POOL, {**OPTIONS, "server": server, "user": "u", "password": "p"})


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [({"count": 2}, SLOTS[:2]), ({"add": 2}, SLOTS[:5]), ({"remove": 1}, SLOTS[:2]), ({"count": 12}, SLOTS)],
)
def test_a_number_becomes_named_slots(parameters: dict[str, object], wanted: list[str]) -> None:
    assert KIND.desired(READING, parameters) == ({"running": wanted}, {"running": SLOTS[:3]})


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"count": 0},
        {"count": 13},
        {"remove": 3},
        {"count": True},
        {"add": -1},
        {"count": 1, "add": 1},
        {"restart": SLOTS[7]},
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ActionError):
        KIND.desired(READING, parameters)
    with pytest.raises(ActionError, match="does not run"):
        KIND.desired(READING, {"restart": SLOTS[7]})


@pytest.mark.parametrize(
    ("parameters", "direction", "risk", "healthy", "total", "scaling"),
    [
        ({"count": 5}, "out", RiskClass.A2, 3, 5, True),
        ({"count": 2}, "in", RiskClass.A3, 2, 3, True),
        ({"restart": SLOTS[1]}, "restart", RiskClass.A1, 2, 3, False),
    ],
)
def test_the_impact_tells_scaling_from_restarting(
    parameters: dict[str, object], direction: str, risk: RiskClass, healthy: float, total: float, *, scaling: bool
) -> None:
    impact = KIND.impact(READING, KIND.desired(READING, parameters)[0], OPTIONS)
    assert (impact.direction, impact.risk, impact.healthy_after, impact.total) == (direction, risk, healthy, total)
    assert (impact.scaling, impact.floor, impact.ceiling) == (scaling, 2, 4)


def test_slots_nobody_planned_for_are_somebody_elses() -> None:
    assert KIND.ours(READING, {"running": SLOTS[:3]}, {"running": SLOTS[:4]})
    assert not KIND.ours(READING, {"running": SLOTS[:1]}, {"running": SLOTS[:2]})
