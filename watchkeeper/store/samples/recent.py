"""The newest minutes of many targets side by side, for rules: one question over a hundred targets is one array read.

A target's rows are copied in when a question first needs them, and after that only its new ticks. Questions about few
targets, or about a longer past than is kept here, go the usual way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from watchkeeper.model.series import STALE_BITS, FloatArray, IntArray, Labels, Matcher
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.columns import Columns, Ids, Pick, picked_size
from watchkeeper.store.samples.pieces import Piece, read, union

#: Questions over fewer targets gain nothing.
MANY_TARGETS = 8
#: Nor do questions over more series of each target than this: a target's own matrix is as good then.
FEW_EACH = 64
#: Ticks kept of each target, and how many of them a first look takes: twelve minutes and nine at 15 seconds.
WIDTH, TAKEN = 48, 36
#: Series kept side by side: 50 MB. Beyond it questions go the usual way.
MOST_ROWS = 1 << 17
#: Given back when no question has needed it for so long.
IDLE_SECONDS = 300.0
#: After every time there is.
NEVER = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Samples of many series, each row on the time column of its target."""

    series: tuple[Labels, ...]
    times: IntArray  #: [targets, ticks] ascending, NEVER behind the last
    target: IntArray  #: [series]: which row of ``times``
    values: FloatArray  #: [series, ticks]; absent samples carry the staleness bits


@dataclass(slots=True, eq=False)
class _Slab:
    """One target's rows: ``base`` on, in the order of ``columns``."""

    place: int
    base: int
    columns: Columns
    count: int = 0
    newest_ms: int = 0
    complete_ms: int = 0  #: every sample after this time is here
    picks: dict[int, tuple[Columns, Pick, Pick]] = field(default_factory=dict)  #: column lists seen, by identity


class Recent:
    """Everything under the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalogue, self._monotonic = catalogue, monotonic
        self._forget()

    def _forget(self) -> None:
        self._index, self._slabs = self._catalogue.index, dict[int, _Slab]()
        self._values, self._times = np.empty((0, WIDTH)), np.empty((0, WIDTH), dtype=np.int64)
        self._complete = np.empty(0, dtype=np.int64)
        self._rows: IntArray = np.empty(0, dtype=np.int64)  #: per series id, -1 for none
        self._place: IntArray = np.empty(0, dtype=np.int64)  #: per target number
        self._used, self._places, self._wasted, self._asked = 0, 0, False, self._monotonic()

    @property
    def nbytes(self) -> int:
        return self._values.nbytes

    def tidy(self) -> None:
        """Give the memory back when nobody has asked for long."""
        if self._slabs and self._monotonic() - self._asked > IDLE_SECONDS:
            self._forget()

    def read(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Rows | None:
        """Samples with start <= t <= end and perhaps some more; only the newest at the end matters if ``newest``.

        None when this is not the place to ask.
        """
        index = self._catalogue.index
        if index is not self._index:
            self._forget()
        wanted = index.match(matchers)
        if len(wanted) < MANY_TARGETS:
            return None
        owners = self._catalogue.owner_numbers(wanted)
        numbers = np.unique(owners)
        if len(numbers) < MANY_TARGETS or numbers[0] < 0 or len(wanted) > FEW_EACH * len(numbers):
            return None
        self._asked = self._monotonic()
        if not self._refresh(numbers.tolist(), start_ms):
            if self._wasted:
                self._forget()  # rows of targets that began anew are free again for the next question
            return None
        self._rows = grown(self._rows, len(index), -1)
        rows = self._rows[wanted]
        if rows.min() < 0:  # of a target that has nothing any more, or nothing lately
            kept = rows >= 0
            wanted, owners, rows = wanted[kept], owners[kept], rows[kept]
        held = self._place[[number for number in numbers.tolist() if number in self._slabs]]
        if not self._covers(held, start_ms, end_ms, newest=newest):
            return None
        return self._cut(wanted, self._place[owners], rows, start_ms, end_ms, newest=newest)

    def _covers(self, places: IntArray, start_ms: int, end_ms: int, *, newest: bool) -> bool:
        known = self._complete[places] < start_ms
        if newest and not known.all():
            known |= (self._times[places] <= end_ms).any(axis=1)
        return bool(known.all())

    def _cut(self, wanted: Ids, places: IntArray, rows: IntArray, start_ms: int, end_ms: int, *, newest: bool) -> Rows:
        """The wanted part as copies, so that nothing changes under the reader."""
        used, target = np.unique(places, return_inverse=True)
        times = self._times[used]
        last = (times <= end_ms).sum(axis=1)
        first = last - 1 if newest else (times < start_ms).sum(axis=1)
        high = int(last.max(initial=0))
        low = min(max(int(first.min(initial=high)), 0), high)
        values = self._values[:, low:high][rows]
        return Rows(self._catalogue.index.series(wanted), times[:, low:high], target, values)

    # --- keeping up ---

    def _refresh(self, numbers: Sequence[int], start_ms: int) -> bool:
        """Bring these targets up to date; False when that cannot be."""
        for number in numbers:
            target, slab = self._catalogue.by_number(number), self._slabs.get(number)
            if target is None or (slab is not None and slab.newest_ms == target.newest_ms):
                continue
            if slab is not None and self._follow(target, slab):
                continue
            self._drop(number)
            if target.head and not self._begin(target):
                return False
            if not target.head and target.newest_ms >= start_ms:
                return False
        return True

    def _follow(self, target: TargetState, slab: _Slab) -> bool:
        """Add the ticks since; False when they do not fit or have series that are not here."""
        found = list(target.spans(slab.newest_ms + 1, target.newest_ms))
        return all(self._add(slab, piece, slab.newest_ms + 1, edge) for piece, edge in found) and self._told(
            slab, target
        )

    def _begin(self, target: TargetState) -> bool:
        """A first look at a target: its newest ticks. False when there is no room."""
        pieces: list[Piece] = list(target.head[-3:])
        columns = pieces[0].columns if len({id(piece.columns) for piece in pieces}) == 1 else union(pieces)
        if self._used + len(columns) > MOST_ROWS:
            return False
        times = np.concatenate([piece.times for piece in pieces])
        low_ms = int(times[max(len(times) - TAKEN, 0)])
        slab = self._room(target.number, columns)
        slab.complete_ms = low_ms - 1
        for piece in pieces:
            self._add(slab, piece, low_ms, target.newest_ms)
        return self._told(slab, target)

    def _told(self, slab: _Slab, target: TargetState) -> bool:
        slab.newest_ms = target.newest_ms
        self._complete[slab.place] = slab.complete_ms
        return True

    def _add(self, slab: _Slab, piece: Piece, low_ms: int, high_ms: int) -> bool:
        """Copy a piece's rows of that time to the end of the slab."""
        times = piece.times
        low, high = int(np.searchsorted(times, low_ms)), int(np.searchsorted(times, high_ms, "right"))
        if low >= high:
            return True
        known = slab.picks.get(id(piece.columns))
        if known is None:
            rows, columns = piece.columns.locate(slab.columns.sids)
            if slab.columns is piece.columns:
                rows, columns = slice(0, len(slab.columns)), slice(0, len(slab.columns))
            if picked_size(columns) < len(piece.columns):
                return False
            known = slab.picks[id(piece.columns)] = (piece.columns, rows, columns)
        if slab.count + high - low > WIDTH:
            self._shift(slab, high - low)
        if slab.count + high - low > WIDTH:
            return False
        mine = self._values[slab.base : slab.base + len(slab.columns), slab.count : slab.count + high - low]
        if picked_size(known[1]) < len(slab.columns):
            mine.view(np.uint64)[...] = STALE_BITS
        mine[known[1]] = read(piece, known[2], low, high)
        self._times[slab.place, slab.count : slab.count + high - low] = times[low:high]
        slab.count += high - low
        return True

    def _shift(self, slab: _Slab, more: int) -> None:
        """Make room: the older ticks go."""
        keep = max(min(TAKEN, WIDTH - more), 0)
        gone = max(slab.count - keep, 0)
        mine, times = self._values[slab.base : slab.base + len(slab.columns)], self._times[slab.place]
        slab.complete_ms = int(times[gone - 1]) if gone else slab.complete_ms
        mine[:, : slab.count - gone] = mine[:, gone : slab.count].copy()
        times[: slab.count - gone] = times[gone : slab.count].copy()
        times[slab.count - gone :] = NEVER
        slab.count -= gone

    def _room(self, number: int, columns: Columns) -> _Slab:
        """Rows and a time column for one more target."""
        slab = self._slabs[number] = _Slab(self._places, self._used, columns)
        self._places, self._used = self._places + 1, self._used + len(columns)
        self._times, self._complete = grown(self._times, self._places, NEVER), grown(self._complete, self._places, 0)
        self._values, self._place = grown(self._values, self._used, 0), grown(self._place, number + 1, 0)
        self._rows = grown(self._rows, len(self._catalogue.index), -1)
        self._rows[columns.sids] = np.arange(slab.base, self._used)
        self._place[number] = slab.place
        return slab

    def _drop(self, number: int) -> None:
        """A target that changed its series begins anew; what it held is lost until everything is."""
        slab = self._slabs.pop(number, None)
        if slab is not None:
            self._rows[slab.columns.sids] = -1
            self._wasted = True


Array = TypeVar("Array", FloatArray, IntArray)


def grown(array: Array, size: int, empty: int) -> Array:
    """At least so long, new places holding ``empty``; the same array when it is long enough."""
    if size <= len(array):
        return array
    more = np.full((max(size, 2 * len(array), 16) - len(array), *array.shape[1:]), empty, dtype=array.dtype)
    return np.concatenate([array, more])
