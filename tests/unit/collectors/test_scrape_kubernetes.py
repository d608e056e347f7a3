"""Kubernetes discovery by contract: lists as the API answers them, labels as the documentation names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from support.targets import TRUST, Target, answer, target

from collectors.scrape_discovery import Group
from collectors.scrape_kubernetes import KubernetesSd
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

META = "__meta_kubernetes_"

POD = {
    "metadata": {
        "name": "web-1", "namespace": "shop", "uid": "u1", "labels": {"app.kubernetes.io/name": "web"},
        "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True}],
    },
    "spec": {
        "nodeName": "n1",
        "containers": [
            {"name": "app", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                                                       {"name": "metrics", "containerPort": 9090, "protocol": "TCP"}]},
            {"name": "side", "image": "side:1"},
        ],
        "initContainers": [{"name": "init", "image": "init:1"}],
    },
    "status": {
        "podIP": "10.1.0.5", "hostIP": "10.0.0.1", "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "app", "containerID": "containerd://1"}],
    },
}  # fmt: skip
WAITING = {"metadata": {"name": "web-2", "namespace": "shop"}, "spec": {"containers": [{"name": "app"}]}, "status": {}}
SERVICE = {
    "metadata": {"name": "web", "namespace": "shop", "labels": {"tier": "front"}},
    "spec": {"type": "ClusterIP", "clusterIP": "10.2.0.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
}
NODE = {
    "metadata": {"name": "n1", "labels": {"zone": "a"}},
    "spec": {"providerID": "aws:///i-1"},
    "status": {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
}
BEHIND = {"kind": "Pod", "name": "web-1", "namespace": "shop"}
ENDPOINTS = {
    "metadata": {"name": "web", "namespace": "shop"},
    "subsets": [
        {
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "addresses": [{"ip": "10.1.0.5", "nodeName": "n1", "targetRef": BEHIND}],
            "notReadyAddresses": [{"ip": "10.1.0.6"}],
        }
    ],
}
SLICE = {
    "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["10.1.0.5"], "conditions": {"ready": True}, "targetRef": BEHIND}],
}


def listed(*items: dict[str, Any], more: str = "") -> bytes:
    page = answer(json.dumps({"kind": "List", "metadata": {"continue": more}, "items": items}).encode())
    return page.replace(b"text/plain; version=0.0.4", b"application/json")


def cluster(server: Target) -> None:
    space = "?limit=500"
    server.pages |= {
        f"/api/v1/nodes{space}": listed(NODE),
        f"/api/v1/pods{space}": listed(POD, more="next"),
        f"/api/v1/pods{space}&continue=next": listed(WAITING),
        f"/api/v1/services{space}": listed(SERVICE),
        f"/api/v1/endpoints{space}": listed(ENDPOINTS),
        f"/apis/discovery.k8s.io/v1/endpointslices{space}": listed(SLICE),
        f"/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb{space.replace('?', '&')}": listed(POD),
    }


async def look(server: Target, **keys: Any) -> list[Group]:
    client = Outbound(allow_private=True, verify=TRUST)
    try:
        part = TypeAdapter(KubernetesSd).validate_python({"api_server": f"http://127.0.0.1:{server.port}", **keys})
        return await part.look(client, Path())
    finally:
        await client.aclose()


def short(group: Group) -> dict[str, str]:
    return {name.removeprefix(META): value for name, value in group.labels.items() if value}


async def test_pods_give_a_target_for_each_port_and_each_container_without() -> None:
    async with target() as server:
        cluster(server)
        found = await look(server, role="pod")
    assert [group.targets for group in found] == [("10.1.0.5:8080",), ("10.1.0.5:9090",), ("10.1.0.5",), ("10.1.0.5",)]
    assert short(found[1]) == {
        "namespace": "shop", "pod_name": "web-1", "pod_ip": "10.1.0.5", "pod_ready": "true", "pod_phase": "Running",
        "pod_node_name": "n1", "pod_host_ip": "10.0.0.1", "pod_uid": "u1", "pod_controller_kind": "ReplicaSet",
        "pod_controller_name": "web", "pod_label_app_kubernetes_io_name": "web",
        "pod_labelpresent_app_kubernetes_io_name": "true", "pod_annotation_prometheus_io_scrape": "true",
        "pod_annotationpresent_prometheus_io_scrape": "true", "pod_container_name": "app",
        "pod_container_id": "containerd://1", "pod_container_image": "web:1", "pod_container_init": "false",
        "pod_container_port_name": "metrics", "pod_container_port_number": "9090", "pod_container_port_protocol": "TCP",
    }  # fmt: skip
    assert short(found[3])["pod_container_init"] == "true"


async def test_a_node_is_its_kubelet() -> None:
    async with target() as server:
        cluster(server)
        (found,) = await look(server, role="node")
    assert found.targets == ("10.0.0.1:10250",)
    assert short(found) == {
        "instance": "n1", "node_name": "n1", "node_provider_id": "aws:///i-1", "node_address_Hostname": "n1",
        "node_address_InternalIP": "10.0.0.1", "node_label_zone": "a", "node_labelpresent_zone": "true",
    }  # fmt: skip


async def test_a_service_is_its_name_in_the_cluster() -> None:
    async with target() as server:
        cluster(server)
        (found,) = await look(server, role="service")
    assert found.targets == ("web.shop.svc:80",)
    assert short(found) == {
        "namespace": "shop", "service_name": "web", "service_type": "ClusterIP", "service_cluster_ip": "10.2.0.1",
        "service_port_name": "http", "service_port_number": "80", "service_port_protocol": "TCP",
        "service_label_tier": "front", "service_labelpresent_tier": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "own"), [("endpoints", "endpoint_port_name"), ("endpointslice", "endpointslice_port_name")]
)
async def test_endpoints_know_their_service_their_pod_and_its_other_ports(role: str, own: str) -> None:
    async with target() as server:
        cluster(server)
        found = await look(server, role=role)
    by_address = {group.targets[0]: short(group) for group in found}
    first = by_address["10.1.0.5:8080"]
    assert (first[own], first["service_name"], first["service_label_tier"]) == ("http", "web", "front")
    assert (first["pod_name"], first["pod_container_port_name"]) == ("web-1", "http")
    other = by_address["10.1.0.5:9090"]
    assert (other["service_name"], other["pod_container_port_name"]) == ("web", "metrics")
    assert own not in other
    if role == "endpoints":
        assert (first["endpoint_ready"], by_address["10.1.0.6:8080"]["endpoint_ready"]) == ("true", "false")
        assert "pod_name" not in by_address["10.1.0.6:8080"]


async def test_namespaces_and_selectors_narrow_what_is_asked_for_and_the_token_goes_along(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    async with target() as server:
        cluster(server)
        found = await look(
            server,
            role="pod",
            namespaces={"names": ["shop"]},
            selectors=[{"role": "pod", "label": "app=web"}],
            bearer_token_file=str(tmp_path / "token"),
        )
        assert b"authorization: bearer t0ken" in server.requests[0][2].lower()
    assert len(found) == 4


async def test_without_the_right_nothing_is_known() -> None:
    async with target() as server:
        with pytest.raises(CollectError, match="status 404"):
            await look(server, role="pod")
        server.pages["/api/v1/pods?limit=500"] = answer(b"[]")
        with pytest.raises(CollectError, match="no list of objects"):
            await look(server, role="pod")


async def test_outside_a_cluster_an_address_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    async with target() as server:
        with pytest.raises(CollectError, match=r"cannot be used|no pod of a cluster"):
            await look(server, role="pod", api_server="")
        with pytest.raises(CollectError, match="no pod of a cluster"):
            await look(server, role="pod", namespaces={"own_namespace": True})
