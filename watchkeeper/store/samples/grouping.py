"""Where pushed samples rest: series that are told at the same times share the rows of one group.

A group is a target like any other: rows in time order, chunks, blocks. Series join the group whose times they share; a
series without a sample at a row has a hole there. What comes too late for its group goes to a lane, a group for late
samples; readers put all of it together again by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.columns import Columns, Ids
from watchkeeper.store.samples.fresh import Fresh
from watchkeeper.store.samples.holes import HOLE_BITS, PUSHED, filled
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Dense
from watchkeeper.store.samples.recent import grown
from watchkeeper.store.samples.rows import add_row

#: Series of one group.
MOST_COLUMNS = 8192
NO_GROUP = -1
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)

Signature = npt.NDArray[np.uint64]


class Groups:
    """Everything under the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, sizes: Sizes) -> None:
        self._catalogue, self._sizes = catalogue, sizes
        self._group: IntArray = np.empty(0, dtype=np.int64)  #: per series id: number of its group
        self._lanes: list[TargetState] = []
        self._number = 0
        self.fresh = Fresh()

    def renumber(self, kept: IntArray) -> None:
        """Series ids changed: ``kept[new] == old``."""
        self._group = grown(self._group, int(kept.max(initial=-1)) + 1, NO_GROUP)[kept]

    def place(self, sids: Ids, times: IntArray, values: FloatArray) -> None:
        """Put samples into groups. They are sorted by series and time, and none is there already."""
        self._group = grown(self._group, len(self._catalogue.index), NO_GROUP)
        self._recall(np.unique(sids))
        numbers = self._group[sids]
        late = times <= self._newest(numbers)
        self._place(_Samples(sids[~late], times[~late], values[~late]))
        if late.any():
            self._place_late(_Samples(sids[late], times[late], values[late]))

    def _recall(self, sids: Ids) -> None:
        """Series without a group go back to the one they were in before a restart."""
        unknown = sids[self._group[sids] == NO_GROUP]
        owners = self._catalogue.owner_numbers(unknown)
        for number in np.unique(owners).tolist():
            target = self._catalogue.by_number(number)
            if target is not None and target.pushed:
                self._group[unknown[owners == number]] = number

    def _newest(self, numbers: IntArray) -> IntArray:
        """Newest time of every sample's group; before every time where there is none."""
        distinct, which = np.unique(numbers, return_inverse=True)
        targets = [self._catalogue.by_number(number) for number in distinct.tolist()]
        newest = [-(1 << 62) if target is None else target.newest_ms for target in targets]
        return np.array(newest, dtype=np.int64)[which]

    def _place(self, samples: _Samples) -> None:
        homeless: list[_Samples] = []
        homes: dict[int, TargetState] = {}
        plan: dict[int, list[_Samples]] = {}
        numbers = self._group[samples.series]
        for number in np.unique(numbers).tolist():
            mine = samples.of(numbers == number)
            target = self._catalogue.by_number(number)
            if target is None:
                homeless.append(mine)
                continue
            most = mine.commonest()
            at_home = mine.within(most)
            homeless.append(mine.of(~at_home))
            plan[number] = [mine.of(at_home)]
            homes.setdefault(most, target)
        outside = _joined(homeless)
        for signature in np.unique(outside.signatures).tolist():
            alike, home = outside.of(outside.signatures == signature), homes.get(signature)
            if home is not None and len(home.sids) + len(alike.series) <= MOST_COLUMNS:
                plan[home.number].append(alike)
                continue
            for part in alike.slices(MOST_COLUMNS):
                plan[self._new().number] = [part]
        for number, parts in plan.items():
            found, chosen = self._catalogue.by_number(number), _joined(parts)
            assert found is not None
            if len(chosen.series):
                self._rows(found, chosen)
                self._group[chosen.series] = number

    def _place_late(self, samples: _Samples) -> None:
        for signature in np.unique(samples.signatures).tolist():
            for part in samples.of(samples.signatures == signature).slices(MOST_COLUMNS):
                first = int(part.times[0])
                self._lanes = [lane for lane in self._lanes if lane.name in self._catalogue.targets]
                lane = next((lane for lane in self._lanes if lane.newest_ms < first), None)
                if lane is None:
                    lane = self._new()
                    self._lanes.append(lane)
                self._rows(lane, part)

    def _new(self) -> TargetState:
        taken = self._catalogue.targets
        while f"{PUSHED}{self._number}" in taken:
            self._number += 1
        return self._catalogue.target(f"{PUSHED}{self._number}")

    def _rows(self, target: TargetState, samples: _Samples) -> None:
        """Append rows; they come after all that the group has."""
        columns = self._columns(target, samples.series)
        self._catalogue.own(target, columns)
        moments = np.unique(samples.times)
        rows = filled((len(moments), len(columns)), HOLE_BITS)
        column = np.arange(len(columns))[columns.locate(samples.series)[1]]
        rows[np.searchsorted(moments, samples.times), column[samples.which]] = samples.values
        for at, row in zip(moments.tolist(), rows, strict=True):
            add_row(target, at, columns, row, self._sizes)
            if target not in self._lanes:  # what comes late says nothing of now
                self.fresh.add(target.name, at, columns, row)

    def _columns(self, target: TargetState, series: Ids) -> Columns:
        """Those of the newest rows while they fit; else the series told of now, with the others of before."""
        last = target.head[-1] if target.head else None
        if isinstance(last, Dense):
            shared = len(last.columns.narrow(series))
            if shared == len(series) and 2 * shared >= len(last.columns):
                return last.columns
            if 2 * shared >= len(last.columns):
                series = np.union1d(series, last.columns.sids).astype(np.int32)
        return self._catalogue.share(Columns(self._catalogue.index.series(series), series))


class _Samples:
    """Samples sorted by series and time, with the shape of every series' times."""

    def __init__(self, sids: Ids, times: IntArray, values: FloatArray) -> None:
        self.sids, self.times, self.values = sids, times, values
        first = np.flatnonzero(np.diff(sids, prepend=-1))
        self.starts, self.series = first, np.ascontiguousarray(sids[first])
        self.counts = np.diff(np.append(first, len(sids)))
        self.which = np.repeat(np.arange(len(first)), self.counts)  #: position in ``series`` of every sample
        self.signatures: Signature = np.empty(0, dtype=np.uint64)
        if len(first):
            self.signatures = np.add.reduceat(_mixed(times), first)

    def of(self, chosen: npt.NDArray[np.bool_]) -> _Samples:
        """Those of chosen series."""
        kept = chosen[self.which]
        return _Samples(self.sids[kept], self.times[kept], self.values[kept])

    def commonest(self) -> int:
        """The signature that tells of most samples."""
        found, which = np.unique(self.signatures, return_inverse=True)
        return int(found[np.argmax(np.bincount(which, self.counts))])

    def within(self, signature: int) -> npt.NDArray[np.bool_]:
        """Per series: all of its times are those of the series with this signature."""
        model = int(np.flatnonzero(self.signatures == np.uint64(signature))[0])
        times = self.times[self.starts[model] : self.starts[model] + self.counts[model]]
        outside = ~np.isin(self.times, times)
        fits = np.ones(len(self.series), dtype=np.bool_)
        fits[self.which[outside]] = False
        return fits

    def slices(self, most: int) -> Iterator[_Samples]:
        """The same, so many series at a time."""
        for start in range(0, len(self.series), most):
            chosen = np.zeros(len(self.series), dtype=np.bool_)
            chosen[start : start + most] = True
            yield self if len(self.series) <= most else self.of(chosen)


def _joined(parts: Sequence[_Samples]) -> _Samples:
    """Samples of different series together."""
    if len(parts) == 1:
        return parts[0]
    sids = np.concatenate([np.empty(0, np.int32), *(part.sids for part in parts)])
    times = np.concatenate([np.empty(0, np.int64), *(part.times for part in parts)])
    values = np.concatenate([np.empty(0), *(part.values for part in parts)])
    order = np.lexsort((times, sids))
    return _Samples(sids[order], times[order], values[order])


def _mixed(times: IntArray) -> Signature:
    """Times spread over 64 bits, so that sums of different times are different."""
    mixed = times.astype(np.uint64) * _ODD
    mixed ^= mixed >> _SHIFT
    mixed *= _ODD
    return mixed ^ mixed >> _SHIFT
