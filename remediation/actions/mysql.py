"""The writable server of a MariaDB or MySQL replication group: moved to a replica, or set read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import impact_of_a_switch, mapping, names_in, options_of, state_hash
from .mysql_servers import ADDRESS, Connection, Server, connected

AT_ONCE = 16


def _addresses(values: dict[str, str]) -> dict[str, str]:
    if any(not ADDRESS.fullmatch(value) for value in values.values()):
        raise ValueError("write host:port")
    return values


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MysqlOptions:
    """``servers``: every server of the group by its name; exactly one of them is writable."""

    servers: Annotated[dict[str, str], Field(min_length=1), AfterValidator(_addresses)]  #: name -> host:port
    user: str
    password: SecretStr = SecretStr("")
    replication_user: str = ""  #: that the others follow the new primary with; empty: as ``user``
    replication_password: SecretStr = SecretStr("")
    starts_read_only: bool = False  #: a server that dies comes back read-only (read_only=1 in its configuration)
    max_lag_seconds: Annotated[float, Field(ge=0)] = 10.0  #: a replica further behind loses time or data: class A4
    floor: Annotated[float, Field(ge=1)] = 1  #: healthy servers that must be left
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0  #: for a look at each server
    catch_up_seconds: Annotated[float, Field(gt=0, le=120)] = 5.0  #: until the new primary has applied everything


class Mysql:
    """Desired state: ``{"primary": "db2"}`` or ``{"read_only": {"db1": true}}``.

    A living primary is set read-only first and the new one waits until it has everything: nothing is lost. A dead one
    must come back read-only by itself, or two would take writes: without ``starts_read_only`` that is class A4. One
    that is silent to us while a replica is still connected to it is not dead, and is left alone.
    """

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("switch", "read_only")
    link: ClassVar[str] = "primary"
    options: ClassVar[type[Any]] = MysqlOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(MysqlOptions, settings, "mysql")
        servers, errors = _servers(options)
        if not servers:
            raise said.unreachable(target.name, "; ".join(errors))
        writable = sorted(name for name, each in servers.items() if not each.read_only)
        followed = {_name(options, each.source) for each in servers.values() if each.source}
        dead = sorted(followed - set(servers) - {""})
        primary = writable[0] if len(writable) == 1 else dead[0] if not writable and len(dead) == 1 else ""
        fit = sorted(name for name, each in servers.items() if _fit(options, each, primary))
        lags = {name: servers[name].behind or 0.0 for name in fit}
        state: dict[str, object] = {
            "primary": primary,
            "answers": primary in servers,
            "writable": writable,
            "read_only": {name: servers[name].read_only for name in sorted(servers)},
            "fit": fit,
            "choice": min(fit, key=lambda name: (lags[name], name), default=""),
            "acknowledges": sorted(name for name in fit if servers[name].acknowledges),
            "receive": [] if primary in servers else sorted(name for name in fit if servers[name].receives),
        }
        capacity = {f"lag_seconds.{name}": lag for name, lag in lags.items()}
        healthy = len(fit) + (primary in servers)
        capacity |= {"healthy": float(healthy), "total": float(len(options.servers))}
        # A server that died is no change by hand: only who is writable, or was, counts.
        return Reading(state=state, epoch=state_hash([primary, writable[1:], sorted(writable)[:1]]), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From one of ``primary: name``, ``away_from: name``, ``read_only: {name: true}``."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("primary", "away_from", "read_only"))
        state, now = reading.state, str(reading.state["primary"])
        if word == "read_only":
            return _read_only(mapping(state["read_only"], word), mapping(value, word))
        (name,) = names_in(value, word) or ("",)
        wanted = name if word == "primary" else (str(state["choice"]) if now == name else now)
        return ({"primary": wanted} if wanted else {}), ({"primary": now} if now else {})

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(MysqlOptions, settings, "mysql")
        healthy, total = reading.capacity["healthy"], reading.capacity["total"]
        if "read_only" in desired:
            return _impact_of_freezing(options, reading, desired)
        wanted = str(desired.get("primary", ""))
        return impact_of_a_switch(
            wanted,
            touched=bool(wanted) and reading.state["primary"] != wanted,
            healthy=healthy,
            total=total,
            floor=options.floor,
            risk=_risk(options, reading, wanted),
            problem=_problem(reading, wanted),
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        frozen = mapping(reading.state.get("read_only", {}), "read_only")
        wanted = mapping(desired.get("read_only", {}), "read_only")
        as_wanted = all(name in frozen and frozen[name] == value for name, value in wanted.items())
        return as_wanted and ("primary" not in desired or _serves(reading, desired["primary"]))

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        """Nobody writable is half of a switch of ours."""
        if "read_only" in desired:
            return True  # a server is one or the other, and both are what the plan knows
        known = ("", before.get("primary"), desired.get("primary"))
        return reading.state.get("primary") in known and len(names_in(reading.state["writable"], "writable")) < 2

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        options = options_of(MysqlOptions, settings, "mysql")
        target = Target(kind="mysql", name=str(settings.get("name", "")))
        reading = self.read(target, settings)
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        if "read_only" in desired:
            for name, value in mapping(desired["read_only"], "read_only").items():
                with _to(options, name) as server:
                    _run(server, *(server.words.freeze if value else server.words.thaw))
            return {"read_only": desired["read_only"], "token": intent.token}
        wanted = str(desired["primary"])
        if problem := _problem(reading, wanted):
            raise ActionError(problem)
        lagging = _promote(options, reading, wanted)
        if not self.reached(now := self.read(target, settings), desired):
            raise said.not_reached(target.name, now.state["writable"])
        return {"primary": wanted, "not_following": lagging, "epoch": now.epoch, "token": intent.token}


def _serves(reading: Reading, name: object) -> bool:
    return reading.state.get("primary") == name


def _read_only(frozen: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    for name, value in wanted.items():
        if name not in frozen:
            raise said.nobody("read_only", name, frozen)
        if not isinstance(value, bool):
            raise said.one_of(f"read_only.{name}", ("true", "false"))
    before = {name: frozen[name] for name in wanted}
    return ({"read_only": dict(wanted)}, {"read_only": before}) if wanted else ({}, {})


def _impact_of_freezing(options: MysqlOptions, reading: Reading, desired: Mapping[str, object]) -> Impact:
    frozen, wanted = mapping(reading.state["read_only"], "read_only"), mapping(desired["read_only"], "read_only")
    touched = tuple(sorted(name for name, value in wanted.items() if frozen.get(name) != value))
    thawed = [name for name in touched if wanted[name] is False]
    others = [name for name in names_in(reading.state["writable"], "writable") if name not in touched]
    return Impact(
        touched=touched,
        healthy_after=reading.capacity["healthy"],
        total=reading.capacity["total"],
        floor=options.floor,
        ceiling=reading.capacity["total"],
        direction="out" if thawed else "in" if touched else "same",
        risk=RiskClass.A4 if thawed and others else RiskClass.A3,
        problem=_two(reading, thawed, others),
    )


def _two(reading: Reading, thawed: Sequence[str], others: Sequence[str]) -> str:
    """Why more than one would take writes afterwards."""
    if thawed and (others or len(thawed) > 1):
        return "two servers would take writes"
    return _lives(reading) if thawed else ""


def _lives(reading: Reading) -> str:
    """A primary that is silent to us alone takes writes all the while."""
    alive = ", ".join(names_in(reading.state["receive"], "receive"))
    return f"{reading.state['primary']} lives and sends to {alive}, only we do not reach it" if alive else ""


def _risk(options: MysqlOptions, reading: Reading, wanted: str) -> RiskClass:
    """Data is at risk when the replica is far behind, or the primary is dead and nobody knows what it had written."""
    if reading.capacity.get(f"lag_seconds.{wanted}", float("inf")) > options.max_lag_seconds:
        return RiskClass.A4
    sure = wanted in names_in(reading.state["acknowledges"], "acknowledges") and options.starts_read_only
    return RiskClass.A2 if reading.state["answers"] or sure else RiskClass.A4


def _problem(reading: Reading, wanted: str) -> str:
    writable, fit = names_in(reading.state["writable"], "writable"), names_in(reading.state["fit"], "fit")
    if not wanted or reading.state["primary"] == wanted:
        return ""
    if len(writable) > 1:
        return "two servers take writes already"
    if lives := _lives(reading):
        return lives
    frozen = mapping(reading.state["read_only"], "read_only")
    if wanted in fit or (not reading.state["primary"] and wanted in frozen):  # half of a switch: nobody serves
        return ""
    return f"{wanted} is not fit to lead; fit are {', '.join(fit) or '-'}"


def _promote(options: MysqlOptions, reading: Reading, wanted: str) -> list[str]:
    """The old one stops, the new one has everything, then it begins. Returns those who do not follow it yet."""
    primary = str(reading.state["primary"])
    old = primary if reading.state["answers"] else ""
    try:
        position = _freeze(options, old) if old else ""
        with _to(options, wanted) as server:
            _caught_up(options, server, position)
            _run(server, server.words.stop, server.words.forget, *server.words.thaw)
    except ActionError as error:
        if old:
            _thaw_again(options, old, wanted, error)
        raise ActionError(str(error), unknown=error.unknown) from None
    others = [name for name in mapping(reading.state["read_only"], "read_only") if name != wanted]
    return [name for name in others if not _follows(options, name, wanted)]


def _freeze(options: MysqlOptions, name: str) -> str:
    with _to(options, name) as server:
        _run(server, *server.words.freeze)
        return str(server.value(server.words.position) or "")


def _caught_up(options: MysqlOptions, server: Connection, position: str) -> None:
    now = server.server()
    position = position or now.received
    if position and now.source and server.value(server.words.wait, position, int(options.catch_up_seconds)) != 0:
        raise ActionError(f"it did not apply {position} in time")


def _thaw_again(options: MysqlOptions, old: str, wanted: str, error: ActionError) -> None:
    """Undone here only when the new one surely does not take writes."""
    try:
        with _to(options, wanted) as server:
            if not server.server().read_only:
                raise ActionError(str(error), unknown=True)
    except ActionError:
        raise ActionError(str(error), unknown=True) from None
    with _to(options, old) as server:
        _run(server, *server.words.thaw)
    raise ActionError(str(error)) from None


def _follows(options: MysqlOptions, name: str, source: str) -> bool:
    host, _, port = options.servers[source].rpartition(":")
    user = options.replication_user or options.user
    secret = options.replication_password if options.replication_user else options.password
    try:
        with _to(options, name) as server:
            words = server.words
            _run(server, *words.freeze, words.stop)
            server.ask(words.follow, host.strip("[]"), int(port), user, secret.get_secret_value())
            _run(server, words.start)
    except ActionError:
        return False
    return True


def _servers(options: MysqlOptions) -> tuple[dict[str, Server], list[str]]:
    def one(name: str) -> Server | ActionError:
        try:
            with _to(options, name, options.timeout_seconds) as server:
                return server.server()
        except ActionError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(options.servers, pool.map(one, options.servers), strict=True))
    errors = [str(each) for each in found.values() if isinstance(each, ActionError)]
    return {name: each for name, each in found.items() if isinstance(each, Server)}, errors


def _fit(options: MysqlOptions, each: Server, primary: str) -> bool:
    """A replica of the primary that applies what it gets; while the primary lives it also gets it."""
    return bool(each.read_only and each.applies and each.source and _name(options, each.source) == primary)


def _name(options: MysqlOptions, address: str) -> str:
    return next((name for name, known in options.servers.items() if known == address), "")


@contextmanager
def _to(options: MysqlOptions, name: str, timeout: float = 0.0) -> Iterator[Connection]:
    if name not in options.servers:
        raise said.nobody("servers", name, options.servers)
    timeout = timeout or max(options.timeout_seconds, options.catch_up_seconds + 1)
    password = options.password.get_secret_value()
    with connected(name, options.servers[name], options.user, password, timeout) as server:
        yield server


def _run(server: Connection, *statements: str) -> None:
    for sql in statements:
        server.ask(sql)
