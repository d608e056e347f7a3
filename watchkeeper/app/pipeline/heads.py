"""The audit's head, sent every minute to where the owner of this machine cannot change it: a cut tail shows there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from watchkeeper.app.api.shapes import moment
from watchkeeper.config.schema import AuditHeads
from watchkeeper.errors import OutboundError, StoreError
from watchkeeper.outbound import Outbound
from watchkeeper.store.state import State
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: Facility "log audit" (13), severity "informational" (6) of RFC 5424.
PRIORITY = 13 * 8 + 6
SYSLOG_PORT = 514


@dataclass(frozen=True, slots=True)
class Sent:
    """The last head that was sent to one place, or not."""

    at: datetime
    row: int
    outcome: str  #: sent | failed


@dataclass(slots=True, eq=False)
class Heads:
    """``step`` each ``every``; each place is tried by itself, and what failed is counted and tried again next time."""

    state: State
    outbound: Outbound
    telemetry: Telemetry
    places: AuditHeads
    last: dict[str, Sent] = field(default_factory=dict)  #: place -> what became of the newest head

    @property
    def any(self) -> bool:
        return bool(self.places.file or self.places.syslog or self.places.url.get_secret_value())

    async def step(self, now: datetime) -> None:
        row, digest = await asyncio.to_thread(self._head)
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "file": lambda: asyncio.to_thread(_to_file, self.places.file, f"{moment(now)} {row} {digest}\n"),
            "syslog": lambda: asyncio.to_thread(_to_syslog, self.places.syslog, moment(now), row, digest),
            "url": lambda: self._to_url(now, row, digest),
        }
        given = {"file": self.places.file, "syslog": self.places.syslog, "url": self.places.url.get_secret_value()}
        for place, way in ways.items():
            if given[place]:
                outcome = await _tried(place, way)
                self.telemetry.audit_heads.labels(place, outcome).inc()
                self.last[place] = Sent(now, row, outcome)

    def _head(self) -> tuple[int, str]:
        with self.state.read() as unit:
            return unit.audit.head()

    async def _to_url(self, now: datetime, row: int, digest: str) -> None:
        body = json.dumps({"at": moment(now), "row": row, "hash": digest}).encode()
        headers = {"content-type": "application/json"}
        url = self.places.url.get_secret_value()
        answer = await self.outbound.request("POST", url, headers=headers, content=body)
        if not 200 <= answer.status < 300:
            raise OutboundError(f"the receiver answered {answer.status}", reason="protocol")


async def _tried(place: str, way: Callable[[], Awaitable[None]]) -> str:
    try:
        await way()
    except (OSError, OutboundError, StoreError) as error:
        log.warning("the head of the audit was not sent; is audit.heads still right?", place=place, error=str(error))
        return "failed"
    return "sent"


def _to_file(file: Path | None, line: str) -> None:
    """Appended and on disk: best on another host's file system, or on one that only appends."""
    assert file is not None
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _to_syslog(address: str, at: str | None, row: int, digest: str) -> None:
    """One datagram of RFC 5424."""
    host, _, port = address.rpartition(":") if ":" in address else (address, "", "")
    text = f"<{PRIORITY}>1 {at} {socket.gethostname()} watchkeeper {os.getpid()} audit-head - {row}:{digest}"
    family, kind, protocol, _, target = socket.getaddrinfo(host, int(port or SYSLOG_PORT), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as out:
        out.sendto(text.encode(), target)
