"""What kind of quantity a series is: what its source says, what its name promises, and whether the samples agree."""

from __future__ import annotations

import numpy as np
import pytest
from support.matrices import MINUTE_MS, MONDAY_MS, matrix

from detectors import episodes, natures
from detectors.natures import NATURES, Nature, bounds, hint, is_counter
from watchkeeper.model import Scores


def told(samples: list[float], *, said: Nature = "gauge", counter: bool = False) -> str:
    state, nothing = episodes.start(1), np.full((1, 1), np.nan)
    for at, value in enumerate(samples):
        one = matrix([[value]])
        scores = Scores(
            series=one.series, times=one.times, value=nothing, expected=nothing, lower=nothing, upper=nothing,
            detector="test",
        )  # fmt: skip
        episodes.step(state, np.array([value]), scores, MONDAY_MS + at * MINUTE_MS)
    return NATURES[int(natures.told(state, np.array([counter]), (said,))[0])]


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("requests_total", "", True), ("requests_total", "gauge", False), ("context_switches", "counter", True),
        ("latency_count", "histogram", True), ("sessions", "", False), ("queue_sum", "unknown", True),
        ("node_netstat_IpExt_InOctets", "unknown", True), ("node_netstat_Tcp_CurrEstab", "unknown", False),
        ("node_vmstat_pgpgin", "", True), ("node_vmstat_nr_free_pages", "", False),
    ],
)  # fmt: skip
def test_a_declared_type_goes_before_the_name(name: str, declared: str, expected: bool) -> None:
    assert is_counter(name, declared) is expected


def test_name_and_unit_promise_a_share_or_a_percentage() -> None:
    assert [hint("cpu_usage", ""), hint("disk_used_percent", ""), hint("load", "ratio"), hint("load", "percent")] == [
        "ratio", "percentage", "ratio", "percentage",
    ]  # fmt: skip
    assert hint("node_load1", "") == "gauge"


def test_a_promise_holds_as_long_as_the_samples_agree() -> None:
    assert told([0.2, 0.9, 1.0], said="ratio") == "ratio"
    assert told([0.2, 0.9, 3.0], said="ratio") == "gauge"
    assert told([20.0, 90.0], said="percentage") == "percentage"
    assert told([-1.0, 90.0], said="percentage") == "gauge"


def test_mostly_zeros_and_whole_numbers_are_a_sparse_count() -> None:
    assert told([0.0] * 45 + [2.0] + [0.0] * 5) == "sparse_count"
    assert told([0.0] * 20) == "gauge", "too few to know"
    assert told([0.0] * 45 + [2.5] + [0.0] * 5) == "gauge"
    assert told([0.0, 1.0] * 30) == "gauge"
    assert told([0.0] * 50, counter=True) == "counter"


def test_bounds_are_those_of_the_quantity() -> None:
    least, most = bounds(np.arange(len(NATURES)))
    assert dict(zip(NATURES, zip(least.tolist(), most.tolist(), strict=True), strict=True)) == {
        "gauge": (-np.inf, np.inf), "counter": (0.0, np.inf), "ratio": (0.0, 1.0), "percentage": (0.0, 100.0),
        "sparse_count": (0.0, np.inf),
    }  # fmt: skip
