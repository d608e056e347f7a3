"""Memcached, by its own commands ``stats`` and ``stats settings``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .credentials import split_address, tls_context
from .part import Part
from .spoken import spoken

PROTOCOL = "memcached's text protocol"
#: Name of a statistic -> metric, as memcached_exporter has it.
METRICS = {
    "uptime": "memcached_uptime_seconds",
    "time": "memcached_time_seconds",
    "bytes": "memcached_current_bytes",
    "limit_maxbytes": "memcached_limit_bytes",
    "curr_items": "memcached_current_items",
    "total_items": "memcached_items_total",
    "evictions": "memcached_items_evicted_total",
    "reclaimed": "memcached_items_reclaimed_total",
    "curr_connections": "memcached_current_connections",
    "total_connections": "memcached_connections_total",
    "rejected_connections": "memcached_connections_rejected_total",
    "conn_yields": "memcached_connections_yielded_total",
    "listen_disabled_num": "memcached_connections_listener_disabled_total",
    "bytes_read": "memcached_read_bytes_total",
    "bytes_written": "memcached_written_bytes_total",
    "rusage_user": "memcached_process_user_cpu_seconds_total",
    "rusage_system": "memcached_process_system_cpu_seconds_total",
    "threads": "memcached_threads",
    "slab_global_page_pool": "memcached_slab_global_page_pool",
}
#: Command -> outcomes that are counted; ``get_hits`` and so on.
COMMANDS = {
    "get": ("hits", "misses"),
    "delete": ("hits", "misses"),
    "incr": ("hits", "misses"),
    "decr": ("hits", "misses"),
    "cas": ("hits", "misses", "badval"),
    "touch": ("hits", "misses"),
}
STATUS = {"hits": "hit", "misses": "miss"}
#: Answers are some kilobytes: more lines than this are no statistics.
MOST_LINES = 2000


@dataclass(kw_only=True, config=STRICT)
class Memcached(Part):
    """Items, memory, commands and connections of one server, under memcached_exporter's names.

    Good for: memcached 1.4 and later by its text protocol. Not for: servers that insist on SASL, which speak only the
    binary protocol; sizes of single slab classes.
    """

    KIND: ClassVar[str] = "memcached"

    address: str  #: host or host:port; port 11211 where none is named
    tls: bool = False  #: TLS with the server's certificate checked
    ca_file: str = ""  #: authorities to check against; the system's when empty
    timeout: float = Field(default=5.0, gt=0, le=300)  #: seconds for the whole reading

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, 11211)
        super().__post_init__()

    def place(self) -> str:
        return f"{self._host}:{self._port}"

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        tls = tls_context(self.ca_file) if self.tls else None
        async with spoken(self._host, self._port, timeout=self.timeout, tls=tls, protocol=PROTOCOL) as (reader, writer):
            writer.write(b"stats\r\n")
            stats = await _answer(reader)
            writer.write(b"stats settings\r\n")
            readings = list(_readings(stats, await _answer(reader)))
        return Collected(ticks=[self._sheet.tick(now, readings)], rejected=dict(self._sheet.rejected))


async def _answer(reader: asyncio.StreamReader) -> dict[str, str]:
    """Name -> value, up to END. Raises ValueError for what is no answer."""
    found: dict[str, str] = {}
    for _ in range(MOST_LINES):
        line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").strip()
        if line == "END":
            return found
        word, _, rest = line.partition(" ")
        if word != "STAT":
            raise ValueError(line)
        name, _, value = rest.partition(" ")
        found[name] = value
    raise ValueError("too many lines")


def _readings(stats: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[Reading]:
    """Readings of what the two commands said. Raises ValueError for what is no number."""
    yield "memcached_up", (), 1.0
    yield "memcached_version", (("version", stats.get("version", "")),), 1.0
    for name, metric in METRICS.items():
        if name in stats:
            yield metric, (), float(stats[name])
    for command, outcomes in COMMANDS.items():
        for status in outcomes:
            if f"{command}_{status}" in stats:
                own = (("command", command), ("status", STATUS.get(status, status)))
                yield "memcached_commands_total", own, float(stats[f"{command}_{status}"])
    for command in ("set", "flush"):
        if f"cmd_{command}" in stats:
            own = (("command", command), ("status", "hit"))
            yield "memcached_commands_total", own, float(stats[f"cmd_{command}"])
    if "maxconns" in settings:
        yield "memcached_max_connections", (), float(settings["maxconns"])
