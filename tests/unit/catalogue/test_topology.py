"""Who depends on whom in the end, in which layer, and on what everything hangs."""

from __future__ import annotations

from analytics.topology import dependents, layers, reached, single_points
from watchkeeper.model import Edge, Service

#: web and app both call api, which calls db and cache; db and its copy call each other.
EDGES = [
    Edge("web", "api"),
    Edge("app", "api"),
    Edge("api", "db"),
    Edge("api", "cache"),
    Edge("db", "copy"),
    Edge("copy", "db"),
]
NAMES = ["web", "app", "api", "db", "cache", "copy"]


def test_dependence_reaches_through_others_and_through_cycles() -> None:
    assert reached("web", EDGES) == {"api", "db", "cache", "copy"}
    assert reached("db", EDGES) == {"copy", "db"}
    assert dependents(EDGES)["db"] == {"web", "app", "api", "copy"}
    assert "web" not in dependents(EDGES)


def test_callers_stand_above_what_they_call() -> None:
    found = layers(NAMES, EDGES)
    assert (found["web"], found["app"], found["api"]) == (0, 0, 1)
    assert found["db"] == found["cache"] == 2
    assert found["copy"] == 3


def test_a_graph_that_is_one_cycle_has_layers_too() -> None:
    assert set(layers(["a", "b"], [Edge("a", "b"), Edge("b", "a")])) == {"a", "b"}


def test_a_single_point_runs_once_and_is_needed_and_unknown_is_not_single() -> None:
    services = [
        Service(name="web", replicas=1),
        Service(name="api", replicas=3),
        Service(name="db", addresses=("10.0.0.1:3306",)),
        Service(name="cache"),
        Service(name="copy", replicas=0),
    ]
    assert single_points(services, EDGES) == {"db": ["api", "app", "copy", "web"]}
