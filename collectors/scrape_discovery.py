"""Where targets come from beside the file itself: other files, DNS and HTTP. Each answers groups of targets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from watchkeeper.config import yaml
from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError, ConfigError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .dns_records import resolve
from .fetch import fetch

#: Largest answer of a discovery server, and largest number of its targets.
MAX_BYTES, MAX_TARGETS = 16 << 20, 50_000


class Group(NamedTuple):
    """Targets that share labels, those of discovery beginning with ``__meta_``."""

    targets: tuple[str, ...]
    labels: Mapping[str, str]


class Verbatim(dict[str, str]):
    """Prometheus's files do not name environment variables: ``${x}`` stays what it is."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"${{{key}}}"


@dataclass(kw_only=True, config=STRICT)
class FileSd:
    """Files with lists of groups, JSON or YAML; a ``*`` stands for any text in the last part of the path."""

    files: list[str] = Field(min_length=1)
    refresh_interval: Duration = timedelta(minutes=5)

    #: Files are looked at more often than Prometheus must, which is told of changes by the kernel.
    every = timedelta(seconds=5)

    async def look(self, _outbound: Outbound, base: Path) -> list[Group]:
        """Raises CollectError when one of the files is wrong: what was known stays."""
        return await asyncio.to_thread(self._read, base)

    def _read(self, base: Path) -> list[Group]:
        found: list[Group] = []
        for pattern in self.files:
            whole = base / pattern
            for path in sorted(whole.parent.glob(whole.name)):
                found += [
                    group._replace(labels={**group.labels, "__meta_filepath": str(path)}) for group in _file(path)
                ]
        return found


def _file(path: Path) -> list[Group]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CollectError(f"{path} cannot be read: {error.strerror}", reason="discovery") from None
    try:
        data = json.loads(raw) if path.suffix == ".json" else yaml.parse(raw, str(path), environment=Verbatim()).data
    except (ValueError, ConfigError, RecursionError) as error:
        raise CollectError(f"{path}: {error}", reason="discovery") from None
    return groups(data, str(path))


def groups(data: Any, place: str) -> list[Group]:
    """``[{targets: [...], labels: {...}}]``. Raises CollectError."""
    rows = [] if data is None else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CollectError(f"{place} is no list of groups", reason="discovery")
    found = [_group(row, place) for row in rows]
    if sum(len(group.targets) for group in found) > MAX_TARGETS:
        raise CollectError(f"{place} names more than {MAX_TARGETS} targets", reason="discovery")
    return found


def _group(row: Mapping[str, Any], place: str) -> Group:
    names, labels = row.get("targets") or [], row.get("labels") or {}
    right = isinstance(names, list) and isinstance(labels, dict) and not set(row) - {"targets", "labels", "source"}
    if not right or not all(isinstance(name, str) for name in (*names, *labels, *labels.values())):
        raise CollectError(f"{place}: a group has targets (texts) and labels (texts)", reason="discovery")
    return Group(tuple(names), {str(name): str(value) for name, value in labels.items()})


@dataclass(kw_only=True, config=STRICT)
class HttpSd:
    """A server that answers groups as JSON."""

    url: str = Field(pattern=r"^https?://\S+$")
    refresh_interval: Duration = timedelta(minutes=1)

    @property
    def every(self) -> timedelta:
        return self.refresh_interval

    async def look(self, outbound: Outbound, _base: Path) -> list[Group]:
        """Raises CollectError: what was known stays."""
        headers = {
            "accept": "application/json",
            "x-prometheus-refresh-interval-seconds": f"{self.refresh_interval.total_seconds():g}",
        }
        answer = await fetch(outbound, "GET", self.url, headers=headers, timeout=30.0, max_bytes=MAX_BYTES)
        if not answer.headers.get("content-type", "").lower().startswith("application/json"):
            raise CollectError("the discovery server does not answer application/json", reason="discovery")
        try:
            found = groups(json.loads(answer.body), "the discovery server's answer")
        except (ValueError, RecursionError) as error:
            raise CollectError(f"the discovery server's answer is no JSON: {error}", reason="discovery") from None
        return [group._replace(labels={**group.labels, "__meta_url": self.url}) for group in found]


@dataclass(kw_only=True, config=STRICT)
class DnsSd:
    """Names whose records are targets: SRV with their ports, A, AAAA and MX with ``port``."""

    names: list[str] = Field(min_length=1)
    type: Annotated[Literal["SRV", "A", "AAAA", "MX"], BeforeValidator(lambda value: str(value).upper())] = "SRV"
    port: int = Field(default=0, ge=0, le=65535)
    refresh_interval: Duration = timedelta(seconds=30)
    servers: list[str] = field(default_factory=list)  #: host or host:port to ask; empty: those of /etc/resolv.conf

    def __post_init__(self) -> None:
        if self.type != "SRV" and not self.port:
            raise ValueError("a port is needed for every type but SRV")

    @property
    def every(self) -> timedelta:
        return self.refresh_interval

    async def look(self, _outbound: Outbound, _base: Path) -> list[Group]:
        """Raises CollectError when a name cannot be looked up: what was known stays."""
        answers = await asyncio.gather(*(self._one(name) for name in self.names))
        return [group for answer in answers for group in answer]

    async def _one(self, name: str) -> list[Group]:
        try:
            records = await resolve(name, self.type, servers=self.servers)
        except (OSError, TimeoutError, ValueError, socket.gaierror) as error:
            raise CollectError(f"{name} cannot be looked up: {error}", reason="discovery") from None
        return [self._target(name, *record) for record in records]

    def _target(self, name: str, host: str, port: int) -> Group:
        labels = {"__meta_dns_name": name}
        if self.type == "SRV":
            labels |= {"__meta_dns_srv_record_target": f"{host}.", "__meta_dns_srv_record_port": str(port)}
        if self.type == "MX":
            labels["__meta_dns_mx_record_target"] = f"{host}."
        return Group((join(f"{host}." if self.type in ("SRV", "MX") else host, port or self.port),), labels)


def join(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
