"""Targets from the API of Kubernetes, by listing: nodes, pods, services, endpoints and endpoint slices.

Labels are those of Prometheus's ``kubernetes_sd_configs``. Prometheus watches; a list every ``refresh_interval`` needs
no open connection and the same rights but one (``list`` without ``watch``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .kubernetes_api import KubernetesApi, own_namespace
from .scrape_discovery import MAX_BYTES, MAX_TARGETS, Group
from .scrape_kubernetes_labels import endpoints, node, pods_by_name, service, slices
from .scrape_kubernetes_labels import pod as pod_groups

Role = Literal["node", "pod", "service", "endpoints", "endpointslice"]


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
    cert_file: str = ""
    key_file: str = ""


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

    async def look(self, _outbound: Outbound, base: Path) -> list[Group]:
        """Raises CollectError: what was known stays."""
        api = KubernetesApi(
            server=self.api_server,
            token_file=_file(base, self.bearer_token_file),
            ca_file=_file(base, self.tls_config.ca_file),
            certificate=_file(base, self.tls_config.cert_file),
            key=_file(base, self.tls_config.key_file),
            max_bytes=MAX_BYTES,
        )
        found: list[Group] = []
        for namespace in self._spaces():
            items = await self._list(api, self.role, namespace)
            if self.role in ("endpoints", "endpointslice"):
                pods = pods_by_name(await self._list(api, "pod", namespace))
                services = {_key(one): one for one in await self._list(api, "service", namespace)}
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
        names = [*self.namespaces.names, *([own_namespace()] if self.namespaces.own_namespace else [])]
        return names or [""]

    async def _list(self, api: KubernetesApi, role: str, namespace: str) -> list[dict[str, Any]]:
        chosen = [one for one in self.selectors if one.role == role]
        label, field_ = (
            ",".join(getattr(one, key) for one in chosen if getattr(one, key)) for key in ("label", "field")
        )
        return await api.listed(role, namespace, label=label, field=field_)


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    about = item.get("metadata") or {}
    return str(about.get("namespace", "")), str(about.get("name", ""))


def _file(base: Path, path: str) -> str:
    return str(base / path) if path else ""
