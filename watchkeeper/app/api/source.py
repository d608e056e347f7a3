"""Where a try to sign in comes from: what failed tries are counted by, so nobody may choose it.

Only the dashboard, which proves itself with a secret of the data folder, may name another address: its visitor's.
"""

from __future__ import annotations

import ipaddress
import secrets

from fastapi import Request

from watchkeeper.app.engine import Engine

#: Header with the dashboard's proof.
PROOF = "x-watchkeeper-dashboard"
#: Addresses of IPv6 that count as one: a customer gets so many.
PREFIX = 64


def source_of(request: Request, named: str) -> str:
    """The address to count by: the peer's, or the one the dashboard names."""
    engine: Engine = request.app.state.engine
    peer = request.client.host if request.client else "unknown"
    return address(named) if named and _proved(engine, request.headers.get(PROOF, "")) else address(peer)


def address(text: str) -> str:
    """An IPv4 address, or the network of an IPv6 one; other words as they are."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), PREFIX), strict=False))


def _proved(engine: Engine, given: str) -> bool:
    try:
        secret = engine.data.dashboard_proof.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return False
    return bool(secret) and secrets.compare_digest(secret.encode(), given.encode())
