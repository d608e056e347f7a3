"""Rows of pushed groups on their way to whoever scores them, as ticks: a group has a layout and moments too."""

from __future__ import annotations

from collections import deque

import numpy as np

from watchkeeper.model.series import STALE_NAN, FloatArray, Layout, Tick
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.holes import PUSHED, is_hole

#: Values that wait to be taken, at most; of more the oldest rows go.
MOST_VALUES = 1 << 20


class Fresh:
    """Everything under the catalogue's lock. Nothing is kept before somebody has asked once."""

    def __init__(self) -> None:
        self._rows: deque[tuple[str, int, Columns, FloatArray]] = deque()
        self._layouts: dict[str, tuple[Columns, Layout]] = {}
        self._size, self._wanted = 0, False

    def add(self, group: str, time_ms: int, columns: Columns, values: FloatArray) -> None:
        if not self._wanted:
            return
        self._rows.append((group, time_ms, columns, values))
        self._size += len(values)
        while self._size > MOST_VALUES:
            self._size -= len(self._rows.popleft()[3])

    def take(self) -> list[Tick]:
        """Rows since the last time, in the order they came."""
        self._wanted = True
        rows, self._rows, self._size = self._rows, deque(), 0
        return [
            Tick(
                target=f"pushed/{group.removeprefix(PUSHED)}",
                time_ms=time_ms,
                layout=self._layout(group, columns),
                values=np.where(is_hole(values), STALE_NAN, values),
            )
            for group, time_ms, columns, values in rows
        ]

    def _layout(self, group: str, columns: Columns) -> Layout:
        """The very same layout while the columns are the same."""
        known = self._layouts.get(group)
        if known is None or known[0] is not columns:
            known = self._layouts[group] = columns, Layout(columns.series)
        return known[1]

    def forget(self, groups: set[str]) -> None:
        """Of groups that are there no more."""
        for gone in self._layouts.keys() - groups:
            del self._layouts[gone]
