"""Objects of Kubernetes as groups of targets, with the labels that Prometheus gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .scrape_discovery import Group, join

Object = Mapping[str, Any]
Key = tuple[str, str]  #: namespace, name
PREFIX = "__meta_kubernetes_"
#: Which address of a node is taken, the first that it has.
ADDRESSES = ("InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname")
SERVICE = "kubernetes.io/service-name"

_OTHER = re.compile(r"[^a-zA-Z0-9_]")


def _about(item: Object, kind: str) -> dict[str, str]:
    """Labels and annotations of an object, names made into label names."""
    said, found = item.get("metadata") or {}, dict[str, str]()
    for what in ("label", "annotation"):
        for name, value in (said.get(f"{what}s") or {}).items():
            clean = _OTHER.sub("_", str(name))
            found[f"{PREFIX}{kind}_{what}_{clean}"] = str(value)
            found[f"{PREFIX}{kind}_{what}present_{clean}"] = "true"
    return found


def _place(item: Object) -> Key:
    said = item.get("metadata") or {}
    return str(said.get("namespace", "")), str(said.get("name", ""))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def node(item: Object) -> Iterator[Group]:
    """One target: the kubelet."""
    said, name = item.get("status") or {}, _place(item)[1]
    known: dict[str, str] = {}
    for one in said.get("addresses") or []:
        known.setdefault(str(one.get("type")), str(one.get("address")))
    host = next((known[kind] for kind in ADDRESSES if kind in known), "")
    port = ((said.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    if not host:
        return
    labels = {
        "instance": name,
        f"{PREFIX}node_name": name,
        f"{PREFIX}node_provider_id": _text((item.get("spec") or {}).get("providerID")),
        **{f"{PREFIX}node_address_{_OTHER.sub('_', kind)}": address for kind, address in known.items()},
        **_about(item, "node"),
    }
    yield Group((join(host, int(port or 10250)),), labels)


def pod_labels(item: Object) -> dict[str, str]:
    """What is true of a pod, whichever of its ports is looked at."""
    said, spec = item.get("status") or {}, item.get("spec") or {}
    about = item.get("metadata") or {}
    namespace, name = _place(item)
    ready = next((one.get("status") for one in said.get("conditions") or [] if one.get("type") == "Ready"), "unknown")
    owner: Object = next((one for one in about.get("ownerReferences") or [] if one.get("controller")), {})
    return {
        f"{PREFIX}namespace": namespace,
        f"{PREFIX}pod_name": name,
        f"{PREFIX}pod_ip": _text(said.get("podIP")),
        f"{PREFIX}pod_ready": str(ready).lower(),
        f"{PREFIX}pod_phase": _text(said.get("phase")),
        f"{PREFIX}pod_node_name": _text(spec.get("nodeName")),
        f"{PREFIX}pod_host_ip": _text(said.get("hostIP")),
        f"{PREFIX}pod_uid": _text(about.get("uid")),
        f"{PREFIX}pod_controller_kind": _text(owner.get("kind")),
        f"{PREFIX}pod_controller_name": _text(owner.get("name")),
        **_about(item, "pod"),
    }


def _containers(item: Object) -> Iterator[tuple[Object, dict[str, str]]]:
    """Each container with its labels, those that prepare the pod last."""
    spec, said = item.get("spec") or {}, item.get("status") or {}
    for key, states, first in (
        ("containers", "containerStatuses", "false"),
        ("initContainers", "initContainerStatuses", "true"),
    ):
        ids = {one.get("name"): one.get("containerID") for one in said.get(states) or []}
        for one in spec.get(key) or []:
            yield (
                one,
                {
                    f"{PREFIX}pod_container_name": _text(one.get("name")),
                    f"{PREFIX}pod_container_id": _text(ids.get(one.get("name"))),
                    f"{PREFIX}pod_container_image": _text(one.get("image")),
                    f"{PREFIX}pod_container_init": first,
                },
            )


def _port_labels(port: Object) -> dict[str, str]:
    return {
        f"{PREFIX}pod_container_port_name": _text(port.get("name")),
        f"{PREFIX}pod_container_port_number": _text(port.get("containerPort")),
        f"{PREFIX}pod_container_port_protocol": _text(port.get("protocol") or "TCP"),
    }


def pod(item: Object) -> Iterator[Group]:
    """One target for each port of each container; a container without ports is one without a port."""
    address = _text((item.get("status") or {}).get("podIP"))
    if not address:
        return
    whole = pod_labels(item)
    for container, labels in _containers(item):
        ports = container.get("ports") or []
        if not ports:
            yield Group((address,), {**whole, **labels})
        for port in ports:
            yield Group((join(address, int(port["containerPort"])),), {**whole, **labels, **_port_labels(port)})


def _service_labels(item: Object) -> dict[str, str]:
    return {f"{PREFIX}service_name": _place(item)[1], **_about(item, "service")}


def service(item: Object) -> Iterator[Group]:
    """One target for each port, by the service's name in the cluster."""
    namespace, name = _place(item)
    spec = item.get("spec") or {}
    labels = {
        f"{PREFIX}namespace": namespace,
        f"{PREFIX}service_type": _text(spec.get("type")),
        **_service_labels(item),
    }
    if spec.get("type") == "ExternalName":
        labels[f"{PREFIX}service_external_name"] = _text(spec.get("externalName"))
    else:
        labels[f"{PREFIX}service_cluster_ip"] = _text(spec.get("clusterIP"))
    for port in spec.get("ports") or []:
        more = {
            f"{PREFIX}service_port_name": _text(port.get("name")),
            f"{PREFIX}service_port_number": _text(port.get("port")),
            f"{PREFIX}service_port_protocol": _text(port.get("protocol") or "TCP"),
        }
        yield Group((join(f"{name}.{namespace}.svc", int(port["port"])),), {**labels, **more})


def pods_by_name(items: list[dict[str, Any]]) -> dict[Key, Object]:
    return {_place(item): item for item in items}


def endpoints(item: Object, services: Mapping[Key, Object], pods: Mapping[Key, Object]) -> Iterator[Group]:
    """One target for each address and port, with what is known of the service and of the pod behind it."""
    place = _place(item)
    whole = {
        f"{PREFIX}namespace": place[0],
        f"{PREFIX}endpoints_name": place[1],
        **_about(item, "endpoints"),
        **(_service_labels(services[place]) if place in services else {}),
    }
    rows = []
    for subset in item.get("subsets") or []:
        for port in subset.get("ports") or []:
            for key, ready in (("addresses", "true"), ("notReadyAddresses", "false")):
                for one in subset.get(key) or []:
                    labels = {
                        f"{PREFIX}endpoint_port_name": _text(port.get("name")),
                        f"{PREFIX}endpoint_port_protocol": _text(port.get("protocol") or "TCP"),
                        f"{PREFIX}endpoint_ready": ready,
                        f"{PREFIX}endpoint_hostname": _text(one.get("hostname")),
                        f"{PREFIX}endpoint_node_name": _text(one.get("nodeName")),
                        **_reference(one, "endpoint"),
                    }
                    rows.append((_text(one.get("ip")), int(port["port"]), labels, one.get("targetRef") or {}))
    yield from _with_pods(rows, whole, place[0], pods)


def slices(item: Object, services: Mapping[Key, Object], pods: Mapping[Key, Object]) -> Iterator[Group]:
    """As ``endpoints``, from the objects that have taken their place."""
    namespace, name = _place(item)
    owner = (namespace, _text(((item.get("metadata") or {}).get("labels") or {}).get(SERVICE)))
    kind = _text(item.get("addressType"))
    whole = {
        f"{PREFIX}namespace": namespace,
        f"{PREFIX}endpointslice_name": name,
        f"{PREFIX}endpointslice_address_type": kind,
        **_about(item, "endpointslice"),
        **(_service_labels(services[owner]) if owner in services else {}),
    }
    rows = []
    for port in [port for port in item.get("ports") or [] if port.get("port") is not None]:
        for one in item.get("endpoints") or []:
            conditions = one.get("conditions") or {}
            labels = {
                f"{PREFIX}endpointslice_port": _text(port["port"]),
                f"{PREFIX}endpointslice_port_name": _text(port.get("name")),
                f"{PREFIX}endpointslice_port_protocol": _text(port.get("protocol") or "TCP"),
                f"{PREFIX}endpointslice_endpoint_hostname": _text(one.get("hostname")),
                f"{PREFIX}endpointslice_endpoint_node_name": _text(one.get("nodeName")),
                **{
                    f"{PREFIX}endpointslice_endpoint_conditions_{name}": str(conditions[name]).lower()
                    for name in ("ready", "serving", "terminating")
                    if conditions.get(name) is not None
                },
                **_reference(one, "endpointslice"),
            }
            rows += [
                (str(ip), int(port["port"]), labels, one.get("targetRef") or {}) for ip in one.get("addresses") or []
            ]
    yield from _with_pods(rows, whole, namespace, pods)


def _reference(one: Object, kind: str) -> dict[str, str]:
    target = one.get("targetRef") or {}
    return {
        f"{PREFIX}{kind}_address_target_kind": _text(target.get("kind")),
        f"{PREFIX}{kind}_address_target_name": _text(target.get("name")),
    }


def _with_pods(
    rows: list[tuple[str, int, dict[str, str], Object]],
    whole: dict[str, str],
    namespace: str,
    pods: Mapping[Key, Object],
) -> Iterator[Group]:
    """The rows as targets; then what other ports the pods behind them have."""
    seen: dict[Key, set[int]] = {}
    for ip, number, labels, target in rows:
        behind = (str(target.get("namespace") or namespace), _text(target.get("name")))
        found = pods.get(behind) if target.get("kind") == "Pod" else None
        if found is not None:
            seen.setdefault(behind, set()).add(number)
            labels = {**labels, **pod_labels(found), **_container_of(found, number)}
        yield Group((join(ip, number),), {**whole, **labels})
    for behind, numbers in seen.items():
        for group in pod(pods[behind]):
            port = group.labels.get(f"{PREFIX}pod_container_port_number", "")
            if port and int(port) not in numbers:
                yield Group(group.targets, {**whole, **group.labels})


def _container_of(item: Object, number: int) -> dict[str, str]:
    for container, labels in _containers(item):
        for port in container.get("ports") or []:
            if port.get("containerPort") == number:
                return {**labels, **_port_labels(port)}
    return {}
