"""One name of the DNS, pointed from one answer to another by dynamic update: compare-and-set by its prerequisites."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import holds, impact_of_a_switch, mapping, names_in, options_of, state_hash, untouched
from .dns_servers import Key, Records, Server, relative, written

POLL_SECONDS = 0.1
NAME = r"^([A-Za-z0-9_*-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$"


def _addresses(values: list[str]) -> list[str]:
    for value in values:
        host, _, port = value.rpartition(":")
        try:
            ipaddress.ip_address(host.strip("[]"))
            good = 0 < int(port) < 65536
        except ValueError:
            good = False
        if not good:
            raise ValueError("write address:port, such as 10.0.0.1:53")
    return values


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DnsUpdateOptions:
    """The first server takes the update; all of them, which the zone's NS records name, must answer it afterwards."""

    servers: Annotated[list[str], Field(min_length=1), AfterValidator(_addresses)]  #: authoritative; address:port
    zone: Annotated[str, Field(pattern=NAME)]
    record: Annotated[str, Field(pattern=NAME)]  #: the whole name
    type: Literal["A", "AAAA", "CNAME"] = "A"
    answers: Annotated[dict[str, Annotated[list[str], Field(min_length=1)]], Field(min_length=2)]  #: name -> values
    key_name: str = ""  #: TSIG; empty: not signed
    key_secret: SecretStr = SecretStr("")  #: base64, as the server has it
    key_algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    max_ttl: Annotated[int, Field(ge=1, le=300)] = 60  #: seconds; a record that is kept longer elsewhere is left alone
    spread_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0  #: until every server answers the new values
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 2.0  #: for each question


class DnsUpdate:
    """Desired state: ``{"values": ["10.0.0.2"]}``, never none. The record's TTL stays as it is.

    Others keep what they were told before for one TTL: the symptom is judged by so much later.
    """

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("switch",)
    link: ClassVar[str] = "primary"
    options: ClassVar[type[Any]] = DnsUpdateOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(DnsUpdateOptions, settings, "dns_update")
        first, *others = _servers(options)
        found = first.ask(options.record, options.type)
        if not found.values:
            raise said.nobody(target.name, f"{options.record}/{options.type}", ())
        told = _ask_all(options, others)
        state: dict[str, object] = {
            "values": list(found.values),
            "ttl": found.ttl,
            "answers": {name: list(values) for name, values in _answers(options).items()},
            "behind": sorted(each for each, answer in told.items() if answer and answer.values != found.values),
            "silent": sorted(each for each, answer in told.items() if answer is None),
        }
        answering = 1 + sum(answer is not None for answer in told.values())
        capacity = {"healthy": 1.0, "total": 1.0, "answering": float(answering), "settles_seconds": float(found.ttl)}
        return Reading(state=state, epoch=state_hash([found.values, found.ttl]), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``primary: name`` or ``away_from: name``, names of ``answers``."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("primary", "away_from"))
        answers = mapping(reading.state["answers"], "answers")
        if value not in answers:
            raise said.nobody(word, value, answers)
        name = value if word == "primary" else next(each for each in answers if each != value)
        return {"values": list(answers[name])}, {"values": reading.state["values"]}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(DnsUpdateOptions, settings, "dns_update")
        touched = bool(desired) and not holds(reading.state, desired)
        return impact_of_a_switch(
            _named(reading, desired.get("values", ())) or options.record,
            touched=touched,
            healthy=1.0,
            total=1.0,
            floor=1.0,
            risk=RiskClass.A2,
            problem=_problem(options, reading),
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """The server itself compares with what the plan knew, and sets all values at once."""
        options = options_of(DnsUpdateOptions, settings, "dns_update")
        target = Target(kind="dns_update", name=str(settings.get("name", "")))
        reading, wanted = self.read(target, settings), names_in(desired["values"], "values")
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        if problem := _problem(options, reading):
            raise said.refused(options.record, "UPDATE", problem)
        if not wanted or not _named(reading, wanted):  # an empty name would be nobody's answer
            raise said.nobody("answers", ", ".join(wanted), mapping(reading.state["answers"], "answers"))
        known = _known(intent, reading)
        ttl = int(str(reading.state["ttl"]))
        _servers(options)[0].replace(options.zone, options.record, options.type, known, wanted, ttl)
        ends = time.monotonic() + options.spread_seconds
        while not self.reached(reading := self.read(target, settings), desired) or reading.state["behind"]:
            if time.monotonic() > ends:
                raise said.not_reached(options.record, reading.state["behind"] or reading.state["values"])
            time.sleep(POLL_SECONDS)
        return {"values": wanted, "settles_seconds": ttl, "epoch": reading.epoch, "token": intent.token}


def _servers(options: DnsUpdateOptions) -> list[Server]:
    key = Key(options.key_name, options.key_secret.get_secret_value(), options.key_algorithm)
    relative(options.record, options.zone)
    return [Server(address, key, options.timeout_seconds) for address in options.servers]


def _ask_all(options: DnsUpdateOptions, servers: list[Server]) -> dict[str, Records | None]:
    """What each says; None for one that is silent, which resolvers pass over as well."""

    def one(server: Server) -> Records | None:
        try:
            return server.ask(options.record, options.type)
        except ActionError:
            return None

    if not servers:
        return {}
    with ThreadPoolExecutor(len(servers)) as pool:
        return dict(zip((each.address for each in servers), pool.map(one, servers), strict=True))


def _answers(options: DnsUpdateOptions) -> dict[str, tuple[str, ...]]:
    return {name: written(options.type, values) for name, values in options.answers.items()}


def _named(reading: Reading, values: object) -> str:
    """Which of the declared answers this is."""
    answers = mapping(reading.state["answers"], "answers")
    return next((str(name) for name, each in answers.items() if each == values), "")


def _problem(options: DnsUpdateOptions, reading: Reading) -> str:
    ttl, behind = int(str(reading.state["ttl"])), names_in(reading.state["behind"], "behind")
    if ttl > options.max_ttl:
        return f"others keep its answer for {ttl} s, longer than {options.max_ttl}: lower its TTL first"
    if behind:
        return f"{', '.join(behind)} answers something else than {options.servers[0]}"
    if not _named(reading, reading.state["values"]):
        return f"it answers {', '.join(names_in(reading.state['values'], 'values'))}, which is none of its answers"
    return ""


def _known(intent: Intent, reading: Reading) -> list[str]:
    """What the plan knew to be there, so that somebody else's change since then is compared with, not replaced."""
    at = mapping(intent.plan.get("before" if intent.operation == "execute" else "desired", {}), "plan")
    return names_in(at.get("values", reading.state["values"]), "values")
