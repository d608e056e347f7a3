"""The primary of a Redis group that Sentinel watches: moved to a replica by Sentinel itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading
from watchkeeper.wire.resp import Refused, Reply, pairs

from . import said
from .base import impact_of_a_switch, names_in, options_of, state_hash
from .redis_nodes import replication, talk

POLL_SECONDS = 0.05
#: Nodes of a group asked at the same time.
AT_ONCE = 16
#: Flags of a replica that Sentinel would not promote (sentinel.c, sentinelSelectSlave).
UNFIT = ("s_down", "o_down", "disconnected")
WHAT = "redis_sentinel"


def _addresses(values: list[str]) -> list[str]:
    for value in values:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("write host:port")
    return values


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RedisSentinelOptions:
    """``sentinels`` are asked one after the other until one answers; ``master`` is the group's name there."""

    sentinels: Annotated[list[str], Field(min_length=1), AfterValidator(_addresses)]
    master: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    user: str = ""  #: of the Sentinels
    password: SecretStr = SecretStr("")
    node_user: str = ""  #: of the Redis servers, which are asked for role and offset
    node_password: SecretStr = SecretStr("")
    max_lag_bytes: Annotated[int, Field(ge=0)] = 1 << 20  #: a replica further behind loses data: class A4
    floor: Annotated[float, Field(ge=1)] = 1  #: healthy servers that must be left
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5  #: for each question; a look at the group takes two
    switch_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0  #: until the new primary says that it is one


class RedisSentinel:
    """Desired state: ``{"primary": ["10.0.0.2:6379", ...]}``: the primary is one of these. Sentinel chooses among them.

    Sentinel takes the replica with the lowest ``replica-priority``, then the one with the most data. A plan for another
    one is refused beforehand, because Sentinel cannot be told whom to promote.
    """

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("switch",)
    link: ClassVar[str] = "primary"
    options: ClassVar[type[Any]] = RedisSentinelOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(RedisSentinelOptions, settings, "redis_sentinel")
        group, serving, listed = _group(options)
        primary = ":".join(map(str, serving)) if isinstance(serving, list) else ""
        if not primary:
            raise said.nobody(target.name, options.master, ())
        rows = map(pairs, listed if isinstance(listed, list) else [])
        replicas = {f"{row.get('ip')}:{row.get('port')}": row for row in rows}
        # While Sentinel still tells the others, the old primary is the group's and the new one serves already.
        members = sorted({primary, f"{group.get('ip')}:{group.get('port')}", *replicas})
        nodes = _nodes(options, members)
        fit = sorted(address for address, row in replicas.items() if _fit(row, nodes[address]))
        choice = min(fit, key=lambda address: _order(replicas[address], nodes[address]), default="")
        newest = max((node["offset"] for node in nodes.values() if node), default=-1)
        state: dict[str, object] = {"primary": primary, "fit": fit, "choice": choice}
        capacity = {f"lag_bytes.{address}": float(newest - nodes[address]["offset"]) for address in fit}
        capacity |= {
            "healthy": float(len(fit) + (nodes[primary].get("role") == "master")),
            "total": float(len(members)),
        }
        epoch = state_hash([primary, group.get("config-epoch")])
        return Reading(state=state, epoch=epoch, capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``primary: address`` or a list of them, or ``away_from: address``, resolved here to the fit replicas."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("primary", "away_from"))
        names, fit = names_in(value, word), names_in(reading.state["fit"], "fit")
        now = str(reading.state["primary"])
        if word == "primary":
            return {"primary": names}, {"primary": [now]}
        wanted = [address for address in fit if address not in names] if now in names else [now]
        return ({"primary": wanted} if wanted else {}), {"primary": [now]}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(RedisSentinelOptions, settings, "redis_sentinel")
        choice, wanted = str(reading.state["choice"]), names_in(desired.get("primary", []), "primary")
        lag = reading.capacity.get(f"lag_bytes.{choice}", 0.0)
        return impact_of_a_switch(
            choice or (wanted[0] if wanted else ""),
            touched=bool(wanted) and reading.state["primary"] not in wanted,
            healthy=reading.capacity.get("healthy", 0.0),
            total=reading.capacity.get("total", 0.0),
            floor=options.floor,
            risk=RiskClass.A4 if lag > options.max_lag_bytes else RiskClass.A2,
            problem=_problem(choice, wanted),
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return reading.state.get("primary") in names_in(desired.get("primary", []), "primary")

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        known = [*names_in(before.get("primary", []), "primary"), *names_in(desired.get("primary", []), "primary")]
        return reading.state.get("primary") in known

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """SENTINEL FAILOVER asks no other Sentinel, and works while the old primary is dead."""
        options = options_of(RedisSentinelOptions, settings, "redis_sentinel")
        target = Target(kind="redis_sentinel", name=str(settings.get("name", "")))
        reading, wanted = self.read(target, settings), names_in(desired["primary"], "primary")
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        ends = time.monotonic() + options.switch_seconds
        while problem := _problem(str(reading.state["choice"]), wanted):  # who was primary just now follows soon
            if time.monotonic() > ends or intent.operation == "execute":
                raise ActionError(problem)
            time.sleep(POLL_SECONDS)
            reading = self.read(target, settings)
        (answer,) = _ask(options, [("SENTINEL", "FAILOVER", options.master)], effect=True)
        if isinstance(answer, Refused):
            raise said.refused(WHAT, "FAILOVER", answer)
        before = str(reading.state["primary"])
        primary = _wait(options, wanted, before)
        return {"primary": primary, "demoted": _demote(options, before, primary), "token": intent.token}


def _problem(choice: str, wanted: Sequence[str]) -> str:
    if not wanted or choice in wanted:
        return ""
    return f"Redis Sentinel would promote {choice or '-'}, which is not wanted: see replica-priority and replica lag"


def _fit(row: Mapping[str, str], node: Mapping[str, Any]) -> bool:
    """A replica that answers us and that Sentinel may promote."""
    flags = row.get("flags", "").split(",")
    priority = row.get("slave-priority", "")
    return node.get("role") == "slave" and not set(UNFIT) & set(flags) and priority.isdigit() and int(priority) > 0


def _order(row: Mapping[str, str], node: Mapping[str, Any]) -> tuple[int, int, str]:
    return (int(row["slave-priority"]), -int(node["offset"]), row.get("runid", ""))


def _nodes(options: RedisSentinelOptions, addresses: Sequence[str]) -> dict[str, dict[str, Any]]:
    login = _login(options.node_user, options.node_password)

    def one(address: str) -> dict[str, Any]:
        return replication(address, login=login, timeout=options.timeout_seconds)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(addresses, pool.map(one, addresses), strict=True))


def _login(user: str, password: SecretStr) -> tuple[str, ...]:
    word = password.get_secret_value()
    return ((user, word) if user else (word,)) if word else ()


def _ask(options: RedisSentinelOptions, commands: Sequence[Sequence[str]], *, effect: bool = False) -> list[Reply]:
    """The first Sentinel that answers. An effect whose answer is lost is not sent again, to another."""
    login, last = _login(options.user, options.password), ActionError("")
    for address in options.sentinels:
        try:
            answers = talk(address, commands, login=login, timeout=options.timeout_seconds)
        except ActionError as error:
            if effect and error.unknown:
                raise
            last = ActionError(str(error))
            continue
        if isinstance(answers[0], Refused) and not effect:
            last = said.refused(address, " ".join(commands[0]), answers[0])
            continue
        return answers
    raise last


def _group(options: RedisSentinelOptions) -> tuple[dict[str, str], Reply, Reply]:
    """The group as Sentinel keeps it, who serves, and the replicas."""
    questions = ("MASTER", "GET-MASTER-ADDR-BY-NAME", "REPLICAS")
    master, serving, listed = _ask(options, [("SENTINEL", question, options.master) for question in questions])
    return pairs(master), serving, listed


def _demote(options: RedisSentinelOptions, old: str, new: str) -> bool:
    """What Sentinel does ten seconds later, now: until then the old primary would take writes that are lost.

    False when it is not there to be told; Sentinel tells it when it comes back.
    """
    host, _, port = new.rpartition(":")
    orders = [("MULTI",), ("REPLICAOF", host, port), ("CONFIG", "REWRITE"), ("CLIENT", "KILL", "TYPE", "normal")]
    login = _login(options.node_user, options.node_password)
    try:
        answers = talk(old, [*orders, ("EXEC",)], login=login, timeout=options.timeout_seconds)
    except ActionError:
        return False
    done = answers[-1]
    return isinstance(done, list) and done[:1] == ["OK"]


def _wait(options: RedisSentinelOptions, wanted: Sequence[str], before: str) -> str:
    """Until Sentinel names another primary and that one says so itself."""
    ends = time.monotonic() + options.switch_seconds
    login = _login(options.node_user, options.node_password)
    primary = before
    while time.monotonic() < ends:
        try:
            (answer,) = _ask(options, [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.master)])
        except ActionError:
            answer = None
        primary = ":".join(map(str, answer)) if isinstance(answer, list) else primary
        if primary != before:
            found = replication(primary, login=login, timeout=options.timeout_seconds)
            if primary in wanted and found.get("role") == "master":
                return primary
        time.sleep(POLL_SECONDS)
    raise said.not_reached(WHAT, primary)
