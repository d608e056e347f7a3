"""Many series at once, in parts that stay in the processor's cache: one column of 100,000 series is seven parts.

Arrays that are read a column at a time are kept with the columns in order (Fortran's), which no reader notices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .base import State

#: Series of a part.
SERIES = 16384
#: Rows of the state that are read by columns.
BY_COLUMN = (
    "ring", "weights", "size", "share", "excess", "record", "record_start", "held", "shares", "last",
    "day_profile", "day_visit", "day_part", "week_profile", "week_visit", "week_part",
)  # fmt: skip


def parts(state: State) -> Iterator[tuple[slice, State]]:
    """(rows, the state of these alone) one after the other; what becomes of it goes back into the state."""
    if state.count <= SERIES:
        yield slice(None), state
        return
    for name in BY_COLUMN:
        state.rows[name] = np.asfortranarray(state.rows[name])
    for first in range(0, state.count, SERIES):
        rows = slice(first, first + SERIES)
        views = {name: array[rows] for name, array in state.rows.items()}
        part = State(dict(views), state.shared)
        yield rows, part
        for name, array in part.rows.items():
            if array is not views[name]:
                views[name][...] = array
