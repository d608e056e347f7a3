"""A tile's band and score belong to the very line that it draws, however many services it is made of."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from watchkeeper.app.api.signal import DERIVED, Signal, draw
from watchkeeper.model import Labels
from watchkeeper.promql import RangeMatrix

NAN = float("nan")
TIMES = np.array([0, 15_000], dtype=np.int64)
HOST: Labels = (("__name__", "cpu_usage"), ("instance", "vm"))
SHOP: Labels = (("__name__", "cpu_usage"), ("instance", "shop"))


def matrix(rows: dict[Labels, list[float]]) -> RangeMatrix:
    values = np.array(list(rows.values()), dtype=float).reshape(len(rows), len(TIMES))
    return RangeMatrix(series=tuple(rows), times=TIMES, values=values, present=~np.isnan(values))


def derived(name: str, rows: dict[Labels, list[float]]) -> RangeMatrix:
    """As the engine writes it: the metric's name becomes a label."""
    return matrix(
        {
            tuple(sorted({**dict(labels), "__name__": f"watchkeeper_{name}", "metric": "cpu_usage"}.items())): values
            for labels, values in rows.items()
        }
    )


def parts(**rows: dict[Labels, list[float]]) -> dict[str, RangeMatrix]:
    return {part: derived(part, rows.get(part, {})) for part in DERIVED}


def signal(fold: Literal["max", "sum", "min"], unit: str = "ratio") -> Signal:
    return Signal("cpu_usage", fold, unit, "host_or_node_exporter")


def test_the_band_of_an_idle_service_is_not_shown_beside_the_value_of_a_busy_host() -> None:
    found = draw(
        signal("max"),
        matrix({HOST: [0.9, 0.99], SHOP: [0.01, 0.02]}),
        parts(expected_lower={SHOP: [0.0, 0.0]}, expected_upper={SHOP: [0.04, 0.04]}, anomaly_score={SHOP: [0.3, 0.3]}),
    )
    assert found.newest() == {"value": 0.99, "score": None, "expected": None, "lower": None, "upper": None}
    assert found.band() == []


def test_the_worst_series_of_each_moment_brings_its_own_band_and_score() -> None:
    found = draw(
        signal("max"),
        matrix({HOST: [0.9, 0.1], SHOP: [0.2, 0.3]}),
        parts(
            expected_lower={HOST: [0.5, 0.5], SHOP: [0.1, 0.1]},
            expected_upper={HOST: [1.2, 1.2], SHOP: [0.4, 0.4]},
            anomaly_score={HOST: [0.1, 0.9], SHOP: [0.2, 0.2]},
        ),
    )
    assert found.value.tolist() == [0.9, 0.3]
    assert found.band() == [[0, 0.5, 1.0], [15_000, 0.1, 0.4]]
    assert found.newest()["score"] == 0.2


def test_where_less_is_worse_the_least_is_shown() -> None:
    found = draw(signal("min"), matrix({HOST: [NAN, 0.9], SHOP: [0.5, 0.4]}), parts(expected={SHOP: [0.5, 0.5]}))
    assert found.value.tolist() == [0.5, 0.4]
    assert found.newest()["expected"] == 0.5


def test_a_sum_has_a_band_only_when_every_part_has_one() -> None:
    found = draw(
        signal("sum", "bytes_per_second"),
        matrix({HOST: [100.0, 100.0], SHOP: [NAN, 7.0]}),
        parts(
            expected_lower={HOST: [90.0, 90.0]}, expected_upper={HOST: [110.0, 110.0]}, anomaly_score={HOST: [0.1, 0.2]}
        ),
    )
    assert found.value.tolist() == [100.0, 107.0]
    assert found.band() == [[0, 90.0, 110.0]]
    assert found.newest() == {"value": 107.0, "score": 0.2, "expected": None, "lower": None, "upper": None}


@pytest.mark.parametrize("fold", ["max", "min", "sum"])
def test_a_moment_without_any_value_is_a_gap(fold: Literal["max", "sum", "min"]) -> None:
    found = draw(signal(fold), matrix({HOST: [NAN, 0.5]}), parts())
    assert np.isnan(found.value[0])
    assert found.value[1] == 0.5


@pytest.mark.parametrize("fold", ["max", "min", "sum"])
def test_without_a_source_there_is_nothing(fold: Literal["max", "sum", "min"]) -> None:
    found = draw(signal(fold), matrix({}), parts())
    assert len(found.times) == 0
    assert set(found.newest().values()) == {None}
    assert found.band() == []
