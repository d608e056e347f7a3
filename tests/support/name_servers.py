"""Knot DNS on loopback: a primary that takes signed updates, and secondaries that it tells of them."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.driven import Driven, silence
from support.servers import Running, free_port, need, own_folder, start

SECRET = base64.b64encode(b"a key of thirty-two bytes, no more").decode()
ZONE = """$ORIGIN example.com.
$TTL 30
@ SOA ns1 admin 1 3600 60 86400 30
@ NS ns1
ns1 A 127.0.0.1
shop A 10.0.0.1
slow 3600 A 10.0.0.1
www CNAME eu.shop.example.net.
"""
CONFIG = """
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    automatic-acl: on
database:
    storage: {folder}
key:
  - id: watchkeeper
    algorithm: hmac-sha256
    secret: {secret}
  - id: reader
    algorithm: hmac-sha256
    secret: {secret}
remote:
{remotes}
acl:
  - id: change
    key: watchkeeper
    action: [update, transfer, notify]
zone:
  - domain: example.com
    storage: {folder}
    file: zone
    zonefile-sync: -1
    journal-content: changes
    acl: change
    {links}
"""


@dataclass
class Names:
    """The first one is the primary."""

    servers: list[Running] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{server.port}" for server in self.servers]

    def target(self, **more: Any) -> dict[str, Any]:
        own = {
            "servers": self.addresses,
            "zone": "example.com",
            "record": "shop.example.com",
            "answers": {"primary": ["10.0.0.1"], "backup": ["10.0.0.2"]},
            "key_name": "watchkeeper",
            "key_secret": SECRET,
        }
        return {"name": "front", "kind": "dns_update", **own, **more}


def _answers(port: int) -> bool:
    """It has the zone: an SOA with authority comes back."""
    from dns.exception import DNSException
    from dns.flags import AA
    from dns.message import make_query
    from dns.query import udp

    try:
        return bool(udp(make_query("example.com", "SOA"), "127.0.0.1", 0.2, port).flags & AA)
    except (OSError, DNSException):  # not there yet
        return False


def _knot(folder: Path, port: int, remotes: str, links: str, *, zone: bool) -> Running:
    if zone:
        (folder / "zone").write_text(ZONE)
    (folder / "knot.conf").write_text(
        CONFIG.format(port=port, folder=folder, secret=SECRET, remotes=remotes, links=links)
    )
    argv = [need("knotd"), "-c", str(folder / "knot.conf")]
    return start(argv, lambda: _answers(port), cwd=folder, port=port)


@contextmanager
def names(tmp: Path, secondaries: int = 1) -> Iterator[Names]:
    ports = [_free() for _ in range(1 + secondaries)]
    remotes = "".join(
        f"  - id: ns{place}\n    address: 127.0.0.1@{port}\n    key: watchkeeper\n" for place, port in enumerate(ports)
    )
    made = Names()
    with ExitStack() as ending:
        for place, port in enumerate(ports):
            others = ", ".join(f"ns{each}" for each in range(1, len(ports)))
            links = "master: ns0" if place else f"notify: [{others}]" if others else ""
            folder = own_folder(tmp, f"ns{place}")
            made.servers.append(ending.enter_context(_knot(folder, port, remotes, links, zone=not place)))
        yield made


def _free() -> int:
    """Free for both of the DNS's protocols."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def serial(made: Names) -> int:
    """The zone's serial number, which every update raises."""
    from dns.message import make_query
    from dns.query import tcp

    answer = tcp(make_query("example.com", "SOA"), "127.0.0.1", 2, made.servers[0].port)
    return int(answer.answer[0][0].serial)


@contextmanager
def driven(folder: Path) -> Iterator[Driven]:
    with names(folder, secondaries=0) as made, silence() as port:
        yield Driven(
            settings=made.target(),
            parameters={"primary": "backup"},
            effects=lambda: serial(made),
            hang={"servers": [f"127.0.0.1:{port}"], "timeout_seconds": 0.1},
        )
