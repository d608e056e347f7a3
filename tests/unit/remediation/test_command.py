"""Real programs by their lists of arguments: what may be passed on, and what their end means."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.programs import pool, program
from support.remedies import PLAN, intent_of

from remediation.actions.base import state_hash
from remediation.actions.command import Command
from remediation.actions.programs import run
from remediation.actuator import Actuator, Journal
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import Target

KIND, TARGET = Command(), Target(kind="command", name="pool")


def apply(settings: dict[str, Any], mode: object) -> Any:
    return KIND.apply({"mode": mode}, intent_of(PLAN), settings)


def log(folder: Path) -> list[Any]:
    path = folder / "log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_program_gets_its_arguments_the_token_and_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_ACTUATOR", "x")
    settings: dict[str, Any] = {**pool(tmp_path), "environment": {"POOL_TOKEN": "t"}}
    apply(settings, "cached")
    ((words, token, names),) = log(tmp_path)
    assert (words, token) == (["cached"], "7")
    own = {"WATCHKEEPER_TOKEN", "WATCHKEEPER_IDEMPOTENCY_KEY", "WATCHKEEPER_OPERATION", "POOL_TOKEN"}
    assert set(names) - {"LC_CTYPE"} == {"PATH", "LANG", *own}


@pytest.mark.parametrize(
    "value",
    [
        "cached; reboot",
        "$(reboot)",
        "--all",
        "",
        "a" * 11,
        "cached\n",
        "cached\x00",
        "ＣＡＣＨＥ",
        None,
        ["cached"],
        True,
    ],
)
def test_a_value_that_does_not_fit_its_pattern_runs_nothing(tmp_path: Path, value: object) -> None:
    settings: dict[str, Any] = {**pool(tmp_path), "arguments": {"mode": "[a-z]{3,10}x?"}}
    if value is True:
        settings["arguments"] = {"mode": "[0-9]+"}
    with pytest.raises(ActionError, match="does not fit its pattern") as caught:
        apply(settings, value)
    assert not caught.value.unknown
    assert log(tmp_path) == []
    reading = KIND.read(TARGET, settings)
    assert "does not fit" in KIND.impact(reading, {"mode": value}, settings).problem


def test_a_value_without_a_pattern_and_a_place_without_a_value_run_nothing(tmp_path: Path) -> None:
    settings = pool(tmp_path)
    with pytest.raises(ActionError, match="there is no size; there are mode"):
        KIND.apply({"mode": "cached", "size": "3"}, intent_of(PLAN), settings)
    with pytest.raises(ActionError, match="state: there is no mode"):
        KIND.apply({}, intent_of(PLAN), settings)
    assert log(tmp_path) == []


@pytest.mark.parametrize(("mode", "unknown", "says"), [("busy", False, "exit=75"), ("broken", True, "it broke")])
def test_its_exit_status_says_whether_anything_may_have_been_done(
    tmp_path: Path, mode: str, unknown: bool, says: str
) -> None:
    with pytest.raises(ActionError, match=says) as caught:
        apply(pool(tmp_path), mode)
    assert caught.value.unknown is unknown


def test_a_program_that_ends_well_and_changed_nothing_is_not_believed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**pool(tmp_path), "set": ["/bin/true", "{mode}"]}
    with pytest.raises(ActionError, match="did not reach the wanted state") as caught:
        apply(settings, "cached")
    assert caught.value.unknown


def test_what_hangs_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    source = """
    import os, subprocess, sys, time
    child = subprocess.Popen(["/bin/sleep", "60"])
    print(child.pid, file=open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "child"), "w"), flush=True)
    time.sleep(60)
    """
    with pytest.raises(ActionError, match="did not end in time") as caught:
        run([str(program(tmp_path, "hangs", source))], timeout=1.0, effect=True)
    assert caught.value.unknown
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child of the program lives"
        time.sleep(0.01)


def test_a_flood_of_output_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ActionError, match="it says too much"):
        run([str(program(tmp_path, "flood", "while True: print('x' * 65536)"))], timeout=10.0)


def test_a_program_that_others_may_change_or_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = pool(tmp_path)
    (tmp_path / "pool").chmod(0o775)
    with pytest.raises(ActionError, match="others may change this program"):
        KIND.read(TARGET, settings)
    (tmp_path / "pool").chmod(0o600)
    if os.geteuid() != 0 or not os.access(tmp_path / "pool", os.X_OK):
        with pytest.raises(ActionError, match="this is no program"):
            KIND.read(TARGET, settings)
    with pytest.raises(ActionError, match="needs its whole path"):
        run(["ls"], timeout=1.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"set": ["pool", "{mode}"]}, "whole path"),
        ({"set": ["/bin/{mode}"]}, "whole path"),
        ({"set": ["/bin/pool", "{size}"]}, "no pattern"),
        ({"read": ["/bin/pool", "{mode}"]}, "takes no values"),
        ({"arguments": {"mode": "(?=a)b"}}, "mode"),
    ],
)
def test_a_target_that_could_run_anything_is_a_mistake_of_configuration(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        KIND.read(TARGET, {**pool(tmp_path), **change})


def test_what_cannot_be_read_has_no_way_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**pool(tmp_path), "read": []}
    reading = KIND.read(TARGET, settings)
    assert KIND.desired(reading, {"state": {"mode": "cached"}}) == ({"mode": "cached"}, {})
    assert apply(settings, "cached")["argv"][1:] == ["set", "cached"]


@pytest.mark.parametrize("program_of", ["/bin/sh", "/usr/bin/bash", "/bin/busybox", "link"])
def test_a_shell_is_no_program_by_whatever_name(tmp_path: Path, program_of: str) -> None:
    (tmp_path / "link").symlink_to("/bin/sh")
    shell = str(tmp_path / "link") if program_of == "link" else program_of
    settings = {**pool(tmp_path), "set": [shell, "-c", "reboot {mode}"]}
    with pytest.raises(ConfigError, match="a shell makes commands"):
        apply(settings, "cached")
    with pytest.raises(ActionError, match="a shell makes commands"):
        run([shell, "-c", "true"], timeout=1.0)


@pytest.mark.parametrize("operation", ["read", "set"])
def test_a_secret_that_a_program_repeats_is_told_to_nobody(tmp_path: Path, operation: str) -> None:
    settings: dict[str, Any] = {**pool(tmp_path), "environment": {"POOL_TOKEN": "hunter2hunter2"}}
    told = ["/usr/bin/env", "--unknown=hunter2hunter2"]  # which it repeats in its complaint
    settings |= {"read": told if operation == "read" else [], "set": told}
    actuator = Actuator(Journal(tmp_path / "journal"), {"pool": settings}, tmp_path / "kill-switch")
    web = Target(kind="command", name="pool", epoch=f"{state_hash({})}.0")
    plan = replace(PLAN, targets=(web,), desired={"mode": "cached"}, before={}, rollback={})
    said = repr(actuator.submit(intent_of(plan)))
    assert "***" in said
    assert "hunter2" not in said + (tmp_path / "journal").read_text()
