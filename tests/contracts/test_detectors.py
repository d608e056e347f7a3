"""What every detector promises, tried on every kind."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.matrices import HOUR_MS, columns, matrix

from detectors import BUILTIN, State, align, state_from_arrays, state_to_arrays
from watchkeeper.errors import ConfigError
from watchkeeper.model import Matrix
from watchkeeper.registry import Registry

pytestmark = pytest.mark.uncounted

KINDS = sorted(BUILTIN)
#: Options that make short examples long enough for every kind.
QUICK: dict[str, dict[str, Any]] = {
    "isolation_forest": {"window": 64, "refit": 32, "min_history": 32, "trees": 10},
    "robust_zscore": {"window": 32},
    "seasonal": {"min_history": 5},
    "ensemble": {"min_history": 10},
}
SETTINGS = settings(max_examples=8, deadline=None)


def build(kind: str) -> Any:
    return BUILTIN[kind](**QUICK.get(kind, {}))


def wild() -> st.SearchStrategy[npt.NDArray[np.float64]]:
    """Three series of 50 hours of anything a float can hold."""
    cells = st.one_of(st.floats(width=64), st.floats(-100, 100), st.just(5.0))
    return arrays(np.float64, (3, 50), elements=cells, fill=st.nothing())


def busy(length: int = 200, seed: int = 1) -> npt.NDArray[np.float64]:
    """Three noisy series with a daily shape, in hours."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (3, length))
    return np.asarray(100.0 + 10.0 * np.sin(np.arange(length) * 2 * np.pi / 24) + noise)


@pytest.mark.parametrize("kind", KINDS)
@SETTINGS
@given(rows=wild())
def test_scores_of_anything_are_within_0_and_1_the_same_twice_and_leave_their_input_as_it_was(
    kind: str, rows: npt.NDArray[np.float64]
) -> None:
    given_matrix = matrix(rows, step_ms=HOUR_MS)
    before = given_matrix.values.copy()
    scores, again = build(kind).score(given_matrix), build(kind).score(given_matrix)
    np.testing.assert_array_equal(given_matrix.values, before)
    np.testing.assert_array_equal(scores.value, again.value)
    known = scores.value[~np.isnan(scores.value)]
    assert ((known >= 0.0) & (known <= 1.0)).all()
    assert scores.value.shape == scores.expected.shape == scores.lower.shape == scores.upper.shape == (3, 50)
    banded = ~np.isnan(scores.lower)
    assert (scores.lower[banded] <= scores.expected[banded]).all()
    assert (scores.expected[banded] <= scores.upper[banded]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_score_equals_repeated_update(kind: str) -> None:
    whole, detector = matrix(busy(), step_ms=HOUR_MS), build(kind)
    state, parts = detector.fit(columns(whole, 0, 90)), []
    for at in range(90, 200):
        state, scores = detector.update(state, columns(whole, at, at + 1))
        parts.append(scores.value)
    np.testing.assert_allclose(np.hstack(parts), detector.score(whole).value[:, 90:], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_score_knows_the_future(kind: str) -> None:
    rows, other = busy(), busy()
    other[:, 150:] = 1e6
    scores, changed = (build(kind).score(matrix(each, step_ms=HOUR_MS)).value for each in (rows, other))
    np.testing.assert_array_equal(scores[:, :150], changed[:, :150])
    assert not np.array_equal(scores[:, 150:], changed[:, 150:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_spike_scores_above_everything_calm(kind: str) -> None:
    rows = busy(400)
    rows[1, 350] += 200.0
    value = build(kind).score(matrix(rows, step_ms=HOUR_MS)).value
    assert value[1, 350] > np.nanmax(value[:, 150:350])
    assert value[1, 350] > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_short_history_is_unknown_not_healthy(kind: str) -> None:
    scores = BUILTIN[kind]().score(matrix([[1.0, 2.0], [5.0, 5.0]]))
    assert np.isnan(scores.value).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_sample_is_unknown(kind: str) -> None:
    rows = busy()
    rows[2, 180] = np.nan
    value = build(kind).score(matrix(rows, step_ms=HOUR_MS)).value
    assert np.isnan(value[2, 180])
    assert not np.isnan(value[:2, 180]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_series_stays_at_0(kind: str) -> None:
    value = build(kind).score(matrix(np.full((2, 200), 7.5), step_ms=HOUR_MS)).value
    assert np.nanmax(value) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_state_saved_without_pickle_and_restored_gives_the_same_scores(kind: str) -> None:
    whole, detector = matrix(busy(), step_ms=HOUR_MS), build(kind)
    state = detector.fit(columns(whole, 0, 120))
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state_to_arrays(state))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays_read:
        restored = state_from_arrays(dict(arrays_read))
    kept, again = (
        detector.update(state, columns(whole, 120, 200))[1],
        detector.update(restored, columns(whole, 120, 200))[1],
    )
    np.testing.assert_array_equal(kept.value, again.value)
    np.testing.assert_array_equal(kept.expected, again.expected)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"isolation_forest"}))
def test_surviving_series_keep_their_memory_when_the_layout_changes(kind: str) -> None:
    whole, detector = matrix(busy(), step_ms=HOUR_MS), build(kind)
    state = detector.fit(columns(whole, 0, 120))
    new = (whole.series[2], (("__name__", "new"),), whole.series[0])
    moved = align(state.copy(), whole.series, new)
    rest = columns(whole, 120, 130)
    turned = Matrix(series=new, times=rest.times, values=rest.values[[2, 1, 0]], present=rest.present[[2, 1, 0]])
    same, other = detector.update(state, rest)[1].value, detector.update(moved, turned)[1].value
    np.testing.assert_allclose(same[[2, 0]], other[[0, 2]], rtol=1e-5)
    assert np.isnan(other[1, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_another_layout_is_refused(kind: str) -> None:
    detector = build(kind)
    with pytest.raises(ValueError, match="align"):
        detector.update(detector.fit(matrix(busy())), matrix([[1.0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_no_series_and_no_samples_are_no_trouble(kind: str) -> None:
    detector = build(kind)
    nothing = matrix(np.zeros((3, 0)))
    state = detector.fit(nothing)
    assert isinstance(state, State)
    assert detector.score(nothing).value.shape == (3, 0)
    nobody = Matrix(
        series=(),
        times=np.array([1], dtype=np.int64),
        values=np.zeros((0, 1)),
        present=np.zeros((0, 1), dtype=np.bool_),
    )
    assert detector.score(nobody).value.shape == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_is_named(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"detectors\.{kind}\.wndow"):
        Registry("detectors", BUILTIN).build(kind, {"wndow": 3})
