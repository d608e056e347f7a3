"""What the default detector says of a series hangs on nothing that is scored beside it, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import moving, predictor
from detectors.base import Array
from detectors.ensemble import Ensemble
from detectors.network import SLICE, weights
from detectors.one_thread import one_thread
from watchkeeper.model import Matrix

FALL = np.array([[0.002], [0.01], [1e-5]])


@pytest.mark.parametrize("which", ["begins", "judges"])
def test_what_a_network_says_of_a_point_is_the_same_wherever_it_stands(which: str) -> None:
    one_thread()  # as the detector does: two threads take a product in two
    network = weights().begins if which == "begins" else weights().judges.network
    inputs = np.random.default_rng(3).normal(0.0, 2.0, (network.hidden.shape[1], 1, 4 * SLICE)).astype(np.float32)
    whole = network(inputs)
    for first in (1, 3, 8, 100, 239, SLICE - 1):
        part = network(np.ascontiguousarray(inputs[:, :, first:]))
        np.testing.assert_array_equal(part, whole[:, :, first:])


def in_blocks(sizes: Array, lengths: list[int], unknown: int | None = None) -> tuple[Array, Array]:
    """(what is over the largest before it, the largest at the end) of sizes [3, series, time], in such blocks."""
    rows: moving.Rows = {
        "record": np.zeros(sizes.shape[:2], np.float32),
        "record_start": np.full(sizes.shape[:2], -60.0, np.float32),
    }
    found, at = [], 0
    while at < sizes.shape[2]:
        length = next(one for one in lengths if at + one <= sizes.shape[2] and whole(at, one))
        known = np.arange(sizes.shape[1]) != 1 if at == unknown else None
        block = sizes[:, :, at : at + length]
        over = moving.over_largest(rows, "record", block, FALL, known, predictor.stretch(at, length))
        found.append(over)
        at += length
    return np.concatenate(found, axis=2), rows["record_start"] + rows["record"].astype(np.float64)


def whole(at: int, length: int) -> bool:
    """Whether such a block is in one stretch."""
    return all(predictor.stretch(one, 1).since == predictor.stretch(at, 1).since + one - at
               for one in range(at, at + length))  # fmt: skip


@pytest.mark.parametrize("series", [2, 100])
def test_records_are_the_same_in_blocks_and_column_by_column(series: int) -> None:
    sizes = np.random.default_rng(4).normal(0.0, 3.0, (3, series, 1300)).astype(np.float32)
    one_by_one, last = in_blocks(sizes, [1])
    for lengths in ([512, 384, 256, 126, 128, 1], [37, 5, 1]):
        found, end = in_blocks(sizes, lengths)
        np.testing.assert_array_equal(found, one_by_one)
        np.testing.assert_array_equal(end, last)
    np.testing.assert_array_equal(in_blocks(sizes[:, :2], [1])[0], one_by_one[:, :2])


def test_records_are_over_the_largest_so_far_as_it_has_fallen() -> None:
    sizes = np.random.default_rng(5).normal(0.0, 3.0, (3, 2, 1300)).astype(np.float32)
    found, _ = in_blocks(sizes, [64, 1])
    fallen = np.stack([np.max(sizes[:, :, :at] - FALL[..., None] * np.arange(at, 0, -1), axis=2)
                       for at in range(1, 1300)], axis=2)  # fmt: skip
    np.testing.assert_allclose(found[:, :, 1:], sizes[:, :, 1:] - fallen, atol=1e-4)


def test_a_record_that_nothing_is_known_of_neither_falls_nor_rises() -> None:
    sizes = np.zeros((3, 3, 40), np.float32)
    sizes[:, :, 5] = 7.0
    seen, _ = in_blocks(sizes, [1])
    gap, _ = in_blocks(sizes, [1], unknown=20)
    np.testing.assert_array_equal(gap[:, [0, 2]], seen[:, [0, 2]])
    np.testing.assert_allclose(gap[:, 1, 21:], seen[:, 1, 21:] - FALL, atol=1e-4)


def test_a_series_has_the_same_scores_alone_as_among_others() -> None:
    dice = np.random.default_rng(6)
    values = dice.normal(0.0, 1.0, (90, 2500)) + 5.0 * np.sin(np.arange(2500) / dice.uniform(5, 60, (90, 1)))
    values[:, 1800:1830] += 12.0
    times = 300_000 * np.arange(2500, dtype=np.int64)

    def score(rows: Array) -> Array:
        series = tuple((("row", str(at)),) for at in range(len(rows)))
        found = Ensemble().score(Matrix(series=series, times=times, values=rows, present=np.isfinite(rows)))
        return np.nan_to_num(found.value)

    together = score(values)
    alike = [float((score(values[row : row + 1])[0] == together[row]).mean()) for row in (0, 40, 89)]
    assert min(alike) > 0.97  # the rest: memories in double precision, one in a hundred of which rounds otherwise
