"""Who on this machine talks to whom: established TCP connections, as edges between known addresses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping

import psutil

#: (address, port), as the kernel writes them.
Endpoint = tuple[str, int]


def edges(known: Mapping[Endpoint, str]) -> set[tuple[str, str]]:
    """(caller, called) for each connection of a known local listener to a known address, by the names of ``known``.

    Only processes that this user may look into count; raises nothing when there are none.
    """
    rows = [row for row in psutil.net_connections(kind="tcp") if row.pid and row.laddr]
    local: dict[int, str] = {}
    for row in rows:
        if row.status == psutil.CONN_LISTEN and row.laddr and row.pid:
            names = [known.get((host, row.laddr.port), "") for host in _hosts(row.laddr.ip)]
            local[row.pid] = next(filter(None, names), local.get(row.pid, ""))
    found: set[tuple[str, str]] = set()
    for row in rows:
        caller = local.get(row.pid or 0)
        if row.status != psutil.CONN_ESTABLISHED or not row.raddr or not caller:
            continue
        called = known.get((_plain(row.raddr.ip), row.raddr.port))
        if called is not None and called != caller:
            found.add((caller, called))
    return found


def endpoints(addresses: Iterable[tuple[str, str, str]]) -> dict[Endpoint, str]:
    """(host, port, name) rows as endpoints; names that do not resolve here or lack a port are left out."""
    found: dict[Endpoint, str] = {}
    for host, port, name in addresses:
        if port.isdigit():
            for ip in _resolved(host):
                found.setdefault((ip, int(port)), name)
    return found


def _resolved(host: str) -> list[str]:
    """Literal addresses and this machine's own names; nobody's name server is asked."""
    if host in ("localhost", socket.gethostname(), socket.getfqdn()):
        return sorted(own_addresses())
    try:
        return [_plain(host)]
    except ValueError:
        return []


def own_addresses() -> set[str]:
    """Every address of this machine."""
    families = (socket.AF_INET, socket.AF_INET6)
    rows = [one.address.partition("%")[0] for cards in psutil.net_if_addrs().values() for one in cards
            if one.family in families]  # fmt: skip
    return {*map(_plain, rows), "127.0.0.1", "::1"}


def _plain(ip: str) -> str:
    """One spelling for each address; IPv4 inside IPv6 is IPv4."""
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _hosts(ip: str) -> set[str]:
    """A listener on all addresses listens on each."""
    return own_addresses() if ip in ("0.0.0.0", "::") else {_plain(ip)}  # noqa: S104  # read, not bound
