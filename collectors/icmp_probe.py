"""Echo requests (ping), and how many of them come back how fast."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
import time
from datetime import datetime
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT, Reading
from .probe import Probe, Tried, failed

#: Types of request and reply, by address family.
ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
REMEDY = (
    'this user may not send ICMP: allow its group with `sysctl net.ipv4.ping_group_range="0 2147483647"`, '
    "or give the process CAP_NET_RAW"
)


@dataclass(kw_only=True, config=STRICT)
class IcmpProbe(Probe):
    """Sends echo requests one after the other.

    By unprivileged ICMP sockets where the kernel allows them, else by raw ones.
    """

    KIND: ClassVar[str] = "icmp_probe"
    GRACE: ClassVar[float] = 0.5

    host: str = Field(min_length=1)  #: name or address
    timeout: float = Field(default=5.0, gt=0, le=300)  #: seconds for all packets of one attempt
    packets: int = Field(default=1, ge=1, le=20)  #: requests of one attempt
    payload_size: int = Field(default=56, ge=8, le=1400)  #: bytes after the header
    max_loss: float = Field(default=0.5, ge=0, lt=1)  #: a larger share of lost packets is a failure

    def __post_init__(self) -> None:
        if any(char in self.host for char in "/@ \t\n"):
            raise ValueError("host must be a name or an address, without a port or a path")
        super().__post_init__()

    def place(self) -> str:
        return self.host

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # a probe's shape
        began = time.monotonic()
        address = (await outbound.addresses(self.host, 0))[0]
        resolved = time.monotonic()
        made = opened(socket.AF_INET6 if ":" in address else socket.AF_INET)
        set_up = time.monotonic()
        trips: list[float] = []
        with made:
            for number in range(1, self.packets + 1):
                wait = (self.timeout - (time.monotonic() - began)) / (self.packets - number + 1)
                try:
                    trips.append(await asyncio.wait_for(self._trip(made, address, number), max(wait * 0.95, 0.001)))
                except TimeoutError:
                    continue
        loss = 1 - len(trips) / self.packets
        readings: list[Reading] = [
            ("probe_dns_lookup_time_seconds", (), resolved - began),
            ("probe_icmp_duration_seconds", (("phase", "resolve"),), resolved - began),
            ("probe_icmp_duration_seconds", (("phase", "setup"),), set_up - resolved),
            ("probe_icmp_packet_loss_ratio", (), loss),
        ]
        if trips:
            readings.append(("probe_icmp_duration_seconds", (("phase", "rtt"),), sum(trips) / len(trips)))
        return failed("timeout", readings) if loss > self.max_loss else (True, readings)

    async def _trip(self, made: socket.socket, address: str, number: int) -> float:
        """Seconds until the reply to this request came; anything else that comes is not ours."""
        loop, mark = asyncio.get_running_loop(), secrets.token_bytes(8)
        began = time.monotonic()
        await loop.sock_sendto(made, request(made.family, number, mark.ljust(self.payload_size, b"\0")), (address, 0))
        while True:
            data = await loop.sock_recv(made, 2048)
            if is_reply(made, data, number, mark):
                return time.monotonic() - began


def opened(family: int) -> socket.socket:
    """A socket that does not block. Raises CollectError with the remedy when this process may have none."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            made = socket.socket(family, kind, protocol)
        except PermissionError:
            continue
        made.setblocking(False)
        return made
    raise CollectError(REMEDY, reason="unsupported")


def request(family: int, number: int, payload: bytes) -> bytes:
    """An echo request (RFC 792, RFC 4443); the kernel sums up IPv6's."""
    kind, _ = ECHO[socket.AddressFamily(family)]
    header = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, number)
    return struct.pack("!BBHHH", kind, 0, checksum(header + payload), os.getpid() & 0xFFFF, number) + payload


def is_reply(made: socket.socket, data: bytes, number: int, mark: bytes) -> bool:
    """An echo reply that carries our mark. Raw IPv4 sockets give the IP header too."""
    if made.family == socket.AF_INET and made.type == socket.SOCK_RAW and data:
        data = data[(data[0] & 0x0F) * 4 :]
    if len(data) < 16:
        return False
    kind, _, _, _, sequence = struct.unpack("!BBHHH", data[:8])
    return kind == ECHO[socket.AddressFamily(made.family)][1] and sequence == number and data[8:16] == mark


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
