"""Pushed samples: any series at any time, as remote write and OTLP bring them, with what was said already told apart.

New samples wait in a buffer for their neighbours of the same moment, then go to groups (`grouping`). Readers see both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray, IntArray, Labels, Tick
from watchkeeper.store.samples.catalogue import SEVERAL, Catalogue
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.existing import Existing, in_groups
from watchkeeper.store.samples.grouping import Groups
from watchkeeper.store.samples.limits import Limits, Sizes
from watchkeeper.store.samples.recent import grown

#: Before every time.
NEVER_MS = -(1 << 62)
#: Samples wait this long for others of the same moment, and at most so many of them.
WAIT_SECONDS = 10.0
FLUSH_SECONDS = 30.0
MOST_BUFFERED = 1 << 18
#: Pushes that came within so long wait as one part: else many small senders leave thousands to look through.
TOGETHER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples by series id, in any order."""

    sids: Ids
    times: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.sids)

    def of(self, kept: BoolArray | IntArray) -> Samples:
        return Samples(self.sids[kept], self.times[kept], self.values[kept])


@dataclass(slots=True)
class Judged:
    """What of a push is new, and the ledger of the rest."""

    samples: Samples
    deduplicated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def drop(self, wrong: BoolArray, reason: str) -> None:
        count = int(np.count_nonzero(wrong))
        if not count:
            return
        self.samples = self.samples.of(~wrong)
        if reason:
            self.rejected[reason] += count
        else:
            self.deduplicated += count


class Pushed:
    """Everything under the catalogue's lock."""

    def __init__(self, catalogue: Catalogue, limits: Limits, sizes: Sizes, monotonic: Callable[[], float]) -> None:
        self._catalogue, self._limits, self._monotonic = catalogue, limits, monotonic
        self._groups = Groups(catalogue, sizes)
        self._newest: IntArray = np.empty(0, dtype=np.int64)  #: per series id; at least the time of its newest sample
        self._told: IntArray = np.empty(0, dtype=np.int64)  #: per series id: 1 once ``_newest`` is right
        self._mark: IntArray = np.empty(0, dtype=np.int64)  #: scratch
        self._buffer: list[tuple[float, Samples]] = []  #: with the time they came
        self._size = 0
        catalogue.held, catalogue.renumbered = self._held, self._renumber

    # --- letting in ---

    def number(self, series: Sequence[Labels]) -> tuple[Ids, Mapping[int, str]]:
        """(series ids, reasons by position): known series, and new ones while the limits allow; else -1."""
        catalogue, refused = self._catalogue, dict[int, str]()
        room = self._limits.series - len(catalogue.index)
        fresh: list[Labels] = []
        known = set[Labels]()
        for place, labels in enumerate(series):
            if labels in catalogue.index.ids or labels in known:
                continue
            if catalogue.too_wide(labels):
                refused[place] = "label_limit"
            elif room <= 0:
                refused[place] = "series_limit"
            else:
                room -= 1
                known.add(labels)
                fresh.append(labels)
        if fresh:
            catalogue.add(fresh)
        return np.array([catalogue.index.ids.get(labels, -1) for labels in series], dtype=np.int32), refused

    def judge(self, samples: Samples, *, oldest_ms: int, latest_ms: int) -> Judged:
        """What is new. Nothing changes yet."""
        judged = Judged(samples)
        judged.drop(samples.times > latest_ms, "future")
        judged.drop(judged.samples.times < oldest_ms, "too_old")
        self._tell_apart(judged)
        if len(judged.samples):
            self._look_up(judged.samples.sids, int(judged.samples.times.min()))
            suspect = judged.samples.times <= self._newest[judged.samples.sids]
            if suspect.any():
                self._compare(judged, suspect)
        return judged

    def _tell_apart(self, judged: Judged) -> None:
        """Samples of one series within one push: in order, and each moment once."""
        sids = judged.samples.sids
        order = np.arange(len(sids))
        self._mark = grown(self._mark, len(self._catalogue.index), 0)
        self._mark[sids] = order
        if (self._mark[sids] == order).all():
            return
        judged.samples = found = judged.samples.of(np.lexsort((judged.samples.times, sids)))
        again = (np.diff(found.sids, prepend=-1) == 0) & (np.diff(found.times, prepend=NEVER_MS) == 0)
        bits = found.values.view(np.uint64)
        same = again & (bits == np.roll(bits, 1))
        judged.drop(same, "")
        judged.drop(again[~same], "duplicate_timestamp")

    def _look_up(self, sids: Ids, since_ms: int) -> None:
        """For series met the first time since the store was opened: a bound of what it has of them."""
        size = len(self._catalogue.index)
        self._newest, self._told = grown(self._newest, size, NEVER_MS), grown(self._told, size, 0)
        new = sids[self._told[sids] == 0]
        if not len(new):
            return
        self._catalogue.load(since_ms, 1 << 62)
        owners = self._catalogue.owner_numbers(new)
        for target in self._catalogue.owners(new):
            if target.pushed and target.newest_ms >= since_ms:
                mine = new[(owners == target.number) | (owners == SEVERAL)]
                self._newest[mine] = np.maximum(self._newest[mine], target.newest_ms)
        self._told[new] = 1

    def _compare(self, judged: Judged, suspect: BoolArray) -> None:
        """Samples that may be there already, or come late, against what there is."""
        found = judged.samples.of(suspect)
        existing = self._existing(found.sids, int(found.times.min()))
        bits, newest = existing.at(found.sids, found.times), existing.newest(found.sids)
        mine = found.values.view(np.uint64)
        same, other = bits.there & (bits.values == mine), bits.there & (bits.values != mine)
        late = ~bits.there & (found.times < newest - self._limits.out_of_order_ms)
        places, verdict = np.flatnonzero(suspect), np.zeros(len(suspect), dtype=np.int8)
        for code, chosen in enumerate((same, other, late), 1):
            verdict[places[chosen]] = code
        for code, reason in enumerate(("", "duplicate_timestamp", "too_old"), 1):
            judged.drop(verdict == code, reason)
            verdict = verdict[verdict != code]

    def _existing(self, sids: Ids, since_ms: int) -> Existing:
        parts = [(found.sids, found.times, found.values) for _, found in self._buffer]
        return Existing(np.unique(sids), since_ms, [*parts, *in_groups(self._catalogue, np.unique(sids), since_ms)])

    def take(self, samples: Samples) -> None:
        """Keep what was judged to be new."""
        if len(samples):
            np.maximum.at(self._newest, samples.sids, samples.times)
            self._buffer.append((self._monotonic(), samples))
            self._size += len(samples)
            self._gather()

    def _gather(self) -> None:
        """Put small parts together; each part ends up more than twice as long as the next, so copies stay few."""
        while len(self._buffer) > 1:
            (came, first), (then, last) = self._buffer[-2:]
            if then - came > TOGETHER_SECONDS or len(first) > 2 * len(last):
                return
            self._buffer[-2:] = [(came, _concatenated([first, last]))]

    # --- waiting ---

    @property
    def due(self) -> bool:
        return self._size > MOST_BUFFERED or (
            bool(self._buffer) and self._monotonic() - self._buffer[0][0] > FLUSH_SECONDS
        )

    def flush(self, *, everything: bool = False) -> int:
        """Move what has waited to groups; returns how many samples."""
        if not self._buffer:
            return 0
        ripe = [found for came, found in self._buffer if self._monotonic() - came >= WAIT_SECONDS]
        if not ripe and not everything and self._size <= MOST_BUFFERED:
            return 0
        whole = _concatenated([found for _, found in self._buffer])
        if not everything and ripe:
            edge = max(int(found.times.max()) for found in ripe)
            kept = whole.of(whole.times > edge)
            self._buffer = [(self._monotonic(), kept)] if len(kept) else []
            self._size, whole = len(kept), whole.of(whole.times <= edge)
        else:
            self._buffer, self._size = [], 0
        order = np.lexsort((whole.times, whole.sids))
        whole = whole.of(order)
        self._groups.place(whole.sids, whole.times, whole.values)
        return len(whole)

    def fresh(self) -> list[Tick]:
        """Rows that went to groups since the last call, as ticks of those groups; the first call is the beginning."""
        self._groups.fresh.forget({target.name for target in self._catalogue.targets.values() if target.pushed})
        self.flush()
        return self._groups.fresh.take()

    def buffered(self, wanted: Ids, start_ms: int, end_ms: int) -> Samples:
        """What waits of these series in the range, sorted by series and time."""
        parts = [found for _, found in self._buffer]
        if not parts or not len(wanted):
            return _concatenated([])
        chosen = np.zeros(len(self._catalogue.index), dtype=np.bool_)
        chosen[wanted] = True
        whole = _concatenated(
            [one.of(chosen[one.sids] & (one.times >= start_ms) & (one.times <= end_ms)) for one in parts]
        )
        return whole.of(np.lexsort((whole.times, whole.sids)))

    def told_of(self, wanted: Ids) -> bool:
        """Whether any of these series was ever pushed, as far as is known without reading a block."""
        if self._told.size and (grown(self._told, len(self._catalogue.index), 0)[wanted]).any():
            return True
        groups = [target.number for target in self._catalogue.targets.values() if target.pushed]
        return bool(groups) and bool(np.isin(self._catalogue.owner_numbers(wanted), groups).any())

    def oldest_ms(self) -> int:
        """Of what waits; after every time when nothing does."""
        return min((int(found.times.min()) for _, found in self._buffer), default=1 << 62)

    def bounds(self) -> list[tuple[int, int]]:
        """(first, last) time of what waits; empty when nothing does."""
        return [(int(found.times.min()), int(found.times.max())) for _, found in self._buffer]

    @property
    def figures(self) -> tuple[int, int]:
        """(samples, bytes) that wait."""
        return self._size, 20 * self._size

    # --- opening ---

    def replay(self, samples: Samples) -> None:
        """Samples of the log: what blocks have of them is left out."""
        since = int(samples.times.min())
        blocked = any(target.pushed and target.blocked_ms >= since for target in self._catalogue.targets.values())
        if blocked:
            existing = self._existing(samples.sids, since)
            samples = samples.of(~existing.at(samples.sids, samples.times).there)
        if len(samples):
            self._look_up(samples.sids, since)
            self.take(samples)

    # --- series ids ---

    def _held(self) -> Sequence[Ids]:
        return [found.sids for _, found in self._buffer]

    def _renumber(self, mapping: Ids) -> None:
        """``mapping[old] == new``, below 0 for what is forgotten."""
        kept = np.flatnonzero(mapping >= 0)
        self._newest, self._told = grown(self._newest, len(mapping), NEVER_MS), grown(self._told, len(mapping), 0)
        self._newest, self._told = self._newest[kept], self._told[kept]
        self._groups.renumber(kept)
        self._buffer = [(came, Samples(mapping[found.sids], found.times, found.values)) for came, found in self._buffer]


def _concatenated(parts: Sequence[Samples]) -> Samples:
    if not parts:
        return Samples(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))
    if len(parts) == 1:
        return parts[0]
    return Samples(
        np.concatenate([part.sids for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
