"""A cluster read by the official client from a double of its API: kube-state-metrics' names, events told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support import cluster
from support.targets import Target, target

from collectors.kubernetes import Kubernetes
from collectors.kubernetes_readings import quantity
from rules import load, pack_paths
from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.errors import CollectError
from watchkeeper.model import is_stale
from watchkeeper.model.log import SEVERITIES
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[Target]:
    async with target() as made:
        cluster.put(made)
        yield made


async def collect(part: Kubernetes) -> tuple[dict[tuple[str, ...], float], Any]:
    """Value by name and label values (without the target's own labels), and the rest."""
    outbound = Outbound(allow_private=True)
    found = await part.collect(NOON, outbound)
    await outbound.aclose()
    (tick,) = found.ticks
    values = {}
    for series, value, stale in zip(tick.layout.series, tick.values.tolist(), is_stale(tick.values), strict=True):
        if not stale:
            own = {key: text for key, text in series if key not in ("__name__", "job", "instance")}
            values[(dict(series)["__name__"], *own.values())] = value
    return values, found


def of(server: Target, **options: Any) -> Kubernetes:
    return Kubernetes(name="k8s", api_server=server.url("").rstrip("/"), **options)


async def test_nodes_pods_deployments_and_claims_have_the_names_of_kube_state_metrics(server: Target) -> None:
    values, _ = await collect(of(server))
    assert values[("kube_node_status_condition", "Ready", "n1", "true")] == 1
    assert values[("kube_node_spec_unschedulable", "n1")] == 1
    assert values[("kube_node_status_capacity", "n1", "memory", "byte")] == 16 * 2**30
    assert values[("kube_node_status_allocatable", "n1", "cpu", "core")] == 3.8
    assert values[("kube_node_status_capacity", "n1", "ephemeral_storage", "byte")] == 100 * 2**30
    assert values[("kube_pod_info", "ReplicaSet", "web-7f", "shop", "n1", "web-1")] == 1
    assert values[("kube_pod_status_phase", "shop", "Pending", "web-2")] == 1
    assert values[("kube_pod_status_phase", "shop", "Running", "web-2")] == 0
    assert values[("kube_pod_status_ready", "false", "shop", "web-1")] == 1
    assert values[("kube_pod_container_status_restarts_total", "app", "shop", "web-1")] == 7
    waiting = ("kube_pod_container_status_waiting_reason", "app", "shop", "web-1", "CrashLoopBackOff")
    ended = ("kube_pod_container_status_last_terminated_reason", "app", "shop", "web-1", "OOMKilled")
    assert values[waiting] == values[ended] == 1
    assert values[("kube_pod_container_resource_limits", "app", "shop", "web-1", "cpu", "core")] == 0.5
    assert values[("kube_pod_container_resource_requests", "app", "shop", "web-1", "memory", "byte")] == 128 * 2**20
    assert values[("kube_deployment_spec_replicas", "web", "shop")] == 3
    assert values[("kube_deployment_status_replicas_available", "web", "shop")] == 1
    assert values[("kube_persistentvolumeclaim_status_phase", "shop", "data", "Bound")] == 1
    assert values[("kube_persistentvolumeclaim_resource_requests_storage_bytes", "shop", "data")] == 10 * 2**30


async def test_what_nodes_and_containers_use_is_read_where_there_is_a_metrics_server(server: Target) -> None:
    values, _ = await collect(of(server))
    assert values[("watchkeeper_kubernetes_node_usage", "n1", "cpu", "core")] == 0.95
    assert values[("watchkeeper_kubernetes_node_usage", "n1", "memory", "byte")] == 6 * 2**30
    assert values[("watchkeeper_kubernetes_container_usage", "app", "shop", "web-1", "cpu", "core")] == 0.125
    for path in (cluster.USED_BY_NODES, cluster.USED_BY_PODS):
        del server.pages[f"{path}?limit=500"]
    values, found = await collect(of(server))
    assert values[("watchkeeper_kubernetes_listed", "nodemetrics")] == 0
    assert not any(name.endswith("_usage") for name, *_ in values)
    assert found.services


async def test_every_metric_of_the_kind_is_seen(server: Target) -> None:
    values, _ = await collect(of(server))
    assert {one.name for one in shipped()["kubernetes"].metrics} <= {name for name, *_ in values}


async def test_an_event_is_a_log_line_once_and_again_when_it_comes_again(server: Target) -> None:
    part = of(server)
    cluster.put(server, events=[cluster.event("old")])
    assert (await collect(part))[1].logs == []
    cluster.put(server, events=[cluster.event("old"), cluster.event("new", lastTimestamp="2026-11-22T11:59:58Z")])
    values, found = await collect(part)
    (batch,) = found.logs
    assert batch.texts() == ["BackOff Pod/shop/web-1: Back-off restarting failed container"]
    assert [SEVERITIES[code] for code in batch.severity] == ["warning"]
    assert batch.times.tolist() == [round(NOON.timestamp() * 1000) - 2000]
    assert dict(batch.labels)["namespace"] == "shop"
    assert values[("watchkeeper_kubernetes_events_total", "Warning")] == 1
    assert (await collect(part))[1].logs == []
    cluster.put(server, events=[cluster.event("old", 2)])
    assert [len(batch) for batch in (await collect(part))[1].logs] == [1]


async def test_a_resource_that_may_not_be_listed_is_said_and_the_rest_comes(server: Target, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    del server.pages["/api/v1/nodes?limit=500"]
    values, _ = await collect(of(server, bearer_token_file=str(tmp_path / "token")))
    assert values[("watchkeeper_kubernetes_listed", "node")] == 0
    assert values[("watchkeeper_kubernetes_listed", "pod")] == 1
    assert all(b"authorization: bearer t0ken" in head.lower() for _, _, head in server.requests)
    del server.pages["/api/v1/pods?limit=500"]
    with pytest.raises(CollectError, match="status 404"):
        await collect(of(server))


async def test_an_object_of_another_form_is_an_error_with_its_reason(server: Target) -> None:
    cluster.put(server, pods=[{"metadata": {"name": "x"}, "status": {"containerStatuses": ["no object"]}}])
    with pytest.raises(CollectError) as failure:
        await collect(of(server))
    assert failure.value.reason == "parse"


@pytest.mark.parametrize(("text", "value"), [("500m", 0.5), ("1Gi", 2**30), ("2", 2.0), ("1e3", 1000.0), ("5M", 5e6)])
def test_quantities_are_cores_and_bytes(text: str, value: float) -> None:
    assert quantity(text) == value


def test_the_packs_alerts_ask_for_what_is_read() -> None:
    assert {rule.name for _, rule in load(pack_paths(["kubernetes"])).alert_rules()} >= {
        "KubePodNotReady", "KubePodCrashLooping", "KubeContainerOomKilled", "KubeDeploymentReplicasShort",
        "KubeNodeNotReady", "KubePodPending", "KubeVolumeFillingUp",
    }  # fmt: skip
