"""Against a real HAProxy: what its clients see is what counts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.haproxy import HEAD, Backend, Proxy, proxy, wait_until
from support.remedies import PLAN, intent_of
from support.servers import haproxy

from remediation.actions.haproxy import Haproxy, _checked
from remediation.actions.runtime_api import ask, statistics, table
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

TARGET = Target(kind="haproxy", name="web")
KIND = Haproxy()
OPTIONS = {"name": "web", "kind": "haproxy", "socket": "/nowhere/api.sock", "backend": "shop"}
READING = Reading(
    state={name: {"state": "ready", "weight": 100} for name in ("web1", "web2", "web3")},
    epoch="e",
    capacity={"healthy": 3, "total": 3, "up.web1": 1, "up.web2": 1, "up.web3": 1},
)


@pytest.fixture(scope="module")
def web() -> Iterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))  # socket paths are short
    with proxy(folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.mark.servers
def test_a_drained_server_gets_no_further_requests_and_comes_back(web: Proxy) -> None:
    before = KIND.read(TARGET, web.target)
    desired, rollback = KIND.desired(before, {"drain": "web1"})
    evidence = KIND.apply(desired, intent_of(PLAN), web.target)
    assert evidence["commands"] == ["set server shop/web1 state drain"]
    assert set(web.asked(10)) == {"web2"}
    drained = KIND.read(TARGET, web.target)
    assert drained.epoch != before.epoch
    assert KIND.reached(drained, desired)
    assert KIND.ours(drained, rollback, desired)
    KIND.apply(rollback, intent_of(PLAN), web.target)
    assert KIND.read(TARGET, web.target).epoch == before.epoch
    assert set(web.asked(10)) == {"web1", "web2"}


@pytest.mark.servers
def test_applying_twice_is_as_applying_once(web: Proxy) -> None:
    desired = {"web1": {"state": "maint", "weight": 7}}
    for _ in range(2):
        KIND.apply(desired, intent_of(PLAN), web.target)
        reading = KIND.read(TARGET, web.target)
        assert reading.state["web1"] == {"state": "maint", "weight": 7}
        assert "up.web1" not in reading.capacity  # HAProxy checks nothing that is under maintenance
    KIND.apply({"web1": {"state": "ready", "weight": 100}}, intent_of(PLAN), web.target)
    wait_until(lambda: KIND.read(TARGET, web.target).capacity["healthy"] == 2)


@pytest.mark.servers
def test_a_dead_server_is_not_counted_as_healthy_and_errors_are(web: Proxy) -> None:
    web.backends["web1"].broken = True
    wait_until(lambda: KIND.read(TARGET, web.target).capacity["healthy"] == 1)
    web.backends["web1"].broken = False
    wait_until(lambda: KIND.read(TARGET, web.target).capacity["healthy"] == 2)
    assert KIND.read(TARGET, web.target).capacity["errors.web1"] >= 0


UNCHECKED = (
    HEAD
    + """    server plain 127.0.0.1:WELL
    server again 127.0.0.1:WELL
    server checked 127.0.0.1:WELL check inter 100ms
    server follows 127.0.0.1:WELL track shop/checked
    server dead 127.0.0.1:1 check inter 100ms fall 1
"""
)


@pytest.mark.servers
def test_a_server_that_nobody_checks_is_neither_called_healthy_nor_dead(tmp_path: Path) -> None:
    well = Backend("well")
    with haproxy(UNCHECKED.replace("WELL", str(well.port)), tmp_path):
        target = {**OPTIONS, "socket": str(tmp_path / "haproxy" / "api.sock")}
        wait_until(lambda: KIND.read(TARGET, target).capacity.get("up.dead") == 0)
        wait_until(lambda: KIND.read(TARGET, target).capacity.get("up.checked") == 1)
        reading = KIND.read(TARGET, target)
    well.close()
    told = {name: value for name, value in reading.capacity.items() if name.startswith("up.")}
    assert told == {"up.checked": 1, "up.follows": 1, "up.dead": 0}
    assert (reading.capacity["healthy"], reading.capacity["total"]) == (2, 5)
    impact = KIND.impact(reading, {"checked": {"state": "drain"}}, target)
    assert (impact.healthy_after, impact.unchecked_after) == (1, 2)


@pytest.mark.parametrize(
    ("row", "checked"),
    [
        ({"check_status": "L4OK"}, True),
        ({"check_status": "* L7OK"}, True),  # and it is being asked again
        ({"check_status": "* INI"}, False),
        ({"check_status": ""}, False),
        ({"check_status": "", "agent_status": "L7OK"}, True),
        ({"check_status": "", "agent_status": "L4CON"}, False),
        ({"tracked": "shop/seen"}, True),
        ({"tracked": "shop/new"}, False),
        ({"tracked": "shop/web1"}, False),
    ],
)
def test_a_server_is_known_once_somebody_has_looked(row: dict[str, str], checked: bool) -> None:
    others = {"shop/seen": {"check_status": "L7OK"}, "shop/new": {"check_status": "INI"}}
    assert _checked("shop/web1", {"shop/web1": row, **others}) is checked


@pytest.mark.servers
def test_an_unknown_backend_and_an_unknown_server_are_errors(web: Proxy) -> None:
    with pytest.raises(ActionError, match="no servers or does not exist"):
        KIND.read(TARGET, {**web.target, "backend": "nobody"})
    with pytest.raises(ActionError, match="HAProxy refused"):
        KIND.apply({"nobody": {"state": "drain"}}, intent_of(PLAN), web.target)


def test_no_answer_means_nothing_was_done() -> None:
    with pytest.raises(ActionError) as caught:
        KIND.apply({"web1": {"state": "drain"}}, intent_of(PLAN), OPTIONS)
    assert not caught.value.unknown


@pytest.mark.parametrize("command", ["show stat; shutdown", "a\nb", "a\\b"])
def test_two_commands_in_one_are_refused(command: str) -> None:
    with pytest.raises(ActionError, match="one line"):
        ask("/nowhere", command, 1.0)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"drain": "web9"}, "there is no web9"),
        ({"servers": {"web1": {}}}, "write one of state, weight"),
        ({"servers": {"web1": {"state": "gone"}}}, "write one of drain, maint, ready"),
        ({"servers": {"web1": {"weight": 257}}}, "write a whole number from 0 to 256"),
        ({"servers": {"web1": {"weight": True}}}, "write a whole number from 0 to 256"),
        ({"servers": ["web1"]}, "not a mapping"),
        ({"drain": 7}, "list of names"),
        ({"stop": "web1"}, "unknown parameter"),
    ],
)
def test_wrong_parameters_are_refused_with_a_reason(parameters: dict[str, object], says: str) -> None:
    with pytest.raises(ActionError, match=says):
        KIND.desired(READING, parameters)


def test_desired_and_its_way_back_name_the_same_servers_and_keys() -> None:
    desired, rollback = KIND.desired(
        READING, {"drain": ["web1"], "servers": {"web2": {"state": "ready", "weight": 50}}}
    )
    assert desired == {"web1": {"state": "drain"}, "web2": {"state": "ready", "weight": 50}}
    assert rollback == {"web1": {"state": "ready"}, "web2": {"state": "ready", "weight": 100}}


@pytest.mark.parametrize(
    ("desired", "direction", "risk", "touched", "healthy"),
    [
        ({}, "same", RiskClass.A1, (), 3),
        ({"web1": {"state": "drain"}}, "in", RiskClass.A1, ("web1",), 2),
        ({"web1": {"state": "ready"}}, "same", RiskClass.A1, (), 3),
        ({"web1": {"weight": 0}}, "in", RiskClass.A1, ("web1",), 2),
        ({"web1": {"weight": 200}}, "out", RiskClass.A1, ("web1",), 3),
        ({"web1": {"state": "maint"}, "web2": {"weight": 200}}, "switch:web2", RiskClass.A2, ("web1", "web2"), 2),
    ],
)
def test_the_impact_says_what_would_be_left(
    desired: dict[str, object], direction: str, risk: RiskClass, touched: tuple[str, ...], healthy: float
) -> None:
    impact = KIND.impact(READING, desired, OPTIONS)
    assert (impact.direction, impact.risk, impact.touched, impact.healthy_after) == (direction, risk, touched, healthy)


def test_a_server_under_maintenance_is_neither_called_healthy_nor_dead() -> None:
    capacity = {"up.web1": 1.0, "healthy": 1.0, "total": 2.0}
    state = {"web1": {"state": "ready", "weight": 100}, "web2": {"state": "maint", "weight": 100}}
    impact = KIND.impact(
        Reading(state=state, epoch="e", capacity=capacity),
        {"web1": {"state": "drain"}, "web2": {"state": "ready"}},
        OPTIONS,
    )
    assert (impact.healthy_after, impact.unchecked_after) == (0, 1)


def test_a_foreign_change_of_a_server_we_name_is_seen() -> None:
    foreign = Reading(state={**READING.state, "web1": {"state": "maint", "weight": 100}}, epoch="f")
    assert not KIND.ours(foreign, {"web1": {"state": "ready"}}, {"web1": {"state": "drain"}})


def test_options_name_the_wrong_key() -> None:
    with pytest.raises(ConfigError, match=r"remediation\.targets\.web\.bakend"):
        KIND.read(TARGET, {**OPTIONS, "bakend": "x"})


def test_answers_are_parsed_by_their_headers() -> None:
    assert table("1\n# a b\n1 2\n") == [{"a": "1", "b": "2"}]
    assert table("Can't find backend.") == []
    assert statistics("# pxname,svname\nshop,web1\n") == [{"pxname": "shop", "svname": "web1"}]
