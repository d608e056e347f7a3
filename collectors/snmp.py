"""Network devices, hosts and appliances by SNMP, read with gufo-snmp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.outbound import Outbound, checked_addresses
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .credentials import one_secret, read_secret, split_address
from .part import Part
from .snmp_tables import MODULES, SnmpMetric, Table

if TYPE_CHECKING:
    from gufo.snmp import User
    from gufo.snmp.aio import SnmpSession

Answer = TypeVar("Answer")
Module = Literal["system", "interfaces", "cpu", "storage", "memory"]
HASHES = ("md5", "sha224", "sha256", "sha384", "sha512")
#: What the library raises beside all exceptions over some datagrams that are cut; it has no name to import.
PANIC = "PanicException"
#: Characters of a label's value.
LONGEST = 200


@dataclass(kw_only=True, config=STRICT)
class Snmp(Part):
    """Uptime, interfaces, processors, storage and memory by standard tables, and columns of one's own.

    Good for: switches, routers, firewalls, storage, power supplies; SNMPv2c, and v3 with authentication and privacy.
    Not for: traps. A table that the device does not have brings nothing; ``watchkeeper_query_success{query}`` says so.
    """

    KIND: ClassVar[str] = "snmp"

    address: str  #: host or host:port; port 161 where none is named
    version: Literal["2c", "3"] = "2c"
    community: SecretStr | None = None  #: of v2c; public where neither it nor its file is given
    community_file: str = ""  #: file with the community, read for every reading
    username: str = ""  #: of v3
    password: SecretStr | None = None  #: of v3: authentication
    password_file: str = ""  #: file with the password, read for every reading
    authentication: Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"] = "sha"  #: of v3, with its password
    privacy: Literal["", "des", "aes", "aes192", "aes256"] = ""  #: of v3; empty: answers go in the clear
    privacy_password: SecretStr | None = None
    privacy_password_file: str = ""  #: file with the password, read for every reading
    modules: list[Module] = field(default_factory=lambda: list(MODULES))  # type: ignore[arg-type]  # its keys
    metrics: list[SnmpMetric] = field(default_factory=list)  #: columns and scalars beside those of the modules
    repetitions: int = Field(default=20, ge=1, le=100)  #: rows of one answer (GETBULK)
    retry_after: float = Field(default=2.0, gt=0, le=60)  #: seconds after which a lost datagram is asked for again
    timeout: float = Field(default=20.0, gt=0, le=300)  #: seconds for the whole reading
    sample_limit: int = Field(default=20_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, 161)
        if self.version == "3" and not self.username:
            raise ValueError("version 3 needs a username")
        super().__post_init__()
        self.problems: dict[str, str] = {}  #: table -> why it brought nothing, in the last reading

    def place(self) -> str:
        return self._host if self._port == 161 else f"{self._host}:{self._port}"

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        try:
            async with asyncio.timeout(self.timeout):
                readings = [*await self._read()]
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s; {self._silence()}", reason="timeout") from None
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], rejected=dict(self._sheet.rejected))

    async def _read(self) -> list[Reading]:
        import httpcore2
        from gufo.snmp import SnmpAuthError, SnmpError

        try:
            hosts = await checked_addresses(self._host, self._port, allow_private=True, timeout=self.timeout)
            session = self._session(hosts[0])
            await _until_answered(session.refresh)  # v3 asks for the engine's id and clock first
            return await self._tables(session)
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, OutboundError, ConnectionError) as error:
            raise CollectError(f"no connection: {error}", reason="connect") from None
        except SnmpAuthError:
            said = (
                f"the device refused who asks: it knows no user {self.username!r}, or has another password, "
                f"authentication ({self.authentication}) or privacy ({self.privacy or 'none'}) for that user"
            )
            raise CollectError(said, reason="token") from None
        except (SnmpError, ValueError) as error:
            raise CollectError(f"what answers does not speak SNMP: {error}", reason="protocol") from None
        except BaseException as error:
            if type(error).__name__ != PANIC:
                raise
            raise CollectError("what answers does not speak SNMP", reason="protocol") from None

    def _silence(self) -> str:
        """What a device may mean by it."""
        if self.version != "3":
            return "a device says nothing to a community that it does not know, or to who may not ask"
        if self.privacy:
            return "many devices say nothing to a wrong privacy_password or another cipher"
        return "many devices say nothing to who may not ask"

    def _session(self, host: str) -> SnmpSession:
        from gufo.snmp.aio import SnmpSession

        community, user = "public", None
        if self.version == "3":
            user = self._user()
        elif self.community_file:
            community = read_secret(self.community_file, "community_file")
        elif self.community is not None:
            community = self.community.get_secret_value()
        return SnmpSession(
            host,
            port=self._port,
            community=community,
            user=user,
            timeout=self.retry_after,
            max_repetitions=self.repetitions,
        )

    def _user(self) -> User:
        from gufo.snmp import user

        password = one_secret(self.password, self.password_file).encode()
        secret = one_secret(self.privacy_password, self.privacy_password_file).encode()
        hashes = {"sha": "Sha1Key", **{name: f"{name.capitalize()}Key" for name in HASHES}}
        ciphers = {"des": "DesKey", "aes": "Aes128Key", "aes192": "Aes192Key", "aes256": "Aes256Key"}
        proof = getattr(user, hashes[self.authentication])(password) if password else None
        cipher = getattr(user, ciphers[self.privacy])(secret) if self.privacy else None
        return user.User(self.username, auth_key=proof, priv_key=cipher)

    async def _tables(self, session: SnmpSession) -> list[Reading]:
        """Every table in its turn; one that is not there, or is lost on the way, leaves out its own series."""
        tables: dict[str, tuple[Table, ...]] = {str(name): MODULES[name] for name in self.modules}
        tables |= {f"metrics.{metric.name}": (metric.table(),) for metric in self.metrics}
        readings: list[Reading] = []
        problems: dict[str, str] = {}
        for name, parts in tables.items():
            found = [reading for table in parts for reading in await self._table(session, table)]
            readings += found
            problems[name] = "" if found else "the device has no such table"
        if not readings:
            raise CollectError("the device answers and shows nothing: see community or user", reason="query")
        readings += [
            ("watchkeeper_query_success", (("query", name),), float(not why)) for name, why in problems.items()
        ]
        self.problems = {name: why for name, why in problems.items() if why}
        return readings

    async def _table(self, session: SnmpSession, table: Table) -> list[Reading]:
        columns = {name: await self._column(session, oid) for name, oid in table.values.items()}
        if not any(columns.values()):
            return []
        about = {label: await self._column(session, oid) for label, oid in table.labels.items()}
        readings: list[Reading] = []
        for name, rows in columns.items():
            scale = table.scale.get(name, 1.0)
            for index, value in rows.items():
                if isinstance(value, int | float):
                    readings.append((name, tuple(_labels(table, about, index)), float(value) * scale))
        return readings

    async def _column(self, session: SnmpSession, oid: str) -> dict[str, Any]:
        """Index -> value."""

        async def walk() -> dict[str, Any]:
            rows: dict[str, Any] = {}
            async for name, value in session.fetch(oid):
                rows[name[len(oid) + 1 :]] = value
                if len(rows) > self.sample_limit:
                    raise CollectError(f"{oid} has more rows than sample_limit", reason="too_large")
            return rows

        return await _until_answered(walk)


async def _until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """A datagram that is lost is asked for again, until the time of the whole reading is over."""
    while True:
        with suppress(TimeoutError):
            return await ask()


def _labels(table: Table, about: Mapping[str, Mapping[str, Any]], index: str) -> Iterator[tuple[str, str]]:
    if table.index:
        yield table.index, index
    for label, rows in about.items():
        value = rows.get(index)
        if value is not None:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            yield label, text.strip("\0 ")[:LONGEST]
