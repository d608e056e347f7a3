"""What every target promises once it is driven for real: the actuator, its journal, and the thing itself."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.driven import Desk, Driven

from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, Target
from watchkeeper.ports import Reading

#: Kind -> what starts it, under tests/support.
DRIVEN = {
    "aliyun_ess": "cloud_targets.aliyun_ess",
    "aliyun_slb": "cloud_targets.aliyun_slb",
    "aws_autoscaling": "cloud_targets.moto",
    "command": "programs.command",
    "dns_update": "name_servers.driven",
    "feature_flag": "flag_server.driven",
    "kubernetes": "kube_api.driven",
    "mysql": "mariadb_pair.driven",
    "nginx": "nginx_proxy.driven",
    "patroni": "patroni_pair.driven",
    "redis_sentinel": "redis_group.driven",
    "systemd": "programs.systemd",
    "tencent_as": "cloud_targets.tencent_as",
    "tencent_clb": "cloud_targets.tencent_clb",
}

#: Servers that take long to start and to change.
SLOW = ("mysql", "patroni")
PARAMS = [pytest.param(name, marks=[pytest.mark.long] if name in SLOW else []) for name in sorted(DRIVEN)]

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=PARAMS)
def thing(request: pytest.FixtureRequest) -> Iterator[Driven]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    module, name = DRIVEN[request.param].split(".")
    with getattr(importlib.import_module(f"support.{module}"), name)(folder) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def desk(thing: Driven, tmp_path: Path) -> Iterator[Desk]:
    thing.settle()
    before = thing.planned().plan.before
    yield Desk(tmp_path, thing)
    assert thing.kind.reached(thing.read(), before), "a test left it changed"


def test_looking_and_planning_change_nothing(thing: Driven) -> None:
    thing.settle()
    count, epoch = thing.effects(), thing.read().epoch
    assert thing.planned().plan.digest() == thing.planned().plan.digest()
    assert (thing.effects(), thing.read().epoch) == (count, epoch)


def test_one_plan_is_one_effect_whoever_repeats_it_and_the_way_back_restores(thing: Driven, desk: Desk) -> None:
    planned, count = thing.planned(), thing.effects()
    assert planned.impact.touched
    assert planned.impact.problem == ""
    stale, intent = desk.intent(planned.plan), desk.intent(planned.plan)
    first = desk.actuator.submit(intent)
    assert (first["state"], first["detail"]) == ("done", "")
    assert desk.actuator.submit(intent) == first
    desk.open()  # the actuator is started anew, and asked once more
    assert desk.actuator.submit(intent) == first
    assert desk.actuator.submit(stale)["detail"] == f"token {stale.token} is not above {intent.token}"
    assert desk.do(planned.plan)["detail"] == "the target changed since the plan was made"
    reading = thing.read()
    assert thing.kind.reached(reading, planned.plan.desired)
    assert thing.kind.impact(reading, planned.plan.desired, thing.settings).touched == ()
    thing.kind.apply(planned.plan.desired, desk.intent(planned.plan), thing.settings)  # absolute: again is nothing
    assert thing.effects() == count + 1
    thing.settle()
    back = desk.do(planned.plan, "rollback")
    assert (back["state"], back["detail"]) == ("done", "")
    assert thing.kind.reached(thing.read(), planned.plan.before)
    assert thing.effects() == count + 2


def test_a_lost_answer_is_settled_by_looking(thing: Driven, desk: Desk) -> None:
    planned, count = thing.planned(), thing.effects()
    kind = thing.kind

    class Loses(type(kind)):  # type: ignore[misc]
        def apply(self, desired: Any, intent: Intent, settings: Any) -> Any:
            super().apply(desired, intent, settings)
            raise ActionError("the answer was lost", unknown=True)

    desk.kinds = lambda _: Loses()
    desk.open()
    intent = desk.intent(planned.plan)
    assert desk.actuator.submit(intent)["state"] == "unknown"
    assert desk.actuator.submit(intent)["state"] == "unknown"  # never tried again blindly
    assert kind.reached(thing.read(), planned.plan.desired)
    assert thing.effects() == count + 1
    desk.kinds = lambda _: kind
    desk.open()
    thing.settle()
    assert desk.do(planned.plan, "rollback")["state"] == "done"


def test_what_takes_the_question_and_is_silent_is_given_up_in_time(thing: Driven) -> None:
    if not thing.hang:
        return  # it is asked over nothing that could be silent
    with pytest.raises(ActionError):
        thing.kind.read(thing.target, {**thing.settings, **thing.hang})


def test_an_actuator_that_cannot_read_it_does_nothing(thing: Driven, desk: Desk) -> None:
    planned, count = thing.planned(), thing.effects()

    class Blind(type(thing.kind)):  # type: ignore[misc]
        def read(self, target: Target, settings: Any) -> Reading:
            raise ActionError(f"{target.name} is dark")

    desk.kinds = lambda _: Blind()
    desk.open()
    assert "cannot be read" in desk.do(planned.plan)["detail"]
    assert thing.effects() == count
