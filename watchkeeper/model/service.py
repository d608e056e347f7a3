"""A service as the catalogue knows it: what it is, whose it is, what it needs and what it may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

#: Who said so: the configuration, an inventory, Kubernetes, or connections seen on a host.
Origin = Literal["file", "inventory", "kubernetes", "observed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One row of the catalogue. Empty text is "not said", never a default that looks like knowledge."""

    name: str
    kind: str = ""  #: a service kind such as mysql or python_api; empty: unknown, no monitor set of its own
    title: str = ""
    tier: str = ""  #: of ``objectives.tiers``: core, agent, support ...
    owner: str = ""
    environment: str = ""  #: DEV, TEST, STAGING, PROD ...
    region: str = ""
    pool: str = ""  #: machines that are bought together
    addresses: tuple[str, ...] = ()  #: host:port or URL, one an instance
    depends_on: tuple[str, ...] = ()  #: names of services
    replicas: int | None = None  #: instances that should run
    limits: Mapping[str, float] = field(default_factory=dict)  #: resource -> bytes, cores or count
    requests: Mapping[str, float] = field(default_factory=dict)  #: the same, guaranteed
    links: Mapping[str, str] = field(default_factory=dict)  #: word -> URL
    contacts: tuple[str, ...] = ()
    origin: Origin = "file"
    available: int | None = None  #: instances that serve, where what it was discovered by says so
    place: str = ""  #: where it was discovered, for people: ``shop/Deployment/web``
    gone_at: datetime | None = None  #: since when what discovered it no longer lists it


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One service calls another."""

    source: str
    target: str
    origin: Origin = "file"
