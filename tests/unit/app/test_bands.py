"""A chart that is asked again is scored where it left off, and answers as if it had been scored whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.ensemble import Ensemble
from watchkeeper.app.api.bands import PARTS, REMEMBERED, UNSETTLED, Bands
from watchkeeper.model import Matrix, Scores

STEP = 10_000
START = 1_790_000_000_000


class Counting(Ensemble):
    """How many columns the detector has been given."""

    columns = 0

    def update(self, state: Any, column: Matrix) -> tuple[Any, Scores]:
        Counting.columns += len(column.times)
        return super().update(state, column)


def matrix(first: int, last: int, *, seed: int = 7, late: int | None = None, series: int = 2) -> Matrix:
    """Columns ``first`` to ``last`` of one and the same long history; ``late`` is a column that changed afterwards."""
    every = np.random.default_rng(seed).normal(10, 1, size=(series, 2000))
    every[:, 5::17] = np.nan
    if late is not None:
        every[:, late] += 5
    values = every[:, first:last]
    return Matrix(
        series=tuple((("copy", str(index)),) for index in range(series)),
        times=np.arange(first, last, dtype=np.int64) * STEP + START,
        values=values,
        present=~np.isnan(values),
    )


@pytest.fixture
def bands() -> Bands:
    Counting.columns = 0
    return Bands(Counting())


def whole(asked: Matrix) -> dict[str, Any]:
    scores = Ensemble().score(asked)
    return {name: getattr(scores, name) for name in PARTS}


def test_the_first_answer_is_the_detectors_own(bands: Bands) -> None:
    asked = matrix(0, 200)
    found, expected = bands.along("cpu", STEP, asked), whole(asked)
    for name in PARTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


def test_a_growing_window_is_scored_as_one_history_and_old_points_are_not_scored_again(bands: Bands) -> None:
    bands.along("cpu", STEP, matrix(0, 200))
    before = Counting.columns
    found = bands.along("cpu", STEP, matrix(10, 205))
    assert Counting.columns - before == 5 + UNSETTLED
    expected = whole(matrix(0, 205))
    for name in PARTS:
        np.testing.assert_allclose(found[name], expected[name][:, 10:], rtol=1e-4)


def test_the_same_question_twice_gives_the_same_answer(bands: Bands) -> None:
    first, again = (bands.along("cpu", STEP, matrix(0, 100)) for _ in range(2))
    for name in PARTS:
        np.testing.assert_allclose(first[name], again[name], rtol=1e-4)


def test_the_newest_points_may_still_change(bands: Bands) -> None:
    bands.along("cpu", STEP, matrix(0, 200))
    found, expected = bands.along("cpu", STEP, matrix(0, 201, late=199)), whole(matrix(0, 201, late=199))
    for name in PARTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


@pytest.mark.parametrize(
    "asked",
    [matrix(0, 200, late=100), matrix(0, 200, series=3), matrix(500, 700), matrix(0, 50)],
    ids=["an old point changed", "another series", "another time", "a shorter window"],
)
def test_what_does_not_go_on_from_before_is_scored_from_its_own_first_point(bands: Bands, asked: Matrix) -> None:
    bands.along("cpu", STEP, matrix(0, 200))
    found, expected = bands.along("cpu", STEP, asked), whole(asked)
    for name in PARTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


def test_questions_do_not_mix_and_old_ones_are_forgotten(bands: Bands) -> None:
    for number in range(REMEMBERED + 5):
        bands.along(f"q{number}", STEP, matrix(0, 30, seed=number))
    found, expected = bands.along("q0", STEP, matrix(0, 30, seed=0)), whole(matrix(0, 30, seed=0))
    np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-4)
    assert len(bands._kept) == REMEMBERED
