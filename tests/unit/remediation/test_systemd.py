"""systemctl by its list of arguments, against a program that keeps to its forms: systemd itself cannot run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.programs import systemctl
from support.remedies import PLAN, intent_of

from remediation.actions.systemd import Systemd
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target

KIND, TARGET = Systemd(), Target(kind="systemd", name="web")
ONE, TWO, THREE = "web@1.service", "web@2.service", "web@3.service"


@pytest.fixture
def web(tmp_path: Path) -> dict[str, Any]:
    return systemctl(tmp_path)


def units(folder: Path, **changes: dict[str, Any]) -> None:
    path = folder / "units.json"
    found = json.loads(path.read_text())
    for name, change in changes.items():
        found[f"web@{name[1:]}.service"] |= change
    path.write_text(json.dumps(found))


def jobs(folder: Path) -> list[str]:
    return (folder / "jobs").read_text().splitlines() if (folder / "jobs").exists() else []


def test_a_restart_is_one_job_however_often_the_plan_is_carried_out(tmp_path: Path, web: dict[str, Any]) -> None:
    reading = KIND.read(TARGET, web)
    desired, back = KIND.desired(reading, {"restart": ONE})
    assert (desired["restarted"], back) == ({ONE: f"first-{ONE}"}, {"units": {ONE: True}})
    for _ in range(2):
        KIND.apply(desired, intent_of(PLAN), web)
    assert jobs(tmp_path) == [f"restart {ONE}"]
    assert KIND.read(TARGET, web).epoch == reading.epoch  # who is wanted to run has not changed


def test_a_unit_that_failed_is_wanted_and_not_healthy(tmp_path: Path, web: dict[str, Any]) -> None:
    before = KIND.read(TARGET, web)
    units(tmp_path, _2={"ActiveState": "failed"})
    reading = KIND.read(TARGET, web)
    assert (reading.capacity, reading.epoch) == ({"healthy": 2, "total": 3}, before.epoch)
    desired, _ = KIND.desired(reading, {"restart": TWO})
    impact = KIND.impact(reading, desired, web)
    assert (impact.touched, impact.healthy_after, impact.risk) == ((TWO,), 2, RiskClass.A1)
    KIND.apply(desired, intent_of(PLAN), web)
    assert KIND.read(TARGET, web).capacity["healthy"] == 3


def test_starts_come_before_stops_and_what_fails_half_way_is_unknown(tmp_path: Path, web: dict[str, Any]) -> None:
    units(tmp_path, _1={"ActiveState": "inactive"})
    KIND.apply({"units": {THREE: False, ONE: True}}, intent_of(PLAN), web)
    assert jobs(tmp_path) == [f"start {ONE}", f"stop {THREE}"]
    units(tmp_path, _1={"denied": True})
    with pytest.raises(ActionError, match="Interactive authentication required") as caught:
        KIND.apply({"units": {THREE: True, ONE: False}}, intent_of(PLAN), web)
    assert caught.value.unknown  # the start before it was done


def test_a_unit_that_does_not_come_up_is_not_done(tmp_path: Path, web: dict[str, Any]) -> None:
    units(tmp_path, _1={"broken": True, "ActiveState": "failed"})
    desired, _ = KIND.desired(KIND.read(TARGET, web), {"restart": ONE})
    with pytest.raises(ActionError, match="refused restart") as caught:
        KIND.apply(desired, intent_of(PLAN), web)
    assert caught.value.unknown
    assert not KIND.reached(KIND.read(TARGET, web), desired)


def test_a_unit_nobody_knows_is_an_error(web: dict[str, Any]) -> None:
    with pytest.raises(ActionError, match=r"there is no web@9\.service"):
        KIND.read(TARGET, {**web, "units": [ONE, "web@9.service"]})
    with pytest.raises(ActionError, match=r"there is no web@9\.service"):
        KIND.desired(KIND.read(TARGET, web), {"stop": "web@9.service"})


@pytest.mark.parametrize("name", ["web", "--force", "web 1.service", "web;reboot.service", "../x.service"])
def test_nothing_but_a_unit_can_be_named(web: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=r"remediation\.targets\.web\.units"):
        KIND.read(TARGET, {**web, "units": [name]})
