"""Against a real nginx: what its clients see is what counts, and what it does not accept is never loaded."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.nginx_proxy import Proxy, proxy
from support.remedies import LINK, PLAN, RULE, intent_of

from remediation.actions.nginx import Nginx, NginxOptions, text_of
from remediation.actions.reached import accepting, place_of
from remediation.links import failover_rule
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

KIND, TARGET = Nginx(), Target(kind="nginx", name="front")
OPTIONS: dict[str, Any] = {
    "name": "front",
    "include": "/nowhere/shop.conf",
    "upstream": "shop",
    "servers": {"web1": "10.0.0.1:80", "web2": "10.0.0.2:80"},
}
STATE: dict[str, object] = {"web1": {"state": "ready", "weight": 1}, "web2": {"state": "drain", "weight": 1}}
UP = {"up.web1": 1, "up.web2": 1}
READING = Reading(state={**STATE, "loaded": True}, epoch="e", capacity={"healthy": 1, "total": 2, **UP})


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as sockets need one."""
    made = Path(tempfile.mkdtemp(prefix="wk-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def front() -> Iterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    with proxy(folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.mark.servers
def test_a_drained_server_gets_no_further_requests_and_comes_back(front: Proxy) -> None:
    assert set(front.asked(6)) == {"web1", "web2"}
    desired, rollback = KIND.desired(KIND.read(TARGET, front.target), {"drain": "web1"})
    KIND.apply(desired, intent_of(PLAN), front.target)
    assert set(front.asked(6)) == {"web2"}
    KIND.apply(rollback, intent_of(PLAN), front.target)
    assert set(front.asked(6)) == {"web1", "web2"}


@pytest.mark.servers
def test_a_server_that_takes_no_connection_is_not_healthy(front: Proxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"127.0.0.1:{gone.getsockname()[1]}"
    reading = KIND.read(TARGET, front.target)
    assert (reading.capacity["healthy"], reading.capacity["total"]) == (2, 2)
    assert accepting({**front.target["servers"], "web3": nobody}, 1.0) == {"web1": True, "web2": True, "web3": False}


def test_whom_nobody_reached_counts_as_unhealthy_and_whom_nobody_asked_as_unknown() -> None:
    away = {"web1": {"state": "drain"}, "web2": {"state": "ready"}}
    dead = replace(READING, capacity={**READING.capacity, "up.web2": 0})
    assert KIND.impact(dead, away, OPTIONS).healthy_after == 0
    unasked = KIND.impact(replace(READING, capacity={"healthy": 0, "total": 2}), away, OPTIONS)
    assert (unasked.healthy_after, unasked.unchecked_after) == (0, 1)


@pytest.mark.parametrize("address", ["[::1]:{port}", "127.0.0.1:{port}", "localhost:{port}", "unix:{folder}/s"])
def test_every_form_of_an_address_that_nginx_knows_is_asked(folder: Path, address: str) -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(folder / "s"))
        unix.listen()
        asked = address.format(port=tcp.getsockname()[1], folder=folder)
        assert accepting({"one": asked, "two": f"{asked}0"}, 1.0) == {"one": True, "two": False}
    assert place_of("web1") == ("web1", 80)


@pytest.mark.servers
def test_what_nginx_does_not_accept_is_taken_back_before_it_is_loaded(front: Proxy) -> None:
    include, reloads = Path(front.target["include"]), front.reloads()
    before = include.read_text()
    config = front.folder / "nginx.conf"
    good = config.read_text()
    config.write_text(good.replace("location /", "locution /"))
    with pytest.raises(ActionError, match=r"nginx refused reload: .*locution") as caught:
        KIND.apply({"web1": {"state": "drain"}}, intent_of(PLAN), front.target)
    config.write_text(good)
    assert (caught.value.unknown, include.read_text(), front.reloads()) == (False, before, reloads)


@pytest.mark.servers
def test_a_file_that_was_written_and_never_loaded_is_not_the_wanted_state(front: Proxy) -> None:
    include = Path(front.target["include"])
    options = NginxOptions(**{key: value for key, value in front.target.items() if key not in ("name", "kind")})
    written = {"web1": {"state": "drain", "weight": 1}, "web2": {"state": "ready", "weight": 1}}
    include.write_text(text_of(options, written))  # as after a crash between file and signal
    reading = KIND.read(TARGET, front.target)
    assert not KIND.reached(reading, {"web1": {"state": "drain"}})
    assert KIND.ours(reading, {"web1": {"state": "ready"}}, {"web1": {"state": "drain"}})
    KIND.apply({"web1": {"state": "ready"}}, intent_of(PLAN, operation="rollback"), front.target)
    assert set(front.asked(6)) == {"web1", "web2"}


@pytest.mark.servers
def test_a_file_that_somebody_changed_is_left_alone(front: Proxy) -> None:
    include = Path(front.target["include"])
    before = include.read_text()
    include.write_text(before.replace("weight=1;", "weight=9;", 1) + "# mine\n")
    with pytest.raises(ActionError, match="not what was written here"):
        KIND.read(TARGET, front.target)
    include.write_text(before)
    KIND._load(  # the younger file is loaded, so that the next test finds it as it was
        NginxOptions(**{key: value for key, value in front.target.items() if key not in ("name", "kind")}),
        TARGET,
        {},
    )


@pytest.mark.servers
def test_the_floor_binds_the_effect_itself(front: Proxy) -> None:
    with pytest.raises(ActionError, match="fewer than the floor"):
        KIND.apply({"web1": {"state": "drain"}, "web2": {"state": "backup"}}, intent_of(PLAN), front.target)
    assert set(front.asked(6)) == {"web1", "web2"}


@pytest.mark.parametrize(
    ("desired", "direction", "risk", "touched", "healthy"),
    [
        ({}, "same", RiskClass.A1, (), 1),
        ({"web1": {"state": "drain"}}, "in", RiskClass.A1, ("web1",), 0),
        ({"web2": {"state": "ready"}}, "out", RiskClass.A1, ("web2",), 2),
        ({"web1": {"state": "drain"}, "web2": {"state": "ready"}}, "switch:web2", RiskClass.A2, ("web1", "web2"), 1),
    ],
)
def test_the_impact_says_what_would_be_left(
    desired: dict[str, object], direction: str, risk: RiskClass, touched: tuple[str, ...], healthy: float
) -> None:
    impact = KIND.impact(READING, desired, OPTIONS)
    assert (impact.direction, impact.risk, impact.touched, impact.healthy_after) == (direction, risk, touched, healthy)


def test_a_dual_link_drains_one_side_and_readies_the_other() -> None:
    rule = replace(RULE, action="nginx", parameters={}, link="maps")
    assert failover_rule(rule, LINK).parameters == {"servers": {"web2": {"state": "ready"}, "web1": {"state": "drain"}}}


@pytest.mark.parametrize(
    "servers", [{"web1": "10.0.0.1:80; }"}, {"we b": "10.0.0.1:80"}, {"web1": "10.0.0.1:80\nserver x"}, {}]
)
def test_nothing_of_a_name_or_address_can_become_configuration(servers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"remediation\.targets\.front\.servers"):
        KIND.read(TARGET, {**OPTIONS, "servers": servers})
