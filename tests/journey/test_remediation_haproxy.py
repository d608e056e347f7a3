"""From the first sign to the last request: a real HAProxy, drained, verified, and put back when it did not help."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.books import assert_books
from support.haproxy import Proxy, proxy
from support.remediator import Direct, World

from remediation.actuator import Actuator, Journal
from remediation.engine import Remediator
from watchkeeper.model import ActionState

SERVERS = ("web1", "web2", "web3", "web4")


@pytest.fixture
def served() -> Iterator[tuple[Proxy, World]]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    with proxy(folder, *SERVERS) as web:
        world = World(folder, targets=[web.target])
        core = Actuator(Journal(folder / "real-journal"), {"web": web.target}, folder / "kill-switch")
        world.actuator = Direct(core)
        world.remediator = Remediator(world.state, world.settings, world.rules, world.actuator, data_dir=folder)
        yield web, world
        with world.state.read() as unit:
            assert_books(unit)
        world.state.close()
    shutil.rmtree(folder)


@pytest.mark.servers
def test_the_bad_server_is_drained_and_stays_so_when_that_helped(served: tuple[Proxy, World]) -> None:
    web, world = served
    world.step(3)
    assert set(web.asked(12)) == {"web2", "web3", "web4"}
    world.symptom = 0
    world.step(21)
    assert world.record().state is ActionState.SUCCEEDED
    assert "web1" not in web.asked(12)


@pytest.mark.servers
def test_what_did_not_help_is_undone(served: tuple[Proxy, World]) -> None:
    web, world = served
    world.step(5)
    assert world.record().state is ActionState.ROLLED_BACK
    assert set(web.asked(12)) == set(SERVERS)


@pytest.mark.servers
def test_somebody_elses_drain_is_respected(served: tuple[Proxy, World]) -> None:
    web, world = served
    world.symptom = 0
    world.step(3)
    from remediation.actions.runtime_api import ask

    assert ask(web.socket, "set server shop/web3 state maint", 2.0) == ""
    world.symptom = 1
    world.step(10)
    assert world.record().state is ActionState.SUPPRESSED
    assert "web1" in web.asked(12)
