"""What every streaming detector stands on: state as arrays, one step a column, and the three protocol methods.

A detector defines ``start(count)`` and ``step(state, observed, time_ms)``; ``fit``, ``update`` and ``score`` of
``paging`` are then the same walk over columns, so that score equals repeated update by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict

from watchkeeper.model import Labels, Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from .local import Places

#: Options of a detector: an unknown one is a mistake, not a wish.
STRICT = ConfigDict(extra="forbid")
#: Decimal orders of rarity that earn a score of 0.5: 3 is one point in a thousand.
HALF_RARITY = 3.0
#: Larger values are cut to this, so that differences and products of float32 state stay finite.
LARGEST = 1e25

Array = npt.NDArray[Any]
#: Where nothing is said of clocks.
UTC = Places()


@dataclass(slots=True)
class State:
    """Everything a detector remembers. ``rows[name]`` has one row a series; ``shared`` belongs to all of them.

    An update takes the state over: keep using the one it returns, and copy() first to go back. A row of a series
    never seen before is NaN in float arrays and 0 in integer arrays.
    """

    rows: dict[str, Array]
    shared: dict[str, Array] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict, repr=False)  #: can be built again from rows and shared

    @property
    def count(self) -> int:
        """Number of series."""
        return len(next(iter(self.rows.values())))

    def copy(self) -> State:
        return State(
            {name: array.copy() for name, array in self.rows.items()},
            {name: array.copy() for name, array in self.shared.items()},
            dict(self.cache),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One column of scores; every array has shape [series]."""

    value: Array
    expected: Array
    lower: Array
    upper: Array


class Streaming(Protocol):
    def start(self, count: int) -> State: ...

    def step(self, state: State, observed: FloatArray, time_ms: int | IntArray) -> Answer: ...


def blank(count: int, *shape: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """Rows of a series never seen: NaN for floats, 0 for integers."""
    kind = np.dtype(dtype)
    return np.full((count, *shape), np.nan if kind.kind == "f" else 0, kind)


def observed(matrix: Matrix) -> FloatArray:
    """The samples as finite numbers; NaN where there is none or none that arithmetic can use."""
    return usable(np.where(matrix.present, matrix.values, np.nan))


def usable(values: FloatArray) -> FloatArray:
    """Finite numbers cut to what float32 can be reckoned with; NaN for all others."""
    if (np.abs(values) <= LARGEST).all():
        return values
    return np.where(np.isfinite(values), np.clip(np.nan_to_num(values), -LARGEST, LARGEST), np.nan)


def first_rows(state: State, count: int) -> State:
    """The state of the first series alone."""
    if count == state.count:
        return state
    return State({name: array[:count] for name, array in state.rows.items()}, state.shared)


def same_layout(state: State, column: Matrix) -> None:
    """Raises ValueError where the column has another number of series than the state."""
    if state.count != len(column.series):
        raise ValueError(f"state holds {state.count} series, the column {len(column.series)}: align() it first")


def walk(detector: Streaming, state: State, matrix: Matrix, *, kind: str, places: Places = UTC) -> tuple[State, Scores]:
    """Steps see what the clocks of ``places`` show: one number, or one for each series."""
    seen = observed(matrix)
    value, expected, lower, upper = (np.full(seen.shape, np.nan) for _ in range(4))
    for at, shown in enumerate(_shown(places, matrix)):
        answer = detector.step(state, seen[:, at], shown)
        value[:, at], expected[:, at] = answer.value, answer.expected
        lower[:, at], upper[:, at] = answer.lower, answer.upper
    return state, Scores(
        series=matrix.series,
        times=matrix.times,
        value=value,
        expected=expected,
        lower=lower,
        upper=upper,
        detector=kind,
    )


def _shown(places: Places, matrix: Matrix) -> Sequence[int | IntArray]:
    """What the clocks show at each column."""
    if places.one:
        found: list[int] = places.place.walls(matrix.times).tolist()
        return found
    walls = np.empty((len(matrix.times), len(matrix.series)), np.int64)
    for rows, place in places.groups(matrix.series):
        walls[:, rows] = place.walls(matrix.times)[:, None]
    return list(walls)


def rarity_score(rarity: Array) -> Array:
    """0..1 from decimal orders of rarity: 0 stays 0, one in a thousand is 0.5, NaN stays unknown."""
    value: Array = rarity / (rarity + HALF_RARITY)
    return value


def align(state: State, old_series: Sequence[Labels], new_series: Sequence[Labels]) -> State:
    """The state for a changed layout: rows of surviving series are kept, rows of new ones are blank."""
    place = {series: index for index, series in enumerate(old_series)}
    source = np.array([place.get(series, -1) for series in new_series], dtype=np.int64)
    kept = source >= 0
    rows = {}
    for name, array in state.rows.items():
        fresh = blank(len(source), *array.shape[1:], dtype=array.dtype)
        fresh[kept] = array[source[kept]]
        rows[name] = fresh
    return State(rows, {name: array.copy() for name, array in state.shared.items()})


def state_to_arrays(state: State) -> dict[str, Array]:
    """Plain arrays, ready for ``numpy.savez``: no pickle, no object."""
    rows = {f"rows.{name}": array.copy() for name, array in state.rows.items()}
    return rows | {f"shared.{name}": array.copy() for name, array in state.shared.items()}


def state_from_arrays(arrays: Mapping[str, Array]) -> State:
    """The state that ``state_to_arrays`` took apart."""
    parts: dict[str, dict[str, Array]] = {"rows": {}, "shared": {}}
    for key, array in arrays.items():
        part, _, name = key.partition(".")
        parts[part][name] = np.array(array)
    return State(parts["rows"], parts["shared"])
