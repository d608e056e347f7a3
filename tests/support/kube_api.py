"""The part of the Kubernetes API that changes things, over real HTTP: versions, conflicts, revisions, owners.

A double, because no API server can run here. What it keeps to is the API's own contract: every write gives a new
``resourceVersion``, a replacement with an old one is a 409, ``generation`` counts changes of the spec alone, and a
deployment's controller keeps a replica set with a revision for every pod template.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.answering import Answering, answering
from support.driven import Driven, silence

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
REPLICASETS = "/apis/apps/v1/namespaces/shop/replicasets"
HPAS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
NODES = "/api/v1/nodes"
REVISION = "deployment.kubernetes.io/revision"


class Cluster:
    """Objects by collection and name. ``before_put`` runs between our reading and our write, as somebody else would."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {DEPLOYMENTS: {}, REPLICASETS: {}, HPAS: {}, NODES: {}}
        self.forbidden: set[str] = set()
        self.before_put: Callable[[], None] = lambda: None
        self.writes, self._version, self._lock = 0, 0, threading.RLock()
        self.url = ""

    def put(self, collection: str, body: dict[str, Any]) -> dict[str, Any]:
        """Written as the API does it, by whomever."""
        with self._lock:
            about, known = body["metadata"], self.objects[collection].get(body["metadata"]["name"])
            self._version += 1
            about["resourceVersion"], about["uid"] = str(self._version), f"uid-{about['name']}"
            if collection != NODES:
                same = known is not None and known["spec"] == body["spec"]
                about["generation"] = (known["metadata"]["generation"] if known else 0) + (not same)
            self.objects[collection][about["name"]] = copy.deepcopy(body)
            if collection == DEPLOYMENTS:
                self._control(self.objects[collection][about["name"]])
            return copy.deepcopy(self.objects[collection][about["name"]])

    def status(self, collection: str, name: str) -> None:
        """A write of the status alone: a new version, the same generation."""
        with self._lock:
            self._version += 1
            self.objects[collection][name]["metadata"]["resourceVersion"] = str(self._version)

    def _control(self, made: dict[str, Any]) -> None:
        """What the deployment's controller does: a replica set for each template, the newest revision on its own."""
        sets = self.objects[REPLICASETS]
        template = copy.deepcopy(made["spec"]["template"])
        bare = json.dumps(template, sort_keys=True)
        found = next((each for each in sets.values() if each["bare"] == bare), None)
        newest = max((int(each["metadata"]["annotations"][REVISION]) for each in sets.values()), default=0)
        if found is None:
            name = f"{made['metadata']['name']}-{len(sets)}"
            template["metadata"]["labels"]["pod-template-hash"] = name
            found = sets[name] = {
                "bare": bare,
                "metadata": {
                    "name": name,
                    "namespace": "shop",
                    "labels": dict(template["metadata"]["labels"]),
                    "annotations": {REVISION: str(newest + 1)},
                    "ownerReferences": [{"uid": made["metadata"]["uid"], "controller": True}],
                },
                "spec": {"template": template},
            }
        elif int(found["metadata"]["annotations"][REVISION]) != newest:
            found["metadata"]["annotations"][REVISION] = str(newest + 1)
        replicas = made["spec"]["replicas"]
        made["status"] = {"readyReplicas": replicas, "observedGeneration": made["metadata"]["generation"]}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        collection, _, name = path.rpartition("/")
        if path in self.forbidden:
            return 403, {"kind": "Status", "reason": "Forbidden"}
        if method == "PUT":
            self.before_put()
        with self._lock:
            if path in self.objects:
                wanted = dict(one.split("=") for one in query["labelSelector"][0].split(",")) if query else {}
                rows = [each for each in self.objects[path].values() if _fits(each, wanted)]
                return 200, {"metadata": {}, "items": rows}
            known = self.objects.get(collection, {}).get(name)
            if known is None:
                return 404, {"kind": "Status", "reason": "NotFound"}
            if method == "GET":
                return 200, known
            sent = json.loads(body)
            if sent["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
                return 409, {"kind": "Status", "reason": "Conflict"}
            self.writes += 1
            return 200, self.put(collection, sent)


def _fits(row: dict[str, Any], wanted: dict[str, str]) -> bool:
    labels = row["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def deployment(image: str = "shop:1", replicas: int = 4) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }


def node(name: str, *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": {"name": name}, "spec": {"podCIDR": "10.0.0.0/24"}, "status": {"conditions": conditions}}


def autoscaler(kind: str = "Deployment", name: str = "web") -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    return {"metadata": {"name": "web-scaler", "namespace": "shop"}, "spec": {"scaleTargetRef": aim}}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """With a deployment of four pods at its second revision, and four nodes."""
    made = Cluster()
    for image in ("shop:1", "shop:2"):
        made.put(DEPLOYMENTS, deployment(image))
    for name in ("n1", "n2", "n3", "n4"):
        made.put(NODES, node(name))

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.body()
            known = self.headers.get("Authorization") == "Bearer right"
            status, found = made.answer(self.command, self.path, body) if known else (401, {"reason": "Unauthorized"})
            self.say(status, json.dumps(found).encode(), **{"Content-Type": "application/json"})

    with answering(Handler) as url:
        made.url = url
        yield made


def target(made: Cluster, **more: Any) -> dict[str, Any]:
    own = {"server": made.url, "token": "right", "namespace": "shop", "object": "web"}
    return {"name": "web", "kind": "kubernetes", **own, **more}


@contextmanager
def driven(folder: Path) -> Iterator[Driven]:
    del folder
    with cluster() as made, silence() as port:
        yield Driven(
            settings=target(made),
            parameters={"count": 5},
            effects=lambda: made.writes,
            hang={"server": f"http://127.0.0.1:{port}", "timeout_seconds": 0.1},
        )
