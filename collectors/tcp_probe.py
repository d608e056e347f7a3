"""Whether a TCP port takes connections, and answers as it should when spoken to."""

from __future__ import annotations

import time
from datetime import datetime
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.outbound import Outbound
from watchkeeper.sockets import Talk, received, sent

from .answers import check_pattern, found
from .base import STRICT, Reading
from .probe import Probe, Tried, failed, host_and_port
from .probe_connect import Connected, over_connection


@dataclass(kw_only=True, config=STRICT)
class TcpProbe(Probe):
    """Connects, sends what it was given, and waits for what it expects.

    Good for: ports, banners, line protocols (``send: "PING\\r\\n"``, ``expect: "\\\\+PONG"``). Not for: TLS
    (``tls_probe``) and HTTP (``http_probe``).
    """

    KIND: ClassVar[str] = "tcp_probe"
    keeps_time: ClassVar[bool] = True

    address: str  #: host:port
    send: str = ""  #: text sent once connected
    expect: str = ""  #: RE2 pattern that must come back; empty: a connection is enough
    max_bytes: int = Field(default=64 << 10, gt=0, le=1 << 20)  #: how much is read for it

    def __post_init__(self) -> None:
        self._host, self._port = host_and_port(self.address)
        check_pattern(self.expect, "expect")
        super().__post_init__()

    def place(self) -> str:
        return self.address

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # a probe's shape
        return await over_connection(outbound, self._host, self._port, self._talk, self.timeout)

    def _talk(self, to: Connected) -> Talk[Tried]:
        readings: list[Reading] = [
            ("probe_dns_lookup_time_seconds", (), to.resolving),
            ("probe_tcp_duration_seconds", (("phase", "connect"),), to.connecting),
        ]
        if not self.send and not self.expect:
            return True, readings
        began = time.monotonic()
        yield from sent(to.made, self.send.encode())
        came, good = b"", not self.expect
        while not good and len(came) < self.max_bytes:
            more = yield from received(to.made, 4096)
            if not more:
                break
            came += more
            good = found(self.expect, came.decode(errors="replace"))
        readings.append(("probe_tcp_duration_seconds", (("phase", "answer"),), time.monotonic() - began))
        return (True, readings) if good else failed("body", readings)
