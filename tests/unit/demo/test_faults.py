"""Faults are files that every process reads; each ends by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchkeeper.app.children import Child
from watchkeeper.app.demo.estate import PRIMARY, Killing
from watchkeeper.app.demo.faults import FAULTS, Faults, known
from watchkeeper.errors import ConfigError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def faults(tmp_path: Path, clock: Clock) -> Faults:
    return Faults(tmp_path, clock=clock)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_on_from_break_until_heal(faults: Faults, name: str) -> None:
    assert not faults.on(name)
    faults.break_(name)
    assert faults.since(name) == 1000.0
    assert faults.heal(name)
    assert not faults.on(name)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_by_itself(faults: Faults, clock: Clock, name: str) -> None:
    faults.break_(name)
    clock.now += FAULTS[name].lasts - 0.1
    assert faults.on(name)
    clock.now += 0.2
    assert not faults.on(name)
    assert not faults.heal(name), "it was over already"


def test_breaking_again_begins_anew(faults: Faults, clock: Clock) -> None:
    faults.break_("slow-api")
    clock.now += 300
    faults.break_("slow-api")
    assert faults.since("slow-api") == 1300.0


def test_two_processes_see_the_same_faults(tmp_path: Path, clock: Clock) -> None:
    Faults(tmp_path, clock=clock).break_("log-storm")
    assert Faults(tmp_path, clock=clock).on("log-storm")


def test_a_file_without_a_time_is_no_fault(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "slow-api").write_text("")
    assert not faults.on("slow-api")


@pytest.mark.parametrize("name", ["nobody", "", "../shop.sqlite"])
def test_an_unknown_name_is_refused_with_the_known_ones(faults: Faults, name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are checkout-primary, carrier-down"):
        faults.break_(name)
    with pytest.raises(ConfigError):
        faults.heal(name)
    with pytest.raises(ConfigError):
        known(name)
    assert list(tmp_path.iterdir()) == []


def test_the_primary_stays_dead_while_the_fault_is_on_and_is_started_when_it_is_over(
    faults: Faults, clock: Clock
) -> None:
    child = Child(PRIMARY, ["/bin/sleep", "60"])
    child.start()
    killing = Killing(child, faults)
    try:
        killing.look()
        assert child.process is not None
        first = child.process
        faults.break_(PRIMARY)
        killing.look()
        assert first.poll() == -9
        assert child.process is None
        assert not child.due(1e12), "nobody may start it before the fault is over"
        killing.look()
        assert child.process is None
        clock.now += FAULTS[PRIMARY].lasts + 1
        killing.look()
        assert child.process is not None
        assert child.process.poll() is None
    finally:
        if child.process:
            child.process.kill()
            child.process.wait()
