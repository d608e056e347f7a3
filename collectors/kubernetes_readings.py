"""Objects of the Kubernetes API as readings under the names of kube-state-metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .base import Reading

Object = Mapping[str, Any]
Own = tuple[tuple[str, str], ...]
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
CLAIMS = ("Pending", "Bound", "Lost")
STATES = ("true", "false", "unknown")
#: Resource -> the unit that kube-state-metrics names; other resources are integers.
UNITS = {"cpu": "core", "memory": "byte", "storage": "byte", "ephemeral_storage": "byte"}


@lru_cache(maxsize=4096)
def quantity(text: str) -> float:
    """``500m`` and ``1Gi`` as cores and bytes. Raises ValueError."""
    from kubernetes.utils.quantity import parse_quantity

    read: Callable[[str], Decimal] = parse_quantity
    return float(read(text))


def _place(item: Object, kind: str) -> Own:
    about = item.get("metadata") or {}
    return ("namespace", str(about.get("namespace") or "")), (kind, str(about.get("name") or ""))


def _resources(name: str, own: Own, given: Object | None) -> Iterator[Reading]:
    for resource, amount in (given or {}).items():
        clean = "".join(char if char.isalnum() else "_" for char in str(resource))
        yield name, (*own, ("resource", clean), ("unit", UNITS.get(clean, "integer"))), quantity(str(amount))


def _conditions(name: str, own: Own, given: Any) -> Iterator[Reading]:
    for one in given or []:
        state = str(one.get("status") or "").lower()
        for status in STATES:
            yield name, (*own, ("condition", str(one.get("type"))), ("status", status)), float(state == status)


def node(item: Object) -> Iterator[Reading]:
    """Capacity, conditions and whether pods may be put there."""
    own: Own = (("node", str((item.get("metadata") or {}).get("name") or "")),)
    spec, said = item.get("spec") or {}, item.get("status") or {}
    about = said.get("nodeInfo") or {}
    known = (("kubelet_version", "kubeletVersion"), ("os_image", "osImage"), ("kernel_version", "kernelVersion"))
    yield "kube_node_info", (*own, *((label, str(about.get(key) or "")) for label, key in known)), 1.0
    yield "kube_node_spec_unschedulable", own, float(bool(spec.get("unschedulable")))
    yield from _conditions("kube_node_status_condition", own, said.get("conditions"))
    yield from _resources("kube_node_status_capacity", own, said.get("capacity"))
    yield from _resources("kube_node_status_allocatable", own, said.get("allocatable"))


def pod(item: Object) -> Iterator[Reading]:
    """Phase, readiness, restarts, and what its containers wait for, ended of, ask for and may use."""
    own, spec, said = _place(item, "pod"), item.get("spec") or {}, item.get("status") or {}
    owners = (item.get("metadata") or {}).get("ownerReferences") or []
    owner: Object = next((one for one in owners if one.get("controller")), {})
    made = (("created_by_kind", str(owner.get("kind") or "")), ("created_by_name", str(owner.get("name") or "")))
    yield "kube_pod_info", (*own, ("node", str(spec.get("nodeName") or "")), *made), 1.0
    for phase in PHASES:
        yield "kube_pod_status_phase", (*own, ("phase", phase)), float(said.get("phase") == phase)
    ready = next((one.get("status") for one in said.get("conditions") or [] if one.get("type") == "Ready"), "unknown")
    for state in STATES:
        yield "kube_pod_status_ready", (*own, ("condition", state)), float(str(ready).lower() == state)
    for one in said.get("containerStatuses") or []:
        yield from _container(one, (*own, ("container", str(one.get("name")))))
    for one in spec.get("containers") or []:
        place, given = (*own, ("container", str(one.get("name")))), one.get("resources") or {}
        yield from _resources("kube_pod_container_resource_limits", place, given.get("limits"))
        yield from _resources("kube_pod_container_resource_requests", place, given.get("requests"))


def _container(one: Object, own: Own) -> Iterator[Reading]:
    yield "kube_pod_container_status_restarts_total", own, float(one.get("restartCount") or 0)
    yield "kube_pod_container_status_ready", own, float(bool(one.get("ready")))
    waits = ((one.get("state") or {}).get("waiting") or {}).get("reason")
    if waits:
        yield "kube_pod_container_status_waiting_reason", (*own, ("reason", str(waits))), 1.0
    ended = (one.get("lastState") or {}).get("terminated") or {}
    if ended.get("reason"):
        yield "kube_pod_container_status_last_terminated_reason", (*own, ("reason", str(ended["reason"]))), 1.0
    if ended.get("finishedAt"):
        when = datetime.fromisoformat(str(ended["finishedAt"])).timestamp()
        yield "kube_pod_container_status_last_terminated_timestamp", own, when


def deployment(item: Object) -> Iterator[Reading]:
    """Replicas wanted and there."""
    own, spec, said = _place(item, "deployment"), item.get("spec") or {}, item.get("status") or {}
    wanted = spec.get("replicas")
    yield "kube_deployment_spec_replicas", own, float(1 if wanted is None else wanted)
    for name, key in (
        ("replicas", "replicas"),
        ("replicas_ready", "readyReplicas"),
        ("replicas_available", "availableReplicas"),
        ("replicas_updated", "updatedReplicas"),
        ("observed_generation", "observedGeneration"),
    ):
        yield f"kube_deployment_status_{name}", own, float(said.get(key) or 0)
    about = item.get("metadata") or {}
    yield "kube_deployment_metadata_generation", own, float(about.get("generation") or 0)


def statefulset(item: Object) -> Iterator[Reading]:
    """Replicas wanted and there."""
    own, spec, said = _place(item, "statefulset"), item.get("spec") or {}, item.get("status") or {}
    wanted = spec.get("replicas")
    yield "kube_statefulset_replicas", own, float(1 if wanted is None else wanted)
    for name, key in (("replicas", "replicas"), ("replicas_ready", "readyReplicas")):
        yield f"kube_statefulset_status_{name}", own, float(said.get(key) or 0)


def claim(item: Object) -> Iterator[Reading]:
    """State and size of a claim; how full it is stands on the kubelet's page."""
    own, spec, said = _place(item, "persistentvolumeclaim"), item.get("spec") or {}, item.get("status") or {}
    for phase in CLAIMS:
        yield "kube_persistentvolumeclaim_status_phase", (*own, ("phase", phase)), float(said.get("phase") == phase)
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked:
        yield "kube_persistentvolumeclaim_resource_requests_storage_bytes", own, quantity(str(asked))


def node_usage(item: Object) -> Iterator[Reading]:
    """Cores and bytes that a node uses, by the cluster's metrics server."""
    own: Own = (("node", str((item.get("metadata") or {}).get("name") or "")),)
    yield from _resources("watchkeeper_kubernetes_node_usage", own, item.get("usage"))


def pod_usage(item: Object) -> Iterator[Reading]:
    """The same of each container."""
    own = _place(item, "pod")
    for one in item.get("containers") or []:
        place = (*own, ("container", str(one.get("name"))))
        yield from _resources("watchkeeper_kubernetes_container_usage", place, one.get("usage"))


#: Kind of ``kubernetes_api.CALLS`` -> what is read of each object.
READERS: dict[str, Callable[[Object], Iterator[Reading]]] = {
    "pod": pod,
    "node": node,
    "deployment": deployment,
    "statefulset": statefulset,
    "persistentvolumeclaim": claim,
    "nodemetrics": node_usage,
    "podmetrics": pod_usage,
}
