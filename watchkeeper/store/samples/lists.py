"""Pushed series as the log names them: a list of series is written once a segment, a sample is a place in a list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import IntArray
from watchkeeper.store.samples.columns import Columns, Ids
from watchkeeper.store.samples.index import SeriesIndex
from watchkeeper.store.samples.recent import grown

#: Lists in use before all are made anew: churn leaves lists behind of which little is still sent.
MOST_LISTS = 256


class SeriesLists:
    """Which list names a series, and at which place. One thread."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Series ids mean something else now, or too many lists are in use."""
        self._lists: list[Columns] = []
        self._list: IntArray = np.empty(0, dtype=np.int64)
        self._place: IntArray = np.empty(0, dtype=np.int64)

    def locate(self, index: SeriesIndex, sids: Ids) -> tuple[Sequence[Columns], IntArray]:
        """(lists, places): sample i is place ``places[i]`` of the lists laid end to end."""
        if len(self._lists) >= MOST_LISTS:
            self.forget()
        self._list, self._place = grown(self._list, len(index), -1), grown(self._place, len(index), -1)
        numbers = self._list[sids]
        if len(numbers) and numbers.min() < 0:
            fresh = np.unique(sids[numbers < 0])
            self._list[fresh], self._place[fresh] = len(self._lists), np.arange(len(fresh))
            self._lists.append(Columns(index.series(fresh), fresh))
            numbers = self._list[sids]
        used, which = np.unique(numbers, return_inverse=True)
        lists = [self._lists[number] for number in used.tolist()]
        starts = np.cumsum([0, *(len(one) for one in lists)])
        return lists, starts[which] + self._place[sids]
