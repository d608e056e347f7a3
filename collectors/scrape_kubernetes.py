"""Targets from the API of Kubernetes, by listing: nodes, pods, services, endpoints and endpoint slices.

Labels are those of Prometheus's ``kubernetes_sd_configs``. Prometheus watches; a list every ``refresh_interval`` needs
no open connection and the same rights but one (``list`` without ``watch``).
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .fetch import fetch
from .scrape_discovery import MAX_BYTES, MAX_TARGETS, Group
from .scrape_kubernetes_labels import endpoints, node, pods_by_name, service, slices
from .scrape_kubernetes_labels import pod as pod_groups

Role = Literal["node", "pod", "service", "endpoints", "endpointslice"]
#: Where a pod finds the way to the API.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATHS = {
    "node": "api/v1/nodes",
    "pod": "api/v1/{}pods",
    "service": "api/v1/{}services",
    "endpoints": "api/v1/{}endpoints",
    "endpointslice": "apis/discovery.k8s.io/v1/{}endpointslices",
}
#: Objects asked for at a time.
PAGE = 500


@dataclass(kw_only=True, config=STRICT)
class Namespaces:
    names: list[str] = field(default_factory=list)  #: empty: all
    own_namespace: bool = False  #: the one this pod is in


@dataclass(kw_only=True, config=STRICT)
class Selector:
    role: str
    label: str = ""
    field: str = ""


@dataclass(kw_only=True, config=STRICT)
class Trust:
    ca_file: str = ""


@dataclass(kw_only=True, config=STRICT)
class KubernetesSd:
    """Objects of one role as targets."""

    role: Role
    api_server: str = Field(default="", pattern=r"^(https?://\S+)?$")  #: empty: that of the cluster this pod is in
    namespaces: Namespaces = field(default_factory=Namespaces)
    selectors: list[Selector] = field(default_factory=list)
    bearer_token_file: str = ""  #: empty: the pod's own, in the cluster
    tls_config: Trust = field(default_factory=Trust)
    refresh_interval: Duration = timedelta(seconds=30)

    @property
    def every(self) -> timedelta:
        return self.refresh_interval

    async def look(self, outbound: Outbound, base: Path) -> list[Group]:
        """Raises CollectError: what was known stays."""
        trusted = self._own_outbound(base)
        try:
            return await self._look(trusted or outbound, base)
        finally:
            if trusted is not None:
                await trusted.aclose()

    def _own_outbound(self, base: Path) -> Outbound | None:
        """A client that trusts the cluster's own certificate authority."""
        authority = str(base / self.tls_config.ca_file) if self.tls_config.ca_file else ""
        if not authority and not self.api_server:
            authority = str(ACCOUNT / "ca.crt")
        if not authority:
            return None
        try:
            return Outbound(allow_private=True, verify=ssl.create_default_context(cafile=authority))
        except OSError as error:
            raise CollectError(f"ca_file {authority} cannot be used: {error.strerror}", reason="discovery") from None

    async def _look(self, outbound: Outbound, base: Path) -> list[Group]:
        found: list[Group] = []
        for namespace in self._spaces():
            items = await self._list(outbound, base, self.role, namespace)
            if self.role in ("endpoints", "endpointslice"):
                pods = pods_by_name(await self._list(outbound, base, "pod", namespace))
                services = {_key(one): one for one in await self._list(outbound, base, "service", namespace)}
                make = endpoints if self.role == "endpoints" else slices
                found += [group for item in items for group in make(item, services, pods)]
            else:
                single = {"node": node, "pod": pod_groups, "service": service}[self.role]
                found += [group for item in items for group in single(item)]
        if sum(len(group.targets) for group in found) > MAX_TARGETS:
            raise CollectError(f"Kubernetes names more than {MAX_TARGETS} targets", reason="discovery")
        return found

    def _spaces(self) -> list[str]:
        """Namespaces to list, one empty text for all of them at once."""
        if self.role == "node":
            return [""]
        names = list(self.namespaces.names)
        if self.namespaces.own_namespace:
            try:
                names.append((ACCOUNT / "namespace").read_text(encoding="utf-8").strip())
            except OSError:
                raise CollectError("own_namespace: this is no pod of a cluster", reason="discovery") from None
        return names or [""]

    def _server(self) -> str:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not self.api_server and not host:
            raise CollectError("api_server is empty and this is no pod of a cluster", reason="discovery")
        return self.api_server.rstrip("/") or f"https://{f'[{host}]' if ':' in host else host}:{port}"

    async def _list(self, outbound: Outbound, base: Path, role: str, namespace: str) -> list[dict[str, Any]]:
        token = str(base / self.bearer_token_file) if self.bearer_token_file else ""
        if not token and not self.api_server:
            token = str(ACCOUNT / "token")
        path = PATHS[role].format(f"namespaces/{namespace}/" if namespace else "")
        items: list[dict[str, Any]] = []
        more = ""
        while True:
            asked = {**dict(self._selected(role)), "limit": str(PAGE), **({"continue": more} if more else {})}
            answer = await fetch(
                outbound,
                "GET",
                f"{self._server()}/{path}?{urlencode(asked)}",
                headers={"accept": "application/json"},
                timeout=30.0,
                max_bytes=MAX_BYTES,
                bearer_token_file=token,
            )
            said = _object(answer.body)
            items += [item for item in said.get("items") or [] if isinstance(item, dict)]
            more = str((said.get("metadata") or {}).get("continue") or "")
            if not more or len(items) > MAX_TARGETS:
                return items

    def _selected(self, role: str) -> Iterator[tuple[str, str]]:
        for selector in self.selectors:
            if selector.role == role:
                yield from (
                    (name, text)
                    for name, text in (("labelSelector", selector.label), ("fieldSelector", selector.field))
                    if text
                )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CollectError(f"Kubernetes's answer is no JSON: {error}", reason="discovery") from None
    if not isinstance(said, dict):
        raise CollectError("Kubernetes's answer is no list of objects", reason="discovery")
    return said


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    about = item.get("metadata") or {}
    return str(about.get("namespace", "")), str(about.get("name", ""))
