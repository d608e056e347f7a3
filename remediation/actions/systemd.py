"""Units of systemd: started, stopped, restarted by ``systemctl``, by its list of arguments."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import mapping, names_in, options_of, state_hash
from .programs import run

UNIT = r"[A-Za-z0-9:_.@\\-]{1,200}\.(service|socket|timer|target|path|mount)"
PROPERTIES = "Id,LoadState,ActiveState,SubState,InvocationID"
#: ``ActiveState`` of a unit that is wanted to run, whether it manages to or not; "failed" is wanted, not healthy.
WANTED = ("active", "reloading", "activating", "failed", "maintenance")
POLL_SECONDS = 0.1


def _units(values: list[str]) -> list[str]:
    import re

    if len(set(values)) < len(values) or any(not re.fullmatch(UNIT, value) for value in values):
        raise ValueError("write names of units such as web@1.service, each once")
    return values


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SystemdOptions:
    """``units`` are members of one pool; the actuator's user may manage them (polkit), it is asked for no password."""

    units: Annotated[list[str], Field(min_length=1), AfterValidator(_units)]
    systemctl: str = "/usr/bin/systemctl"
    floor: Annotated[int, Field(ge=1)] = 1  #: units that must always be active
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 30.0  #: until a job is done


class Systemd:
    """Desired state: ``{"units": {"web@1.service": true}}``, and ``{"restarted": {unit: invocation before}}``."""

    risk = RiskClass.A1
    capabilities: ClassVar[tuple[str, ...]] = ("start", "stop", "restart")
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = SystemdOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(SystemdOptions, settings, "systemd")
        shown = _show(options, target.name)
        active = [name for name, each in shown.items() if each["ActiveState"] == "active"]
        state: dict[str, object] = {
            "units": {name: each["ActiveState"] in WANTED for name, each in shown.items()},
            "invocations": {name: each.get("InvocationID", "") for name, each in shown.items()},
            "active": active,
        }
        capacity = {"healthy": float(len(active)), "total": float(len(shown))}
        return Reading(state=state, epoch=state_hash(state["units"]), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From one of ``start``, ``stop``, ``restart``: names of units."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("start", "stop", "restart"))
        now = mapping(reading.state["units"], "units")
        names = names_in(value, word)
        for name in names:
            if name not in now:
                raise said.nobody("units", name, now)
        if not names:
            return {}, {}
        before = {"units": {name: now[name] for name in names}}
        if word != "restart":
            return {"units": dict.fromkeys(names, word == "start")}, dict(before)
        invocations = mapping(reading.state["invocations"], "invocations")
        again = {name: invocations[name] for name in names}
        return {"units": dict.fromkeys(names, True), "restarted": again}, dict(before)

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(SystemdOptions, settings, "systemd")
        now, active = mapping(reading.state["units"], "units"), names_in(reading.state["active"], "active")
        wanted = mapping(desired.get("units", {}), "units")
        again = _again(reading, desired)
        changed = [name for name, value in wanted.items() if now.get(name) != value]
        stopped = [name for name in changed if wanted[name] is False]
        touched = tuple(sorted({*again, *changed}))
        lost = sum(name in active for name in {*again, *stopped})
        direction = "restart" if again else "in" if stopped else "out" if changed else "same"
        return Impact(
            touched=touched,
            healthy_after=reading.capacity["healthy"] - lost,
            total=reading.capacity["total"],
            floor=float(options.floor),
            ceiling=reading.capacity["total"],
            direction=direction,
            risk=RiskClass.A3 if stopped else RiskClass.A1,
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        now, active = mapping(reading.state["units"], "units"), names_in(reading.state["active"], "active")
        wanted = mapping(desired.get("units", {}), "units")
        as_wanted = all((name in active) if value else now.get(name) is False for name, value in wanted.items())
        return as_wanted and not _again(reading, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        """A unit runs or it does not: what is neither as before nor as wanted is one that is gone."""
        named = {*mapping(before.get("units", {}), "units"), *mapping(desired.get("units", {}), "units")}
        return named <= set(mapping(reading.state["units"], "units"))

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """One job a unit; the answer of ``systemctl`` is not believed, the unit is looked at."""
        options = options_of(SystemdOptions, settings, "systemd")
        target = Target(kind="systemd", name=str(settings.get("name", "")))
        reading = self.read(target, settings)
        jobs = _jobs(reading, desired)
        for number, (verb, name) in enumerate(jobs):
            argv = [options.systemctl, "--no-ask-password", verb, "--", name]
            ended = run(argv, timeout=options.timeout_seconds, effect=True)
            if ended.code != 0:
                raise said.refused(name, verb, ended.told(), unknown=number > 0 or verb == "restart")
        ends = time.monotonic() + options.timeout_seconds
        while not self.reached(reading := self.read(target, settings), desired):
            if time.monotonic() > ends:
                raise said.not_reached(target.name, reading.state["active"])
            time.sleep(POLL_SECONDS)
        return {"jobs": [f"{verb}:{name}" for verb, name in jobs], "epoch": reading.epoch, "token": intent.token}


def _jobs(reading: Reading, desired: Mapping[str, object]) -> list[tuple[str, str]]:
    """Starts before restarts before stops: the pool is never emptied on the way."""
    active = names_in(reading.state["active"], "active")
    now, wanted = mapping(reading.state["units"], "units"), mapping(desired.get("units", {}), "units")
    again = _again(reading, desired)
    starts = [("start", name) for name, value in wanted.items() if value and name not in active and name not in again]
    stops = [("stop", name) for name, value in wanted.items() if not value and now.get(name) is not False]
    return [*starts, *(("restart", name) for name in again), *stops]


def _again(reading: Reading, desired: Mapping[str, object]) -> list[str]:
    """Units still to be restarted: their invocation is the one that was there when the plan was made."""
    before = mapping(desired.get("restarted", {}), "restarted")
    now = mapping(reading.state["invocations"], "invocations")
    return [name for name, invocation in before.items() if now.get(name) in ("", invocation)]


def _show(options: SystemdOptions, target: str) -> dict[str, dict[str, str]]:
    """Properties of every unit, in the order of the options. A unit that systemd does not know is an error."""
    argv = [
        options.systemctl,
        "--no-ask-password",
        "--no-pager",
        "show",
        f"--property={PROPERTIES}",
        "--",
        *options.units,
    ]
    ended = run(argv, timeout=options.timeout_seconds)
    if ended.code != 0:
        raise said.refused(target, "show", ended.told())
    blocks = [_block(text.splitlines()) for text in ended.out.strip().split("\n\n")]
    found = {each.get("Id", ""): each for each in blocks}
    for name in options.units:
        if name not in found or found[name].get("LoadState") != "loaded" or "ActiveState" not in found[name]:
            raise said.nobody(
                "systemd", name, [each for each, one in found.items() if one.get("LoadState") == "loaded"]
            )
    return {name: found[name] for name in options.units}


def _block(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, _, value in pairs}
