"""Listens for StatsD over UDP and TCP: what programs push is a series like anything that is read."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Sheet, target_labels
from .statsd_line import parse
from .statsd_values import Values

#: Bytes of one line over TCP; a longer one ends its connection.
MOST_LINE = 64 << 10
#: Connections over TCP at once.
MOST_CONNECTIONS = 256
#: Where the port is 0, how many the kernel may choose until one is free for both.
MOST_PORTS = 20
#: Bytes the kernel is asked to hold for us while we are at something else.
RECEIVE_BUFFER = 4 << 20
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(kw_only=True, config=STRICT)
class Statsd:
    """Counters, gauges, timers (in seconds) and sets under statsd_exporter's names, DogStatsD's and InfluxDB's tags.

    Good for: programs that push. Not for: what has a page of metrics. StatsD knows no secret: only ``allow`` may send.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    listen: str = "127.0.0.1:8125"  #: address and port, UDP and TCP alike
    tcp: bool = True  #: listen on TCP as well
    allow: list[str] = field(default_factory=lambda: ["127.0.0.0/8", "::1/128"])  #: networks that may send
    quantiles: list[Share] = field(default_factory=lambda: [0.5, 0.9, 0.99])  #: of timers, between two readings
    buckets: list[float] = field(default_factory=list)  #: edges in seconds: timers become histograms instead
    sample_limit: int = Field(default=100_000, gt=0)  #: names with labels, a timer once; known ones stay
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; ``listen`` when empty

    def __post_init__(self) -> None:
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("listen must be address:port, such as 127.0.0.1:8125")
        if self.buckets != sorted(set(self.buckets)):
            raise ValueError("buckets must rise")
        self._where = host.strip("[]"), int(port)
        self._networks = [ip_network(one) for one in self.allow]
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=self.listen
        )
        each = len(self.buckets or self.quantiles) + 3
        self._sheet = Sheet(f"statsd/{self.name}", self.target_labels, limit=2 + each * self.sample_limit)
        self._values = Values(self.quantiles, self.buckets, self.sample_limit)
        self._refused: Counter[str] = Counter()
        self._lines = self._events = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0  #: while it listens

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - others come to us
        if self._udp is None:
            await self._listen()
        readings = [
            ("watchkeeper_statsd_lines_total", (), float(self._lines)),
            ("watchkeeper_statsd_events_total", (), float(self._events)),
            *self._values.readings(),
        ]
        tick = self._sheet.tick(now, readings)
        refused, self._refused = self._refused + Counter(self._sheet.rejected), Counter()
        return Collected(ticks=[tick], rejected=dict(refused))

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for writer in list(self._open):
            writer.close()
        self._udp = self._tcp = None

    def take(self, data: bytes, sender: str) -> None:
        """Lines of one packet, or one line; what is wrong is counted and the rest is taken."""
        if not self._allowed(sender):
            self._refused["refused_address"] += 1
            return
        for line in data.decode("utf-8", "replace").splitlines():
            if not line.strip() or line.startswith(("_e{", "_sc|")):  # DogStatsD's events and checks are no samples
                continue
            self._lines += 1
            try:
                events = parse(line.strip())
            except ValueError:
                self._refused["parse"] += 1
                continue
            for event in events:
                self._events += 1
                if reason := self._values.add(event):
                    self._refused[reason] += 1

    def _allowed(self, sender: str) -> bool:
        address = ip_address(sender.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)

    async def _listen(self) -> None:
        for left in reversed(range(1 if self._where[1] else MOST_PORTS)):
            try:
                await self._bind()
            except OSError as error:
                await self.close()
                if not left:
                    said = error.strerror or error
                    raise CollectError(f"cannot listen on {self.listen}: {said}", reason="connect") from None
            else:
                return

    async def _bind(self) -> None:
        import socket

        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Packets(self), local_addr=self._where)
        found = self._udp.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.port = found.getsockname()[1]
        if self.tcp:
            self._tcp = await asyncio.start_server(self._serve, self._where[0], self.port, limit=MOST_LINE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = writer.get_extra_info("peername")[0]
        if len(self._open) >= MOST_CONNECTIONS or not self._allowed(sender):
            self._refused["refused_address"] += 1
            writer.close()
            return
        self._open.add(writer)
        try:
            while line := await reader.readline():
                self.take(line, sender)
        except ValueError:  # longer than MOST_LINE
            self._refused["too_large"] += 1
        except ConnectionError:
            pass  # the sender left in a hurry; whole lines were taken
        finally:
            self._open.discard(writer)
            writer.close()


class _Packets(asyncio.DatagramProtocol):
    def __init__(self, owner: Statsd) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._owner.take(data, addr[0])
