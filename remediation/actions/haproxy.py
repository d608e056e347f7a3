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

from . import members
from .base import each_holds, each_untouched, mapping, options_of, state_hash
from .runtime_api import NAME, ask, statistics, table

STATES = ("ready", "drain", "maint")
#: Bits of ``srv_admin_state``: maintenance by hand, by tracking, by resolution or host name. The bit 0x04 only says
#: that the configuration file had it ``disabled`` and stays when it is made ready (server-t.h, SRV_ADMF_MAINT).
MAINTENANCE = 0x01 | 0x02 | 0x20 | 0x40
DRAINING = 0x08 | 0x10
#: ``srv_op_state`` of a server that takes traffic.
RUNNING = "2"
MAX_WEIGHT = 256
#: ``check_status`` of a server without ``check``, and of one whose first check is still to come (check.c).
NEVER_CHECKED = frozenset({"", "UNK", "INI"})
AGENT_ANSWERED = "L7OK"


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
        told = statistics(ask(options.socket, "show stat", options.timeout_seconds))
        looks = {f"{row['pxname']}/{row['svname']}": row for row in told}
        up: dict[str, bool] = {}  # of whom it is known
        for row in rows:
            name, running = row["srv_name"], row["srv_op_state"] == RUNNING
            checked = not running or _checked(f"{options.backend}/{name}", looks)
            if checked and state[name]["state"] != "maint":  # nothing is checked under maintenance
                up[name] = running
        capacity: dict[str, float] = {f"up.{name}": float(good) for name, good in up.items()}
        capacity |= {
            "healthy": float(sum(good and _share(state[name]) > 0 for name, good in up.items())),
            "total": float(len(state)),
        }
        for row in told:
            if row["pxname"] == options.backend and row["svname"] in state:
                capacity[f"errors.{row['svname']}"] = float(
                    sum(int(row[key] or 0) for key in ("econ", "eresp", "hrsp_5xx"))
                )
        return Reading(state=state, epoch=state_hash(state), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``servers: {name: {state, weight}}`` and the short forms ``drain``, ``ready``, ``maint``: names."""
        return members.desired_of(parameters, _members(reading), STATES, (0, MAX_WEIGHT))

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(HaproxyOptions, settings, "haproxy")
        return members.impact_of(
            _members(reading),
            desired,
            share=_share,
            up=members.known_up(reading),
            floor=options.floor,
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


def _checked(server: str, looks: Mapping[str, Mapping[str, str]], depth: int = 8) -> bool:
    """Has anybody looked? HAProxy calls a server up that has no ``check``, and one whose first check is still to come.

    A server that tracks another is as that one is. An agent that answers says how its server is; one that is silent
    changes nothing.
    """
    row = looks.get(server, {})
    if (tracked := row.get("tracked")) and depth:
        return _checked(tracked, looks, depth - 1)
    check, agent = ((row.get(key) or "").removeprefix("* ") for key in ("check_status", "agent_status"))
    return check not in NEVER_CHECKED or agent == AGENT_ANSWERED


def _admin(row: Mapping[str, str]) -> str:
    bits = int(row["srv_admin_state"])
    return "maint" if bits & MAINTENANCE else "drain" if bits & DRAINING else "ready"


def _members(reading: Reading) -> members.Members:
    return {name: mapping(state, name) for name, state in reading.state.items()}


def _share(state: Mapping[str, Any]) -> int:
    return int(state["weight"]) if state["state"] == "ready" else 0


def _commands(backend: str, name: str, change: Mapping[str, Any]) -> list[str]:
    if not NAME.fullmatch(name):
        raise ActionError(f"{name!r} is not a name HAProxy allows")
    commands = []
    if "weight" in change:
        commands.append(f"set weight {backend}/{name} {int(change['weight'])}")
    if "state" in change:
        commands.append(f"set server {backend}/{name} state {change['state']}")
    return commands
