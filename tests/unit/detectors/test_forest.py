"""The trees beside the second network, told one question after the other."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Array
from detectors.forest import PARTS, SLICE, read
from detectors.network import weights


def by_hand(inputs: Array, places: Array, limits: Array, said: Array) -> Array:
    """[answer, point] of inputs [input, point], in PARTS."""
    answers = np.zeros((2, inputs.shape[1]))
    for point in range(inputs.shape[1]):
        for asked, above, table in zip(places, limits, said, strict=True):
            leaf = 0
            for place, limit in zip(asked, above, strict=True):
                leaf = 2 * leaf + int(inputs[place, point] > limit)
            answers[:, point] += table[:, leaf]
    return answers


def test_answers_are_those_of_questions_asked_one_by_one() -> None:
    dice = np.random.default_rng(2)
    places, limits = dice.integers(0, 5, (7, 4)), dice.normal(0.0, 1.0, (7, 4)).astype(np.float32)
    said, inputs = dice.integers(-900, 900, (7, 2, 16)), dice.normal(0.0, 1.0, (6, 3, 40)).astype(np.float32)
    inputs[places[0, 0], 0, 0] = limits[0, 0]  # no input is above itself
    found = read(places.tolist(), limits.tolist(), said, [100, -200])(inputs)
    wanted = by_hand(inputs.reshape(6, -1), places, limits, said).reshape(2, 3, 40)
    np.testing.assert_allclose(found, (wanted + np.array([100, -200])[:, None, None]) / PARTS)


def test_what_a_point_is_worth_depends_on_no_other_to_the_last_bit() -> None:
    trees = weights().judges.trees
    inputs = np.random.default_rng(3).normal(0.0, 2.0, (trees.places.max() + 1, 3, SLICE)).astype(np.float32)
    whole = trees(inputs)
    for series, at in ((0, 0), (1, 17), (2, SLICE - 1)):
        alone = trees(np.ascontiguousarray(inputs[:, series : series + 1, at : at + 1]))
        np.testing.assert_array_equal(alone[:, 0, 0], whole[:, series, at])


def test_tables_that_do_not_fit_their_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="2 levels"):
        read([[0, 1]], [[0.0, 0.0]], np.zeros((1, 2, 8)), [0, 0])
