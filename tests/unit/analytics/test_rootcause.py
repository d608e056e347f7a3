"""Where an incident began."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.deviation import Deviation, deviation
from analytics.rootcause import candidates, deviations_of, rank

RNG = np.random.default_rng(7)
GRAPH = [("front", "shop"), ("shop", "stock"), ("shop", "prices"), ("stock", "database")]


def normal(**levels: float) -> pd.DataFrame:
    """A day of latencies a node around its level."""
    return pd.DataFrame({f"{name}|latency": level * RNG.lognormal(0, 0.05, 288) for name, level in levels.items()})


def incident(**rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame({f"{name}|latency": values for name, values in rows.items()})


USUAL = normal(front=0.3, shop=0.2, stock=0.1, prices=0.05, database=0.02)
DATABASE_SLOW = incident(
    front=[0.3, 0.31, 0.8, 0.82],
    shop=[0.2, 0.21, 0.7, 0.72],
    stock=[0.1, 0.1, 0.6, 0.62],
    prices=[0.05, 0.051, 0.05, 0.05],
    database=[0.02, 0.021, 0.5, 0.52],
)


def test_the_deepest_sick_node_whose_needs_are_well_comes_first() -> None:
    assert rank(USUAL, DATABASE_SLOW, GRAPH)[0] == "database"


def test_what_is_called_explains_no_more_than_it_moved_itself() -> None:
    stock_slow = DATABASE_SLOW.assign(**{"database|latency": [0.02, 0.021, 0.03, 0.031]})
    first, *_ = candidates(deviations_of(USUAL, stock_slow), GRAPH)
    assert first.node == "stock"
    assert first.explained < 0.1
    assert first.suffering == ("shop",)
    assert [(one.metric, one.rising) for one in first.evidence] == [("latency", True)]


def test_a_weak_move_of_another_kind_does_not_outdo_the_strong_one_it_is_to_explain() -> None:
    def moved(node: str, kind: str, strength: float) -> Deviation:
        return Deviation(
            node=node, metric=kind, kind=kind, strength=strength, amount=1, before=0, during=1, rising=True
        )

    for weak, first in ((0.5, "shop"), (0.9, "stock")):
        found = candidates([moved("shop", "errors", 1.0), moved("stock", "failed", weak)], GRAPH)
        assert next(one.node for one in found) == first


def test_a_node_that_was_elsewhere_before_the_incident_is_no_suspect() -> None:
    moved_long_ago = DATABASE_SLOW.assign(**{"prices|latency": [2.0, 2.9, 2.1, 3.1]})
    assert rank(USUAL, moved_long_ago, GRAPH)[0] == "database"


def test_a_node_seen_from_outside_alone_comes_after_one_that_tells_of_itself() -> None:
    usual = USUAL.assign(**{"stock.example_remote|latency": USUAL["stock|latency"]})
    slow = incident(shop=[0.2, 0.2, 0.9, 0.9], stock=[0.1, 0.1, 0.7, 0.7])
    slow = slow.assign(**{"stock.example_remote|latency": [0.1, 0.1, 0.8, 0.8]})
    graph = [*GRAPH, ("shop", "stock.example_remote")]
    assert rank(usual, slow, graph)[0] == "stock"


def test_availability_counts_where_it_falls_and_latency_where_it_rises() -> None:
    flat = np.full(100, 100.0)
    falls = deviation("shop", "availability", "availability", flat, np.array([100.0, 100.0, 91.0]))
    rises = deviation("shop", "availability", "availability", flat - 9.0, np.array([91.0, 100.0, 100.0]))
    faster = deviation("shop", "latency", "latency", np.full(100, 0.2), np.array([0.2, 0.01, 0.01]))
    assert falls is not None
    assert falls.strength > 0.9
    assert not falls.rising
    assert rises is not None
    assert faster is not None
    assert rises.strength == faster.strength == 0


def test_a_long_incident_is_compared_with_the_level_of_normal_times() -> None:
    usual = pd.DataFrame({"a|cpu": RNG.normal(0.3, 0.02, 300), "b|cpu": RNG.normal(0.3, 0.02, 300)})
    long = pd.DataFrame({"a|cpu": RNG.normal(0.3, 0.02, 300), "b|cpu": RNG.normal(0.7, 0.02, 300)})
    assert rank(usual, long) == ["b", "a"]


def test_a_graph_with_cycles_and_unknown_nodes_is_no_trouble() -> None:
    assert rank(USUAL, DATABASE_SLOW, [*GRAPH, ("database", "front"), ("x", "y"), ("shop", "shop")])


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, np.nan, 2.0]])
def test_too_little_is_unknown(values: list[float]) -> None:
    assert deviation("a", "cpu", "cpu", np.ones(50), np.array(values)) is None


@given(
    st.lists(st.floats(0, 1e6) | st.just(float("nan")), max_size=60),
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")) | st.just(float("inf")), max_size=30),
    st.sampled_from(["latency", "availability", "cpu"]),
)
def test_strengths_stay_between_nothing_and_one(usual: list[float], during: list[float], kind: str) -> None:
    found = deviation("a", kind, kind, np.array(usual), np.array(during))
    assert found is None or 0.0 <= found.strength <= 1.0
