"""The leader of a PostgreSQL cluster that Patroni keeps: moved by Patroni itself, over its REST API."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.outbound import Response
from watchkeeper.ports import Reading

from . import said
from .base import holds, impact_of_a_switch, mapping, names_in, options_of, state_hash, untouched
from .web import ACCEPTED, ask, document, told, trust_of

LEADERS = ("leader", "master", "standby_leader")
SYNCHRONOUS = "sync_standby"
#: States of a replica that follows: until Patroni 3.0.2 "running", later "streaming".
FOLLOWING = ("running", "streaming")
POLL_SECONDS = 0.1
#: Members asked at the same time.
AT_ONCE = 8
ADVANCING = "replication still advances: the primary is alive, only its agent is silent"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PatroniOptions:
    """``members``: addresses of the REST API, asked one after the other until one answers."""

    members: Annotated[list[str], Field(min_length=1)]
    user: str = ""  #: of ``restapi.authentication``
    password: SecretStr = SecretStr("")
    ca_file: str = ""
    max_lag_bytes: Annotated[int, Field(ge=0)] = 1 << 20  #: a replica further behind loses data: class A4
    floor: Annotated[float, Field(ge=1)] = 1  #: healthy members that must be left
    advance_seconds: Annotated[float, Field(gt=0, le=30)] = 1.0  #: a silent leader is watched so long for new writes
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 0.8  #: for each question; a look at the cluster takes one
    switch_seconds: Annotated[float, Field(gt=0, le=300)] = 60.0  #: a dead leader's lease must end first


class Patroni:
    """Desired state: ``{"leader": "db2"}``. A leader that answers is switched over, a silent one failed over.

    Patroni keeps the lease: a failover waits for the dead leader's to end (``ttl``). A leader whose agent is silent
    while its replicas still receive new writes is left alone.
    """

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("switch",)
    link: ClassVar[str] = "primary"
    options: ClassVar[type[Any]] = PatroniOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(PatroniOptions, settings, "patroni")
        answers, leads = _look(options)
        found = mapping(document(answers, target.name), target.name)
        try:
            members = {str(row["name"]): row for row in found["members"]}
            leads = leads or _leads_elsewhere(options, members)
            return _reading(members, paused=bool(found.get("pause")), answers=leads)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise said.unreadable(target.name, f"{type(error).__name__}:{error}") from None

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``primary: name``, or ``away_from: name``: then the fit replica with the least lag."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("primary", "away_from"))
        state, (name,) = reading.state, names_in(value, word) or ("",)
        now = str(state["leader"])
        wanted = name if word == "primary" else (str(state["choice"]) if now == name else now)
        return ({"leader": wanted} if wanted else {}), ({"leader": now} if now else {})

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(PatroniOptions, settings, "patroni")
        wanted = str(desired.get("leader", ""))
        lag = reading.capacity.get(f"lag_bytes.{wanted}", float("inf"))
        return impact_of_a_switch(
            wanted,
            touched=bool(wanted) and reading.state["leader"] != wanted,
            healthy=reading.capacity["healthy"],
            total=reading.capacity["total"],
            floor=options.floor,
            risk=RiskClass.A4 if lag > options.max_lag_bytes else RiskClass.A2,
            problem=_problem(reading, wanted),
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        options = options_of(PatroniOptions, settings, "patroni")
        target, wanted = Target(kind="patroni", name=str(settings.get("name", ""))), str(desired["leader"])
        ends = time.monotonic() + options.switch_seconds
        reading = self.read(target, settings)
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        while problem := _problem(reading, wanted):  # who led just now must first follow
            if time.monotonic() > ends or intent.operation == "execute":
                raise ActionError(problem)
            time.sleep(POLL_SECONDS)
            reading = self.read(target, settings)
        if reading.state["leader"] and not reading.state["answers"] and _advancing(options):
            raise ActionError(ADVANCING)
        answer = _order(options, reading, wanted, ends)
        while not self.reached(reading := self.read(target, settings), desired) or not reading.state["answers"]:
            if time.monotonic() > ends:
                raise said.not_reached(target.name, answer or reading.state["leader"])
            time.sleep(POLL_SECONDS)
        return {"answer": answer, "epoch": reading.epoch, "token": intent.token}


def _order(options: PatroniOptions, reading: Reading, wanted: str, ends: float) -> str:
    """What Patroni said. It answers when it is done; a lost answer is settled by looking at who leads."""
    body = {"candidate": wanted}
    word = "failover"
    if reading.state["answers"]:
        word, body = "switchover", {"leader": str(reading.state["leader"]), **body}
    for url in options.members:
        try:
            response = _ask(options, "POST", f"{url.rstrip('/')}/{word}", json.dumps(body), ends - time.monotonic())
        except ActionError as error:
            if error.unknown:
                return str(error)
            continue  # nothing reached that member
        if response.status not in ACCEPTED:
            raise said.refused("patroni", word, told(response), unknown=response.status >= 500)
        return told(response)
    raise said.unreachable("patroni", "connect")


def _problem(reading: Reading, wanted: str) -> str:
    state = reading.state
    if not wanted or state["leader"] == wanted:
        return ""
    if state["paused"]:
        return "the cluster is paused"
    fit = names_in(state["fit"], "fit")
    return "" if wanted in fit else f"{wanted} is not fit to lead; fit are {', '.join(fit) or '-'}"


def _reading(members: Mapping[str, Mapping[str, Any]], *, paused: bool, answers: bool) -> Reading:
    leader = next((name for name, row in members.items() if row["role"] in LEADERS), "")
    following = {name: row for name, row in members.items() if name != leader and row["state"] in FOLLOWING}
    synchronous = [name for name, row in following.items() if row["role"] == SYNCHRONOUS]
    fit = sorted(name for name in synchronous or following if _may_lead(following[name]))
    lags = {name: float(following[name]["lag"]) for name in fit}
    state: dict[str, object] = {
        "leader": leader,
        "answers": answers,
        "paused": paused,
        "fit": fit,
        "choice": min(fit, key=lambda name: (lags[name], name), default=""),
    }
    capacity = {f"lag_bytes.{name}": lag for name, lag in lags.items()}
    capacity |= {"healthy": float(len(following) + answers), "total": float(len(members))}
    return Reading(state=state, epoch=state_hash([leader, paused]), capacity=capacity)


def _may_lead(row: Mapping[str, Any]) -> bool:
    tags = row.get("tags") or {}
    lag = row.get("lag")
    return isinstance(lag, int) and not isinstance(lag, bool) and tags.get("nofailover") is not True


def _advancing(options: PatroniOptions) -> bool:
    """A leader whose agent is silent may serve all the same: then its replicas still receive."""
    before = _received(options)
    if not before:
        return False
    time.sleep(options.advance_seconds)
    return _received(options) > before


def _received(options: PatroniOptions) -> int:
    """How much of the log has come to any replica; 0 when that cannot be known."""
    found = [0]
    for answer in _all(options, "patroni"):
        try:
            said_so = document(answer, "patroni") if answer is not None else {}
            found.append(int(said_so["xlog"]["received_location"]))
        except (ActionError, KeyError, TypeError, ValueError):
            continue
    return max(found)


def _look(options: PatroniOptions) -> tuple[Response, bool]:
    """The cluster by the first member that answers, and whether any member says that it leads. All asked at once."""
    with ThreadPoolExecutor(3) as pool:
        cluster, *leads = pool.map(lambda path: _all(options, path), ("cluster", "primary", "standby-leader"))
    said_so = any(answer is not None and answer.status in ACCEPTED for each in leads for answer in each)
    good = [answer for answer in cluster if answer is not None and answer.status in ACCEPTED]
    if not good:
        told_so = [told(answer) for answer in cluster if answer is not None]
        raise said.refused("patroni", "cluster", told_so[0]) if told_so else said.unreachable("patroni", "connect")
    return good[0], said_so


def _leads_elsewhere(options: PatroniOptions, members: Mapping[str, Mapping[str, Any]]) -> bool:
    """A leader that is not among the configured members is asked where the cluster says that it is."""
    row = next((row for row in members.values() if row["role"] in LEADERS), None)
    own = str(row["api_url"]).removesuffix("/patroni") if row else ""
    if not own or own in [url.rstrip("/") for url in options.members]:
        return False
    try:
        return _ask(options, "GET", f"{own}/primary").status in ACCEPTED
    except ActionError:
        return False


def _all(options: PatroniOptions, path: str) -> list[Response | None]:
    def one(url: str) -> Response | None:
        try:
            return _ask(options, "GET", f"{url.rstrip('/')}/{path}")
        except ActionError:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, options.members))


def _ask(options: PatroniOptions, method: str, url: str, body: str = "", seconds: float = 0.0) -> Response:
    """Credentials go to the members of the configuration alone, never to an address that a member named."""
    headers = {"content-type": "application/json"}
    if options.user and method == "POST":
        pair = f"{options.user}:{options.password.get_secret_value()}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return ask(
        method,
        url,
        what="patroni",
        headers=headers,
        content=body.encode(),
        timeout=max(seconds, 0.1) if method == "POST" else options.timeout_seconds,
        trust=trust_of(options.ca_file),
    )
