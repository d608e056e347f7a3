"""What somebody did, as the baselines of entities take it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

#: What has a baseline: who acts, from which address, on which machine, on which service.
Kind = Literal["user", "source", "host", "service"]
KINDS: tuple[Kind, ...] = ("user", "source", "host", "service")
#: Addresses that count as one network: what a provider gives to one place, and what a company uses inside.
PREFIX_V4, PREFIX_V6, PREFIX_PRIVATE = 24, 48, 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is, in degrees; by a table of networks, so within a city or so."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act, or several alike at about the same time. Empty text is "not said"."""

    at: float  #: seconds since the epoch
    user: str = ""
    source: str = ""  #: address it came from
    host: str = ""
    service: str = ""
    device: str = ""  #: program or machine used, without versions
    refused: bool = False  #: a wrong password, or no right to do it
    signed_in: bool = False  #: a proof of identity was accepted, such as a password
    count: float = 1.0
    size: float = 0.0  #: bytes given out, all together
    place: Place | None = None

    def name(self, kind: Kind) -> str:
        """The entity of that kind that took part."""
        found: str = getattr(self, kind)
        return found


def network(source: str) -> str:
    """The network that an address belongs to; other words as they are."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    inside = PREFIX_PRIVATE if address.is_private else PREFIX_V4
    prefix = PREFIX_V6 if address.version == 6 else inside
    return str(ip_network(f"{address}/{prefix}", strict=False))
