"""Takes syslog of other machines and devices: UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Sheet, target_labels
from .log_rows import Counts, batches
from .syslog_text import Frames, parse

#: A connection that says nothing for so many seconds is closed.
IDLE_SECONDS = 3600.0


@dataclass(kw_only=True, config=STRICT)
class Syslog:
    """Messages as they arrive, labelled by hostname (the sender's address where none is named) and app.

    Good for: network devices, appliances, rsyslog and syslog-ng as relays. UDP loses what the network loses. What waits
    is lost when the engine is killed before the next look: a short interval keeps that small.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series and line
    listen: str = Field(pattern=r"^.+:\d{1,5}$")  #: address and port, for example 0.0.0.0:5514
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    certificate: Path | None = None  #: PEM with chain, for tls
    key: Path | None = None  #: PEM, for tls
    encoding: Literal["utf-8", "gb18030"] = (
        "utf-8"  #: of messages that are no UTF-8; what is no character becomes U+FFFD
    )
    client_ca: Path | None = None  #: PEM; who sends must then show a certificate signed by it
    max_message: int = Field(default=64 << 10, ge=480, le=1 << 20)  #: bytes; a longer one of TCP ends its connection
    max_waiting: int = Field(default=100_000, ge=1)  #: messages between two looks; more are refused and counted
    max_connections: int = Field(default=500, ge=1)  #: at once; more are closed at once

    def __post_init__(self) -> None:
        if self.protocol == "tls" and (self.certificate is None or self.key is None):
            raise ValueError("tls needs certificate and key")
        self.target_labels = target_labels(self.name, self.labels, default_instance=os.uname().nodename)
        self._sheet = Sheet(f"syslog/{self.name}", self.target_labels)
        self._counts = Counts()
        self._waiting: deque[tuple[bytes, str]] = deque()
        self._refused = self._cut = 0
        self._server: asyncio.Server | None = None
        self._tls: ssl.SSLContext | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self.port = 0  #: where it listens, once it does

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # others come to us
        if self._server is None and self._datagrams is None:
            await self._open()
        waiting, self._waiting = self._waiting, deque()
        refused, self._refused = self._refused, 0
        rows = [parse(message, to_ms(now), sender, self.encoding) for message, sender in waiting]
        self._counts.add(rows)
        readings = [
            *self._counts.readings(),
            ("watchkeeper_syslog_connections", (), float(len(self._connections))),
            ("watchkeeper_syslog_broken_connections_total", (), float(self._cut)),
        ]
        return Collected(
            ticks=[self._sheet.tick(now, readings)],
            logs=batches(rows, self.target_labels),
            rejected={"queue_full": refused} if refused else {},
            body_bytes=sum(len(message) for message, _ in waiting),
        )

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.close()
        self._server = self._datagrams = None

    def take(self, message: bytes, sender: str = "") -> None:
        """One message of that address, from whichever way."""
        if len(self._waiting) >= self.max_waiting:
            self._refused += 1
        else:
            self._waiting.append((message[: self.max_message], sender))

    async def _open(self) -> None:
        host, _, port = self.listen.rpartition(":")
        host = host.strip("[]")
        loop = asyncio.get_running_loop()
        try:
            if self.protocol == "udp":
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(host, int(port))
                )
                self.port = self._datagrams.get_extra_info("sockname")[1]
            else:
                self._tls = self._context() if self.protocol == "tls" else None
                self._server = await asyncio.start_server(self._serve, host, int(port))
                self.port = self._server.sockets[0].getsockname()[1]
        except (OSError, OverflowError) as error:  # ssl.SSLError is one
            raise CollectError(f"cannot listen on {self.listen}: {error}", reason="connect") from None

    def _context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self.max_connections:
            self._cut += 1
            writer.close()
            return
        self._connections.add(writer)
        frames, sender = Frames(self.max_message), _address(writer.get_extra_info("peername"))
        try:
            if self._tls is not None:  # here, so that who is refused is counted
                await writer.start_tls(self._tls)
            while data := await asyncio.wait_for(reader.read(64 << 10), IDLE_SECONDS):
                for message in frames.feed(data):
                    self.take(message, sender)
                if frames.too_long:
                    self._cut += 1
                    break
        except (OSError, TimeoutError):
            self._cut += 1
        finally:
            if frames.rest().strip():
                self.take(frames.rest(), sender)
            self._connections.discard(writer)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, owner: Syslog) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._owner.take(data, _address(addr))


def _address(peer: tuple[Any, ...] | None) -> str:
    """Without what IPv6 sockets write before IPv4; empty when the peer has gone already."""
    return str(peer[0]).removeprefix("::ffff:") if peer else ""
