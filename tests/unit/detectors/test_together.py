"""Several metrics of one thing: how far they are from what they are together, and which are to blame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detectors import together
from detectors.together import FIRST


def alike(length: int, seed: int = 3) -> npt.NDArray[np.float64]:
    """Four metrics that move together, and one of its own."""
    dice = np.random.default_rng(seed)
    shared = dice.normal(0.0, 1.0, length)
    return np.vstack([100.0 + shared * size + dice.normal(0.0, 0.1, length) for size in (1.0, 2.0, 5.0, 0.0, -1.0)])


def test_metrics_that_stop_agreeing_are_far_though_each_is_ordinary_and_those_are_named() -> None:
    rows = alike(1500)
    rows[2, 1200] = 100.0 - 5.0 * (rows[0, 1200] - 100.0) - 5.0
    distance, shares = together.score(together.start(5), rows)
    assert np.isnan(distance[:FIRST]).all()
    assert int(np.nanargmax(distance)) == 1200
    assert int(np.argmax(shares[:, 1200])) == 2
    np.testing.assert_allclose(shares[:, FIRST:].sum(axis=0), 1.0)


def test_samples_one_by_one_are_judged_as_in_one_block() -> None:
    rows = alike(1100)
    state = together.start(5)
    parts = [together.score(state, rows[:, at : at + 1])[0] for at in range(rows.shape[1])]
    np.testing.assert_allclose(np.concatenate(parts), together.score(together.start(5), rows)[0], rtol=1e-9)


def test_a_long_incident_does_not_become_the_rule() -> None:
    rows = alike(4200)
    rows[:, 600:900] += 30.0
    distance, _ = together.score(together.start(5), rows)
    assert np.median(distance[700:900]) > np.median(distance[1100:]) + 1.0
    rows[:, 4100:] += 30.0
    again, _ = together.score(together.start(5), rows)
    assert np.median(again[4110:]) > np.median(again[2100:4000]) + 1.0


@settings(max_examples=8, deadline=None)
@given(rows=arrays(np.float64, (3, 600), elements=st.one_of(st.floats(-1e9, 1e9), st.just(float("nan")))))
def test_anything_has_a_distance_the_same_twice_that_knows_no_future(rows: npt.NDArray[np.float64]) -> None:
    before = rows.copy()
    distance, _ = together.score(together.start(3), rows)
    np.testing.assert_array_equal(rows, before)
    assert np.isfinite(distance[FIRST:]).all()
    short, _ = together.score(together.start(3), rows[:, :560])
    np.testing.assert_allclose(short[FIRST:], distance[FIRST:560], rtol=1e-9)
