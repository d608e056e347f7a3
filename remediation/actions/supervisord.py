"""Slots of a supervisord group: so many of them running, named one by one; or one of them restarted.

Scaling by ``numprocs`` would restart the whole group, so N slots are defined and started or stopped instead.
"""

from __future__ import annotations

import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from .base import mapping, names_in, options_of, state_hash

#: ``statename`` of a process that works, and of those nobody wants to work. A crashed one is wanted, not healthy.
RUNNING, UNWANTED = "RUNNING", ("STOPPED", "STOPPING", "UNKNOWN")
#: Faults that say that the wanted state is reached already: ALREADY_STARTED, NOT_RUNNING.
ALREADY = (60, 70)
POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SupervisordOptions:
    """``server``: the path of supervisord's UNIX socket, or http://host:port."""

    server: str
    group: str  #: group of slots; all its processes are slots
    floor: Annotated[int, Field(ge=1)] = 1  #: slots that always run
    ceiling: Annotated[int, Field(ge=1)] = 1_000_000  #: slots that run at most
    user: str = ""
    password: SecretStr = SecretStr("")
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0


class Supervisord:
    """Desired state: ``{"running": ["pool:pool_0", "pool:pool_1"]}``, and ``{"restarted": {slot: start before}}``."""

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("scale", "restart")
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = SupervisordOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(SupervisordOptions, settings, "supervisord")
        slots = _slots(options)
        if not slots:
            raise ActionError(f"{target.name}: supervisord has no group {options.group!r}")
        running = sorted((name for name in slots if slots[name]["statename"] not in UNWANTED), key=_order)
        by_hand = {"running": running, "slots": sorted(slots, key=_order)}
        state = {**by_hand, "started": {name: slots[name]["start"] for name in running}}
        healthy = sum(each["statename"] == RUNNING for each in slots.values())
        capacity = {"healthy": float(healthy), "total": float(len(running)), "slots": float(len(slots))}
        return Reading(state=state, epoch=state_hash(by_hand), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``count: n``, ``add: n``, ``remove: n`` (resolved here, once, to slots) or ``restart: slot``."""
        running, slots = names_in(reading.state["running"], "running"), names_in(reading.state["slots"], "slots")
        if len(parameters) != 1 or next(iter(parameters)) not in ("count", "add", "remove", "restart"):
            raise ActionError("give exactly one of count, add, remove, restart")
        ((word, value),) = parameters.items()
        if word == "restart":
            return _restart(reading, running, names_in(value, "restart")), {"running": running}
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ActionError(f"{word}: write a number of slots")
        count = {"count": value, "add": len(running) + value, "remove": len(running) - value}[word]
        if not 0 < count <= len(slots):
            raise ActionError(f"{count} of {len(slots)} slots cannot run")
        spare = [slot for slot in slots if slot not in running]
        kept = [*running, *spare][:count]  # the newest slots go first and come last
        return {"running": sorted(kept, key=_order)}, {"running": running}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(SupervisordOptions, settings, "supervisord")
        running = set(names_in(reading.state["running"], "running"))
        wanted = set(names_in(desired.get("running", []), "running"))
        restarted = set(mapping(desired.get("restarted", {}), "restarted"))
        touched = tuple(sorted(running ^ wanted | restarted)) if desired else ()
        healthy = reading.capacity.get("healthy", 0.0)
        if restarted:
            direction, risk, after, total = "restart", RiskClass.A1, healthy - len(restarted), float(len(running))
        elif len(wanted) > len(running):
            direction, risk, after, total = "out", RiskClass.A2, healthy, float(len(wanted))
        else:
            direction, risk, after, total = "in", RiskClass.A3, healthy - len(running - wanted), float(len(running))
        return Impact(
            touched=touched,
            healthy_after=after,
            total=total,
            floor=float(options.floor),
            ceiling=float(options.ceiling),
            direction=direction,
            risk=risk,
            scaling=not restarted,
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        started = mapping(reading.state["started"], "started")
        restarted = mapping(desired.get("restarted", {}), "restarted")
        same = set(names_in(reading.state["running"], "running")) == set(names_in(desired["running"], "running"))
        return same and all(int(started.get(slot, 0)) > int(before) for slot, before in restarted.items())

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        """Between what ran before and what we wanted to run, nothing else."""
        running = set(names_in(reading.state["running"], "running"))
        was, wanted = set(names_in(before["running"], "running")), set(names_in(desired["running"], "running"))
        restarted = set(mapping(desired.get("restarted", {}), "restarted"))
        return (was & wanted) - restarted <= running <= was | wanted

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Starts before it stops; waits until supervisord says that it is so."""
        options = options_of(SupervisordOptions, settings, "supervisord")
        target = Target(kind="supervisord", name=str(settings.get("name", "")))
        reading = self.read(target, settings)
        running, wanted = set(names_in(reading.state["running"], "running")), names_in(desired["running"], "running")
        if len(wanted) < options.floor or len(wanted) > options.ceiling:
            raise ActionError(f"{len(wanted)} slots are outside of {options.floor} to {options.ceiling}")
        started = mapping(reading.state["started"], "started")
        again = [
            slot
            for slot, before in mapping(desired.get("restarted", {}), "restarted").items()
            if slot in running and int(started[slot]) <= int(before)
        ]
        stops = [*again, *sorted(running - set(wanted), key=_order)]
        starts = [slot for slot in wanted if slot not in running]
        calls = [("startProcess", slot) for slot in starts]
        for slot in stops:
            calls += [("stopProcess", slot), *([("startProcess", slot)] if slot in again else [])]
        for number, (method, slot) in enumerate(calls):
            _call(options, method, slot, done=number)
        deadline = time.monotonic() + options.timeout_seconds
        while not self.reached(reading := self.read(target, settings), desired):
            if time.monotonic() > deadline:
                raise ActionError("supervisord did not reach the wanted state in time", unknown=True)
            time.sleep(POLL_SECONDS)
        return {"calls": [" ".join(call) for call in calls], "epoch": reading.epoch, "token": intent.token}


def _restart(reading: Reading, running: list[str], slots: list[str]) -> dict[str, object]:
    strange = sorted(set(slots) - set(running))
    if strange:
        raise ActionError(f"slot {strange[0]!r} does not run")
    started = mapping(reading.state["started"], "started")
    return {"running": running, "restarted": {slot: started[slot] for slot in slots}} if slots else {}


def _order(slot: str) -> tuple[str, int, str]:
    """pool_2 before pool_10."""
    stem, _, number = slot.rpartition("_")
    return (stem, int(number), slot) if number.isdigit() else (slot, 0, slot)


def _slots(options: SupervisordOptions) -> dict[str, dict[str, Any]]:
    try:
        with _proxy(options) as server:
            found: Any = server.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise ActionError(f"supervisord cannot be asked: {error}") from error
    return {f"{each['group']}:{each['name']}": each for each in found if each["group"] == options.group}


def _call(options: SupervisordOptions, method: str, slot: str, *, done: int) -> None:
    try:
        with _proxy(options) as server:
            getattr(server.supervisor, method)(slot, True)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in ALREADY:
            raise ActionError(f"supervisord: {method} {slot}: {fault.faultString}", unknown=done > 0) from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise ActionError(f"supervisord: {method} {slot}: {error}", unknown=True) from error


def _proxy(options: SupervisordOptions) -> xmlrpc.client.ServerProxy:
    headers = []
    if options.user:
        import base64

        word = base64.b64encode(f"{options.user}:{options.password.get_secret_value()}".encode()).decode()
        headers.append(("Authorization", f"Basic {word}"))
    unix = not options.server.startswith(("http://", "https://"))
    transport: xmlrpc.client.Transport
    if unix:
        transport = _UnixTransport(options.server, options.timeout_seconds, headers)
    elif options.server.startswith("https://"):
        transport = _SafeTimed(options.timeout_seconds, headers)
    else:
        transport = _Timed(options.timeout_seconds, headers)
    return xmlrpc.client.ServerProxy("http://localhost/RPC2" if unix else f"{options.server}/RPC2", transport=transport)


class _Timed(xmlrpc.client.Transport):
    """HTTP with a time limit."""

    def __init__(self, timeout: float, headers: list[tuple[str, str]]) -> None:
        super().__init__(headers=headers)
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout
        return connection


class _SafeTimed(xmlrpc.client.SafeTransport):
    """HTTPS with a time limit."""

    def __init__(self, timeout: float, headers: list[tuple[str, str]]) -> None:
        super().__init__(headers=headers)
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout
        return connection


class _UnixTransport(xmlrpc.client.Transport):
    """HTTP over a UNIX socket with a time limit."""

    def __init__(self, path: str, timeout: float, headers: list[tuple[str, str]]) -> None:
        super().__init__(headers=headers)
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout)
        self._connection: Any = (host, connection)  # what close() closes
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise
