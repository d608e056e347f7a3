"""Servers of one nginx upstream: a generated include, tested by nginx before it is loaded.

nginx tells nobody how its servers are, so each of them is asked for a connection.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import members, said
from .base import each_holds, each_untouched, mapping, options_of, state_hash
from .processes import started_at, workers_of
from .programs import run
from .reached import accepting

#: State -> what nginx calls it. A reload lets the old workers end their requests: ``down`` drains.
STATES = {"ready": "", "drain": " down", "backup": " backup"}
MAX_WEIGHT = 1000
ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?|unix:/[A-Za-z0-9._/-]+")
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
LINE = re.compile(r"    server (\S+) weight=(\d+)( down| backup)?; # (\S+)")
HEAD = "# Written by Watchkeeper; changes by hand end its work here."
POLL_SECONDS = 0.05


def _servers(values: dict[str, str]) -> dict[str, str]:
    for name, address in values.items():
        if not NAME.fullmatch(name) or not ADDRESS.fullmatch(address):
            raise ValueError("write name: host:port")
    return values


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NginxOptions:
    """``include``: the file this target writes; nginx.conf holds ``include`` of it where ``http`` blocks stand."""

    include: str
    upstream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    servers: Annotated[dict[str, str], Field(min_length=1), AfterValidator(_servers)]  #: name -> address
    config: str = "/etc/nginx/nginx.conf"
    nginx: str = "/usr/sbin/nginx"
    pid_file: str = "/run/nginx.pid"
    extra: Annotated[str, Field(pattern=r"^[a-z0-9_ ;=]*$")] = ""  #: more directives of the upstream, "least_conn;"
    floor: Annotated[float, Field(ge=1)] = 1  #: servers that must always take traffic
    check_seconds: Annotated[float, Field(gt=0, le=10)] = (
        1.0  #: a server that takes no connection in time is not healthy
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0


class Nginx:
    """Desired state: ``{"web1": {"state": "drain"}, "web2": {"state": "ready", "weight": 5}}``; others untouched."""

    risk = RiskClass.A1
    capabilities: ClassVar[tuple[str, ...]] = ("switch", "drain", "weight")
    link: ClassVar[str] = "servers"
    options: ClassVar[type[Any]] = NginxOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        """What the include says, and whether nginx has loaded it since. A missing file: all are ready."""
        options = options_of(NginxOptions, settings, "nginx")
        reading = _told(options, target.name)
        up = accepting(options.servers, options.check_seconds)
        serving = sum(up[name] and _share(each) > 0 for name, each in _members(reading).items())
        capacity = {f"up.{name}": float(each) for name, each in up.items()}
        return replace(reading, capacity={**capacity, "healthy": float(serving), "total": float(len(up))})

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``servers: {name: {state, weight}}`` and the short forms ``ready``, ``drain``, ``backup``: names."""
        return members.desired_of(parameters, _members(reading), STATES, (1, MAX_WEIGHT))

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(NginxOptions, settings, "nginx")
        up = members.known_up(reading)
        return members.impact_of(_members(reading), desired, share=_share, up=up, floor=options.floor)

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return reading.state.get("loaded") is True and each_holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return each_untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """The file is put in place whole; what nginx does not accept is taken back before anything is loaded."""
        options = options_of(NginxOptions, settings, "nginx")
        target, path = Target(kind="nginx", name=str(settings.get("name", ""))), Path(options.include)
        if self.reached(reading := _told(options, target.name), desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        state = _written(options, target.name)
        for name, change in desired.items():
            state[name] = {**state[name], **mapping(change, name)}
        if sum(_share(each) > 0 for each in state.values()) < options.floor:
            raise said.refused(target.name, "reload", "fewer than the floor would take traffic")
        kept = path.read_bytes() if path.exists() else None
        _put(path, text_of(options, state).encode())
        if problem := _tested(options):
            _take_back(path, kept)
            raise said.refused("nginx", "reload", problem)
        self._load(options, target, desired)
        return {"epoch": _told(options, target.name).epoch, "token": intent.token}

    def _load(self, options: NginxOptions, target: Target, desired: Mapping[str, object]) -> None:
        """From the signal on nobody may think that nothing was done."""
        argv = [options.nginx, "-s", "reload", "-c", options.config]
        ended = run(argv, timeout=options.timeout_seconds, effect=True)
        if ended.code != 0:
            raise said.refused("nginx", "reload", ended.told(), unknown=True)
        ends = time.monotonic() + options.timeout_seconds
        while not self.reached(_told(options, target.name), desired):
            if time.monotonic() > ends:
                raise said.not_reached(target.name, "no new worker")
            time.sleep(POLL_SECONDS)


def text_of(options: NginxOptions, state: Mapping[str, Mapping[str, Any]]) -> str:
    """The include: one upstream, one line a server."""
    extra = f"    {options.extra}\n" if options.extra else ""
    lines = "".join(
        f"    server {options.servers[name]} weight={each['weight']}{STATES[str(each['state'])]}; # {name}\n"
        for name, each in sorted(state.items())
    )
    return f"{HEAD}\nupstream {options.upstream} {{\n{extra}{lines}}}\n"


def _told(options: NginxOptions, target: str) -> Reading:
    """The file and the workers, nobody else asked."""
    state = {name: dict(each) for name, each in _written(options, target).items()}
    return Reading(state={**state, "loaded": _loaded(options)}, epoch=state_hash(state))


def _written(options: NginxOptions, target: str) -> dict[str, dict[str, Any]]:
    """The state of every declared server by the file. One of somebody else's making is not understood: refused."""
    path = Path(options.include)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {name: {"state": "ready", "weight": 1} for name in options.servers}
    except (OSError, ValueError) as error:
        raise said.unreadable(target, error) from None
    words = {word: state for state, word in STATES.items()}
    found = {
        each[4]: {"state": words[each[3] or ""], "weight": int(each[2])}
        for each in map(LINE.fullmatch, text.splitlines())
        if each
    }
    if set(found) != set(options.servers) or text_of(options, found) != text:
        raise said.changed(options.include, "this is not what was written here")
    return found


def _loaded(options: NginxOptions) -> bool:
    """True when every worker that takes traffic is younger than the file."""
    path, workers = Path(options.include), workers_of(options.pid_file)
    if not path.exists():
        return False
    return bool(workers) and min(map(started_at, workers)) >= path.stat().st_mtime - 0.02


def _tested(options: NginxOptions) -> str:
    ended = run([options.nginx, "-t", "-q", "-c", options.config], timeout=options.timeout_seconds)
    return "" if ended.code == 0 else ended.told()


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all, also after a power cut."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
            os.fsync(out.fileno())
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise said.unreachable(str(path), error.strerror or error) from None


def _take_back(path: Path, kept: bytes | None) -> None:
    if kept is None:
        path.unlink()
    else:
        _put(path, kept)


def _share(each: Mapping[str, Any]) -> int:
    return int(each["weight"]) if each["state"] == "ready" else 0


def _members(reading: Reading) -> members.Members:
    return {name: mapping(each, name) for name, each in reading.state.items() if name != "loaded"}
