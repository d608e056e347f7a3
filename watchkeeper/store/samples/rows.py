"""Rows of the head."""

from __future__ import annotations

from watchkeeper.model.series import FloatArray
from watchkeeper.store.samples.catalogue import TargetState
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Dense


def add_row(target: TargetState, time_ms: int, columns: Columns, values: FloatArray, sizes: Sizes) -> None:
    """One row at the end of the target's head."""
    last = target.head[-1] if target.head else None
    if not isinstance(last, Dense) or last.columns is not columns or last.full:
        if isinstance(last, Dense):
            last.close()
        rows = sizes.chunk_bytes // (8 * max(len(columns), 1))
        last = Dense(columns, min(sizes.chunk_rows, max(rows, 16)))
        last.append(time_ms, values)
        target.head.append(last)
    else:
        last.append(time_ms, values)
    target.newest_ms = time_ms
