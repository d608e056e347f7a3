"""Directories of block sections stay open while they are asked for: where each chunk lies, and its crc."""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import ReferenceType, ref

import numpy as np
import numpy.typing as npt

from watchkeeper.store.samples.chunks import Packed

#: Memory for all of them, at 16 bytes a series and section: a day of some 20,000 series.
BUDGET = 4 << 20

#: Chunks in the file, and where each begins, with the end of the last.
Directory = tuple[Packed, npt.NDArray[np.int64]]


class Directories:
    """Thread-safe. By section, which may go at any time: what is kept does not hold it."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget, self._lock, self.nbytes = budget, threading.RLock(), 0
        self._kept: OrderedDict[int, tuple[ReferenceType[object], Directory]] = OrderedDict()

    def get(self, section: object) -> Directory | None:
        with self._lock:
            found = self._kept.get(id(section))
            if found is None or found[0]() is not section:
                return None
            self._kept.move_to_end(id(section))
            return found[1]

    def keep(self, section: object, directory: Directory) -> None:
        key = id(section)
        with self._lock:
            self._drop(key)
            self._kept[key] = (ref(section, lambda gone: self._forget(key, gone)), directory)
            self.nbytes += _size(directory)
            while self.nbytes > self._budget:
                self._drop(next(iter(self._kept)))

    def drop(self, section: object) -> None:
        if self.get(section) is not None:
            with self._lock:
                self._drop(id(section))

    def _forget(self, key: int, gone: ReferenceType[object]) -> None:
        """A section went; its number may be another's by now."""
        with self._lock:
            if key in self._kept and self._kept[key][0] is gone:
                self._drop(key)

    def _drop(self, key: int) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.nbytes -= _size(found[1])


def _size(directory: Directory) -> int:
    packed, offsets = directory
    return packed.lengths.nbytes + packed.crcs.nbytes + offsets.nbytes


#: All stores of the process share it.
DIRECTORIES = Directories()
