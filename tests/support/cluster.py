"""A small cluster as the Kubernetes API lists it, as pages of ``support.targets``."""

from __future__ import annotations

import json
from typing import Any

from support.targets import Target, answer

USED_BY_NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
USED_BY_PODS = "/apis/metrics.k8s.io/v1beta1/pods"
ITEMS: dict[str, list[dict[str, Any]]] = {
    "/api/v1/nodes": [
        {
            "metadata": {"name": "n1"},
            "spec": {"unschedulable": True},
            "status": {
                "nodeInfo": {"kubeletVersion": "v1.33.2", "osImage": "Debian 12", "kernelVersion": "6.1"},
                "capacity": {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"},
                "allocatable": {"cpu": "3800m", "memory": "15Gi"},
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}],
            },
        }
    ],
    "/api/v1/pods": [
        {
            "metadata": {
                "name": "web-1",
                "namespace": "shop",
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7f", "controller": True}],
            },
            "spec": {
                "nodeName": "n1",
                "containers": [
                    {
                        "name": "app",
                        "resources": {
                            "limits": {"cpu": "500m", "memory": "256Mi"},
                            "requests": {"cpu": "100m", "memory": "128Mi"},
                        },
                    }
                ],
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [
                    {
                        "name": "app",
                        "ready": False,
                        "restartCount": 7,
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-11-22T11:59:30Z"}},
                    }
                ],
            },
        },
        {"metadata": {"name": "web-2", "namespace": "shop"}, "spec": {}, "status": {"phase": "Pending"}},
    ],
    "/apis/apps/v1/deployments": [
        {
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "generation": 4,
                "annotations": {"watchkeeper.io/owner": "lin@example.com", "watchkeeper.io/depends-on": "db"},
            },
            "spec": {
                "replicas": 3,
                "template": {
                    "spec": {
                        "containers": [{"name": "app", "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}}}]
                    }
                },
            },
            "status": {"replicas": 2, "readyReplicas": 1, "availableReplicas": 1, "observedGeneration": 4},
        }
    ],
    "/apis/apps/v1/statefulsets": [
        {
            "metadata": {"name": "db", "namespace": "shop", "labels": {"team": "data"}},
            "spec": {"template": {"spec": {"containers": [{"name": "mysql"}, {"name": "exporter"}]}}},
            "status": {"replicas": 1, "readyReplicas": 1},
        }
    ],
    "/api/v1/persistentvolumeclaims": [
        {
            "metadata": {"name": "data", "namespace": "shop"},
            "spec": {"resources": {"requests": {"storage": "10Gi"}}},
            "status": {"phase": "Bound"},
        }
    ],
    "/api/v1/events": [],
    USED_BY_NODES: [{"metadata": {"name": "n1"}, "usage": {"cpu": "950m", "memory": "6Gi"}}],
    USED_BY_PODS: [
        {
            "metadata": {"name": "web-1", "namespace": "shop"},
            "containers": [{"name": "app", "usage": {"cpu": "125000000n", "memory": "64Mi"}}],
        }
    ],
}


def event(name: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off restarting failed container",
        "count": count,
        "lastTimestamp": "2026-11-22T11:59:59Z",
        **more,
    }


def put(server: Target, prefix: str = "", **changed: list[dict[str, Any]]) -> None:
    """Serve the cluster's lists below a prefix; ``events=[...]`` and the like take the place of a list."""
    for path, items in ITEMS.items():
        name = "" if path in (USED_BY_NODES, USED_BY_PODS) else path.rpartition("/")[2]
        body = {"kind": "List", "metadata": {}, "items": changed.get(name, items)}
        whole = answer(json.dumps(body).encode()).replace(b"text/plain; version=0.0.4", b"application/json")
        server.pages[f"{prefix}{path}?limit=500"] = whole
