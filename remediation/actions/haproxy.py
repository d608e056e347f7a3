"""Servers of one HAProxy backend: drained, put into maintenance, made ready, weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from .base import each_holds, each_untouched, mapping, names_in, options_of, state_hash
from .runtime_api import NAME, ask, statistics, table

STATES = ("ready", "drain", "maint")
#: Bits of ``srv_admin_state``: maintenance by hand, by tracking, by resolution or host name. The bit 0x04 only says
#: that the configuration file had it ``disabled`` and stays when it is made ready (server-t.h, SRV_ADMF_MAINT).
MAINTENANCE = 0x01 | 0x02 | 0x20 | 0x40
DRAINING = 0x08 | 0x10
#: ``srv_op_state`` of a server that takes traffic.
RUNNING = "2"
MAX_WEIGHT = 256


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("not a name HAProxy allows")
    return value


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HaproxyOptions:
    """``socket`` is the Runtime API (``stats socket ... level admin``): a path, or host:port."""

    socket: str
    backend: Annotated[str, AfterValidator(_name)]
    floor: Annotated[float, Field(ge=1)] = 1  #: healthy servers that must always be left
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 3.0


class Haproxy:
    """Desired state: ``{"web1": {"state": "drain"}, "web2": {"state": "ready", "weight": 100}}``; others untouched."""

    risk = RiskClass.A1
    capabilities: ClassVar[tuple[str, ...]] = ("switch", "drain", "weight")
    link: ClassVar[str] = "servers"
    options: ClassVar[type[Any]] = HaproxyOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(HaproxyOptions, settings, "haproxy")
        rows = table(ask(options.socket, f"show servers state {options.backend}", options.timeout_seconds))
        if not rows:
            raise ActionError(f"{target.name}: backend {options.backend!r} has no servers or does not exist")
        state = {row["srv_name"]: {"state": _admin(row), "weight": int(row["srv_uweight"])} for row in rows}
        up = {row["srv_name"]: row["srv_op_state"] == RUNNING for row in rows}
        capacity: dict[str, float] = {f"up.{name}": float(up[name]) for name in state}
        capacity |= {
            "healthy": float(sum(_serves(state[name], up[name]) for name in state)),
            "total": float(len(state)),
        }
        for row in statistics(ask(options.socket, "show stat", options.timeout_seconds)):
            if row["pxname"] == options.backend and row["svname"] in state:
                capacity[f"errors.{row['svname']}"] = float(
                    sum(int(row[key] or 0) for key in ("econ", "eresp", "hrsp_5xx"))
                )
        return Reading(state=state, epoch=state_hash(state), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``servers: {name: {state, weight}}`` and the short forms ``drain``, ``ready``, ``maint``: names."""
        wanted: dict[str, dict[str, object]] = {}
        unknown = set(parameters) - {"servers", *STATES}
        if unknown:
            raise ActionError(f"unknown parameter {sorted(unknown)[0]!r}; known are servers, {', '.join(STATES)}")
        for state in STATES:
            for name in names_in(parameters.get(state, []), state):
                wanted[name] = {"state": state}
        for name, change in mapping(parameters.get("servers", {}), "servers").items():
            wanted[name] = dict(mapping(change, f"servers.{name}"))
        for name, change in wanted.items():
            _check(name, change, reading)
        before = {
            name: {key: mapping(reading.state[name], name)[key] for key in change} for name, change in wanted.items()
        }
        return dict(wanted), dict(before)

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(HaproxyOptions, settings, "haproxy")
        now = {name: mapping(state, name) for name, state in reading.state.items()}
        after = {name: {**state, **mapping(desired.get(name, {}), name)} for name, state in now.items()}
        touched = tuple(sorted(name for name in now if now[name] != after[name]))
        given = [name for name in touched if _share(after[name]) > _share(now[name])]
        taken = [name for name in touched if _share(after[name]) < _share(now[name])]
        up = {name: reading.capacity.get(f"up.{name}", 0.0) > 0 for name in now}
        if given and taken:
            direction, risk = f"switch:{given[0]}", RiskClass.A2
        else:
            direction, risk = ("in" if taken else "out" if given else "same"), RiskClass.A1
        return Impact(
            touched=touched,
            healthy_after=float(sum(_serves(after[name], up[name]) for name in after)),
            total=float(len(now)),
            floor=options.floor,
            ceiling=float(len(now)),
            direction=direction,
            risk=risk,
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return each_holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return each_untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Servers are made ready before others are taken away: the pool is never emptied on the way."""
        options = options_of(HaproxyOptions, settings, "haproxy")
        changes = {name: mapping(change, name) for name, change in desired.items()}
        order = sorted(changes, key=lambda name: (changes[name].get("state", "ready") != "ready", name))
        commands = [command for name in order for command in _commands(options.backend, name, changes[name])]
        for number, command in enumerate(commands):
            try:
                answer = ask(options.socket, command, options.timeout_seconds)
            except ActionError as error:  # earlier commands were obeyed: nobody may think that nothing was done
                raise ActionError(f"{error} (command {number + 1})", unknown=error.unknown or number > 0) from error
            if answer:
                raise ActionError(f"HAProxy refused {command!r}: {answer}", unknown=number > 0)
        reading = self.read(Target(kind="haproxy", name=str(settings.get("name", ""))), settings)
        if not self.reached(reading, desired):
            raise ActionError("HAProxy took the commands but is not in the wanted state", unknown=True)
        return {"commands": commands, "epoch": reading.epoch, "token": intent.token}


def _admin(row: Mapping[str, str]) -> str:
    bits = int(row["srv_admin_state"])
    return "maint" if bits & MAINTENANCE else "drain" if bits & DRAINING else "ready"


def _serves(state: Mapping[str, Any], up: bool) -> bool:  # noqa: FBT001 - one of two facts about a server
    return up and _share(state) > 0


def _share(state: Mapping[str, Any]) -> int:
    return int(state["weight"]) if state["state"] == "ready" else 0


def _check(name: str, change: Mapping[str, object], reading: Reading) -> None:
    if name not in reading.state:
        raise ActionError(f"there is no server {name!r}; there are {', '.join(sorted(reading.state))}")
    if not change or set(change) - {"state", "weight"}:
        raise ActionError(f"server {name!r}: give a state, a weight, or both")
    if "state" in change and change["state"] not in STATES:
        raise ActionError(f"server {name!r}: the state is one of {', '.join(STATES)}")
    weight = change.get("weight", 0)
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
        raise ActionError(f"server {name!r}: the weight is a number from 0 to {MAX_WEIGHT}")


def _commands(backend: str, name: str, change: Mapping[str, Any]) -> list[str]:
    if not NAME.fullmatch(name):
        raise ActionError(f"{name!r} is not a name HAProxy allows")
    commands = []
    if "weight" in change:
        commands.append(f"set weight {backend}/{name} {int(change['weight'])}")
    if "state" in change:
        commands.append(f"set server {backend}/{name} state {change['state']}")
    return commands
