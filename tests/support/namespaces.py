"""Hosts on one machine: a network namespace each, joined by a router in which any direction between two can be cut.

A cut drops what is forwarded, silently, as a network does: nobody is refused. The test's own namespace is a host too.
Needs the rights of root; where they are missing the test says so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers import need

#: The host of the test itself.
HERE = "watcher"
ROUTER = "router"


def ip(*words: str, check: bool = True) -> str:
    done = subprocess.run([need("ip"), *words], capture_output=True, text=True, check=False, timeout=30)
    if check and done.returncode != 0:
        raise AssertionError(f"ip {' '.join(words)}: {done.stderr}")
    return done.stdout


class Net:
    """``address`` of each host, ``inside`` runs a program in it, ``cut`` and ``mend`` a direction between two."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._tag = f"w{os.getpid() % 100_000}"
        self._base = f"10.{100 + os.getpid() % 100}"
        self.hosts = (HERE, *hosts)
        self._cuts: set[tuple[str, str]] = set()

    def address(self, host: str) -> str:
        return f"{self._base}.{self.hosts.index(host)}.2"

    def namespace(self, host: str) -> str:
        return f"{self._tag}-{host}"

    def inside(self, host: str, *argv: str) -> list[str]:
        """The command line that runs ``argv`` in the host."""
        return [*([] if host == HERE else [need("ip"), "netns", "exec", self.namespace(host)]), *argv]

    def cut(self, source: str, to: str) -> None:
        """Nothing that ``source`` sends reaches ``to`` any more; the other direction stays."""
        self._rule("add", source, to)
        self._cuts.add((source, to))

    def mend(self) -> None:
        for source, to in self._cuts:
            self._rule("del", source, to)
        self._cuts.clear()

    def _rule(self, verb: str, source: str, to: str) -> None:
        wire, aim = self._wire(source), f"{self.address(to)}/32"
        ip("-n", self.namespace(ROUTER), "rule", verb, "iif", wire, "to", aim, "blackhole")

    def _wire(self, host: str) -> str:
        """The router's end of a host's wire; names of interfaces have 15 characters at most."""
        return f"{self._tag}r{self.hosts.index(host)}"

    def build(self) -> None:
        ip("netns", "add", self.namespace(ROUTER))
        router = ("-n", self.namespace(ROUTER))
        for host in self.hosts:
            place, here = self.hosts.index(host), f"{self._tag}h{self.hosts.index(host)}"
            ip("link", "add", here, "type", "veth", "peer", "name", self._wire(host), "netns", self.namespace(ROUTER))
            own: tuple[str, ...] = ()
            if host != HERE:
                ip("netns", "add", self.namespace(host))
                ip("link", "set", here, "netns", self.namespace(host))
                own = ("-n", self.namespace(host))
                ip(*own, "link", "set", "lo", "up")
            ip(*own, "address", "add", f"{self.address(host)}/24", "dev", here)
            ip(*own, "link", "set", here, "up")
            ip(*router, "address", "add", f"{self._base}.{place}.1/24", "dev", self._wire(host))
            ip(*router, "link", "set", self._wire(host), "up")
            for other in range(len(self.hosts)):
                if other != place:
                    ip(*own, "route", "add", f"{self._base}.{other}.0/24", "via", f"{self._base}.{place}.1")
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run([need("ip"), "netns", "exec", self.namespace(ROUTER), "sh", "-c", forward], check=True)

    def remove(self) -> None:
        """Wires are gone with the router's namespace."""
        for host in (ROUTER, *self.hosts[1:]):
            ip("netns", "delete", self.namespace(host), check=False)


@contextmanager
def net(*hosts: str) -> Iterator[Net]:
    need("ip")
    if os.geteuid() != 0 or not Path("/run").is_dir():
        pytest.skip("network namespaces need the rights of root")
    made = Net(hosts)
    try:
        made.build()
        yield made
    finally:
        made.remove()


def reaches(made: Net, source: str, to: str, port: int, patience: float = 0.3) -> bool:
    """Whether a TCP connection from one host to another can be opened."""
    look = f"import socket; socket.create_connection(('{made.address(to)}', {port}), {patience}).close()"
    done = subprocess.run(made.inside(source, "python3", "-Sc", look), capture_output=True, check=False, timeout=30)
    return done.returncode == 0
