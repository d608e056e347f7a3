"""Changes of a cluster over real HTTP, against a double that keeps the API's contract of versions and revisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.kube_api import DEPLOYMENTS, HPAS, NODES, Cluster, autoscaler, cluster, deployment, node, target
from support.remedies import PLAN, intent_of

from remediation.actions.kubernetes import RESTARTED, Kubernetes
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

KIND, TARGET = Kubernetes(), Target(kind="kubernetes", name="web")


@pytest.fixture
def kube() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def change(kube: Cluster, parameters: dict[str, Any], **options: Any) -> tuple[Reading, dict[str, object]]:
    """Planned and done; the state afterwards, and what leads back."""
    settings = target(kube, **options)
    desired, back = KIND.desired(KIND.read(TARGET, settings), parameters)
    KIND.apply(desired, intent_of(PLAN), settings)
    return KIND.read(TARGET, settings), back


def web(kube: Cluster) -> dict[str, Any]:
    return kube.objects[DEPLOYMENTS]["web"]


def image(kube: Cluster) -> str:
    return str(web(kube)["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_deployment_is_scaled_and_nothing_else_of_it_changes(kube: Cluster) -> None:
    before = web(kube)["spec"]
    reading, back = change(kube, {"count": 6})
    assert (reading.state["replicas"], back) == (6, {"replicas": 4})
    assert web(kube)["spec"] == {**before, "replicas": 6}


def test_a_restart_changes_the_template_once_and_again_only_after_another_change(kube: Cluster) -> None:
    settings = target(kube)
    desired, back = KIND.desired(KIND.read(TARGET, settings), {"restart": True})
    for _ in range(2):
        KIND.apply(desired, intent_of(PLAN), settings)
    assert (kube.writes, desired, back) == (1, {"restarted": "g2"}, {"restarted": ""})
    assert web(kube)["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: "g2"}
    KIND.apply(back, intent_of(PLAN, operation="rollback"), settings)
    assert web(kube)["spec"]["template"]["metadata"]["annotations"] == {}


@pytest.mark.parametrize("revision", [0, 1])
def test_a_rollback_brings_the_old_template_back_and_its_way_back_the_new_one(kube: Cluster, revision: int) -> None:
    reading, back = change(kube, {"revision": revision})
    assert image(kube) == "shop:1"
    assert reading.state["revisions"] == {"2": back["template"], "3": reading.state["template"]}
    KIND.apply(back, intent_of(PLAN, operation="rollback"), target(kube))
    assert image(kube) == "shop:2"


def test_a_revision_that_is_not_kept_is_refused(kube: Cluster) -> None:
    with pytest.raises(ActionError, match="there is no 9; there are 1, 2"):
        change(kube, {"revision": 9})


def test_a_node_is_cordoned_and_opened_again(kube: Cluster) -> None:
    reading, back = change(kube, {"cordon": True}, resource="nodes", object="n2")
    assert (reading.state["unschedulable"], reading.capacity) == (True, {"healthy": 3, "total": 4})
    assert kube.objects[NODES]["n2"]["spec"] == {"podCIDR": "10.0.0.0/24", "unschedulable": True}
    KIND.apply(back, intent_of(PLAN), target(kube, resource="nodes", object="n2"))
    assert KIND.read(TARGET, target(kube, resource="nodes", object="n2")).capacity["healthy"] == 4


def test_a_write_of_the_status_meanwhile_is_tried_again_and_of_the_spec_is_left_alone(kube: Cluster) -> None:
    def status_only() -> None:
        kube.before_put = lambda: None
        kube.status(DEPLOYMENTS, "web")

    def another_size() -> None:
        kube.put(DEPLOYMENTS, deployment("shop:2", replicas=9))

    kube.before_put = status_only
    assert change(kube, {"count": 5})[0].state["replicas"] == 5
    kube.before_put = another_size
    with pytest.raises(ActionError, match="was changed by somebody else meanwhile") as caught:
        change(kube, {"count": 6})
    assert not caught.value.unknown
    assert web(kube)["spec"]["replicas"] == 9


def test_an_autoscaler_over_it_is_a_rival_and_one_over_another_is_not(kube: Cluster) -> None:
    kube.put(HPAS, autoscaler(name="other"))
    assert change(kube, {"count": 5})[0].state["replicas"] == 5
    kube.put(HPAS, autoscaler())
    settings = target(kube)
    reading = KIND.read(TARGET, settings)
    assert "governed by HorizontalPodAutoscaler/web-scaler" in KIND.impact(reading, {"replicas": 6}, settings).problem
    assert KIND.impact(reading, {"restarted": "g9"}, settings).problem == ""
    with pytest.raises(ActionError, match="refused scale: HorizontalPodAutoscaler/web-scaler"):
        KIND.apply({"replicas": 6}, intent_of(PLAN), settings)
    assert web(kube)["spec"]["replicas"] == 5


def test_autoscalers_that_may_not_be_listed_are_not_none(kube: Cluster) -> None:
    kube.forbidden.add(HPAS)
    with pytest.raises(ActionError, match="horizontalpodautoscalers refused GET: 403"):
        KIND.read(TARGET, target(kube))


def test_a_wrong_token_and_a_missing_object_are_told(kube: Cluster) -> None:
    with pytest.raises(ActionError, match="401"):
        KIND.read(TARGET, target(kube, token="wrong"))
    with pytest.raises(ActionError, match="404"):
        KIND.read(TARGET, target(kube, object="nobody"))
    with pytest.raises(ActionError, match="there is no n9; there are n1, n2, n3, n4"):
        KIND.read(TARGET, target(kube, resource="nodes", object="n9"))


@pytest.mark.parametrize(
    ("desired", "direction", "risk", "touched", "healthy"),
    [
        ({"replicas": 4}, "same", RiskClass.A1, 0, 4),
        ({"replicas": 6}, "out", RiskClass.A2, 2, 4),
        ({"replicas": 3}, "in", RiskClass.A3, 1, 3),
        ({"restarted": "g9"}, "restart", RiskClass.A3, 1, 3),
        ({"template": "other"}, "restart", RiskClass.A3, 1, 3),
    ],
)
def test_the_impact_counts_pods(
    kube: Cluster, desired: dict[str, object], direction: str, risk: RiskClass, touched: int, healthy: float
) -> None:
    settings = target(kube)
    found = KIND.impact(KIND.read(TARGET, settings), desired, settings)
    assert (found.direction, found.risk, len(found.touched), found.healthy_after) == (direction, risk, touched, healthy)


@pytest.mark.parametrize(("unavailable", "each"), [("25%", 5), (1, 1), (0, 1), ("10%", 2), ("100%", 20)])
def test_a_rollout_takes_away_as_many_as_the_object_allows(kube: Cluster, unavailable: object, each: int) -> None:
    body = deployment(replicas=20)
    body["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = unavailable
    kube.put(DEPLOYMENTS, body)
    assert KIND.read(TARGET, target(kube)).capacity["at_a_time"] == each


def test_a_paused_rollout_is_not_restarted(kube: Cluster) -> None:
    body = deployment()
    body["spec"]["paused"] = True
    kube.put(DEPLOYMENTS, body)
    settings = target(kube)
    assert KIND.impact(KIND.read(TARGET, settings), {"restarted": "g9"}, settings).problem == "the rollout is paused"


def test_a_node_that_is_not_ready_is_not_counted(kube: Cluster) -> None:
    kube.put(NODES, node("n4", ready=False))
    settings = target(kube, resource="nodes", object="n1")
    found = KIND.impact(KIND.read(TARGET, settings), {"unschedulable": True}, settings)
    assert (found.touched, found.healthy_after, found.total, found.direction) == (("n1",), 2, 4, "in")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"count": 0}, "whole number from 1"),
        ({"count": True}, "whole number"),
        ({"restart": "now"}, "write one of true"),
        ({"cordon": True}, "unknown parameter 'cordon'"),
        ({"count": 5, "restart": True}, "exactly one"),
    ],
)
def test_wrong_parameters_are_refused_with_a_reason(kube: Cluster, parameters: dict[str, object], says: str) -> None:
    with pytest.raises(ActionError, match=says):
        KIND.desired(KIND.read(TARGET, target(kube)), parameters)


def test_floor_and_ceiling_bind_the_effect_itself(kube: Cluster) -> None:
    for count in (1, 9):
        with pytest.raises(ActionError, match="is outside of 2 to 8"):
            KIND.apply({"replicas": count}, intent_of(PLAN), target(kube, floor=2, ceiling=8))
    assert kube.writes == 0


def test_names_cannot_lead_to_another_path(kube: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"remediation\.targets\.web\.object"):
        KIND.read(TARGET, target(kube, object="../secrets/x"))
