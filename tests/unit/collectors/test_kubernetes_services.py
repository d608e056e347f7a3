"""Workloads of a cluster become services: annotations first, then the usual labels; a wrong word harms no other."""

from __future__ import annotations

from typing import Any

from support.cluster import ITEMS

from collectors.kubernetes_services import Workloads
from watchkeeper.model import Service


def workload(name: str, space: str = "shop", labels: dict[str, str] | None = None, **notes: str) -> dict[str, Any]:
    about = {f"watchkeeper.io/{word.replace('_', '-')}": text for word, text in notes.items()}
    return {"metadata": {"name": name, "namespace": space, "annotations": about, "labels": labels or {}}}


def listed(known: Workloads, **kinds: list[dict[str, Any]]) -> list[Service]:
    found = known.read(kinds)
    assert found is not None
    return found


def read(*items: dict[str, Any]) -> dict[str, Service]:
    return {one.name: one for one in listed(Workloads(), deployment=list(items))}


def test_a_deployment_and_a_stateful_set_say_whose_they_are_and_how_many_serve() -> None:
    kinds = {kind: ITEMS[f"/apis/apps/v1/{kind}s"] for kind in ("deployment", "statefulset")}
    web, database = listed(Workloads(), **kinds)
    assert (web.name, web.owner, web.depends_on, web.place) == (
        "web", "lin@example.com", ("db",), "shop/Deployment/web",
    )  # fmt: skip
    assert (web.replicas, web.available, web.limits) == (3, 1, {"cpu": 0.5, "memory": 256 * 2**20})
    assert (database.owner, database.replicas, database.available) == ("data", 1, 1)
    assert database.limits == {}


def test_every_word_is_an_annotation_and_labels_fill_in() -> None:
    one = workload(
        "web", "prod", {"team": "shop", "env": "STAGING"},
        service="checkout", kind="python_api", title="Checkout", tier="core", depends_on="db, cache，queue",
        contacts="lin@example.com; 王工",
    )  # fmt: skip
    one["metadata"]["annotations"]["link.watchkeeper.io/runbook"] = "https://wiki/checkout"
    found = read(one)["checkout"]
    assert (found.kind, found.title, found.tier, found.owner) == ("python_api", "Checkout", "core", "shop")
    assert (found.environment, found.depends_on) == ("STAGING", ("db", "cache", "queue"))
    assert (found.links, found.contacts) == ({"runbook": "https://wiki/checkout"}, ("lin@example.com", "王工"))


def test_a_namespace_named_after_its_environment_is_one() -> None:
    assert read(workload("web", "production"))["web"].environment == "PROD"
    assert read(workload("web", "shop"))["web"].environment == ""


def test_one_name_in_two_namespaces_is_two_services() -> None:
    assert set(read(workload("web", "dev"), workload("web", "prod"), workload("db"))) == {"web.dev", "web.prod", "db"}


def test_a_limit_that_one_container_lacks_is_no_limit() -> None:
    one = workload("web")
    one["spec"] = {"template": {"spec": {"containers": [
        {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}, {"resources": {"limits": {"cpu": "500m"}}},
    ]}}}  # fmt: skip
    assert read(one)["web"].limits == {"cpu": 1.5}


def test_a_word_that_cannot_be_right_is_left_out_and_told_with_its_place() -> None:
    one = workload("web", service="no such/name", depends_on="db bad/one")
    one["metadata"]["annotations"]["link.watchkeeper.io/x"] = "javascript:alert(1)"
    known = Workloads()
    (found,) = listed(known, deployment=[one])
    assert (found.name, found.depends_on, found.links) == ("web", ("db",), {})
    assert [dict(own)["annotation"] for _, own, _ in known.wrong] == [
        "watchkeeper.io/service", "watchkeeper.io/depends-on", "link.watchkeeper.io/x",
    ]  # fmt: skip


def test_what_was_not_listed_is_not_gone() -> None:
    known = Workloads()
    assert known.read({}) is None
    both = listed(known, deployment=[workload("web")], statefulset=[workload("db")])
    assert [one.name for one in both] == ["web", "db"]
    assert [one.name for one in listed(known, deployment=[])] == ["db"]
