"""What the store knows right now: targets with their pieces, the label index, the column lists.

One lock guards it. Readers hold it while they settle what to read, never while they decode.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from weakref import WeakValueDictionary

import numpy as np
import structlog

from watchkeeper.errors import StoreError
from watchkeeper.model.series import IntArray, Labels, Layout, Matcher
from watchkeeper.store.samples.blocks import FileSection
from watchkeeper.store.samples.columns import Columns, Ids, decode_series
from watchkeeper.store.samples.holes import is_pushed
from watchkeeper.store.samples.index import SeriesIndex
from watchkeeper.store.samples.limits import Limits
from watchkeeper.store.samples.pieces import Dense, Located, Piece, Sealed, locate

logger = structlog.get_logger(__name__)

#: Layouts remembered per target, so that a source alternating between a few shapes pays for each once.
REMEMBERED_LAYOUTS = 4
#: Rounds of upkeep, one a minute, after which columns nobody asked for are let go.
IDLE_ROUNDS = 5
#: Fewer dead series than this are not worth a new index.
FORGET_FROM = 1000


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a layout is let in."""

    layout: Layout
    columns: Columns
    kept: IntArray | None  #: positions let in; None for all
    rejected: Mapping[str, int]


@dataclass(slots=True, eq=False)
class TargetState:
    """One target: blocks of its past, then the pieces of its head, in time order and without overlap."""

    name: str
    number: int
    stored: list[FileSection] = field(default_factory=list)
    head: list[Dense | Sealed] = field(default_factory=list)
    newest_ms: int = -(1 << 62)
    blocked_ms: int = -(1 << 62)  #: everything up to here is in blocks
    sids: set[int] = field(default_factory=set)  #: series ever seen and not yet forgotten
    admitted: list[Admitted] = field(default_factory=list)
    owned: set[bytes] = field(default_factory=set)  #: keys of the column lists whose series are in ``sids``
    tiers: dict[tuple[int, str], list[FileSection]] = field(default_factory=dict)  #: by resolution in ms and aggregate

    @property
    def pushed(self) -> bool:
        """A group of pushed series."""
        return is_pushed(self.name)

    def bounds(self) -> list[tuple[int, int]]:
        """(first, last) time of the whole; empty when nothing is held."""
        pieces = [*self.stored[:1], *self.stored[-1:], *self.head[:1], *self.head[-1:]]
        return [(min(piece.first_ms for piece in pieces), max(piece.last_ms for piece in pieces))] if pieces else []

    def pieces(self) -> Iterator[Piece]:
        """All of them, samples in time order and then aggregates."""
        yield from self.stored
        yield from self.head
        for sections in self.tiers.values():
            yield from sections

    def files(self) -> list[list[FileSection]]:
        """Everything that is in files: samples, and aggregates by kind; each in time order."""
        return [sections for sections in (self.stored, *self.tiers.values()) if sections]

    @property
    def empty(self) -> bool:
        return not (self.stored or self.head or self.tiers)

    @property
    def raw_from_ms(self) -> int:
        """Time of the oldest sample; after every time when there is none any more."""
        stored_ms = self.stored[0].first_ms if self.stored else 1 << 62
        return min(stored_ms, self.head[0].first_ms) if self.head else stored_ms

    def spans(self, start_ms: int, end_ms: int) -> Iterator[tuple[Piece, int]]:
        """Pieces that may have a time in the range, each with the last time to take from it.

        Rows that are in a block and still in the head are taken from the head.
        """
        edge = min(end_ms, self.head[0].first_ms - 1) if self.head else end_ms
        for place in range(bisect_left(self.stored, start_ms, key=_last_ms), len(self.stored)):
            if self.stored[place].first_ms > edge:
                break
            yield self.stored[place], edge
        for place in range(bisect_left(self.head, start_ms, key=_last_ms), len(self.head)):
            if self.head[place].first_ms > end_ms:
                break
            yield self.head[place], end_ms

    def has_time(self, time_ms: int) -> bool:
        """Whether the head holds a tick of exactly this time."""
        for piece in reversed(self.head):
            if piece.first_ms <= time_ms <= piece.last_ms:
                times = piece.times
                return bool(times[np.searchsorted(times, time_ms)] == time_ms)
        return False


def _last_ms(piece: Piece) -> int:
    return piece.last_ms


#: Owner of a series: nobody yet, or several targets.
NOBODY, SEVERAL = -1, -2


def _nobody(_mapping: Ids) -> None:
    """Of no concern to anybody."""


class Catalogue:
    """Not thread-safe by itself: hold ``lock``."""

    def __init__(self, limits: Limits) -> None:
        self.lock = threading.Lock()
        self.limits, self.index = limits, SeriesIndex()
        self.targets: dict[str, TargetState] = {}
        self._by_number: dict[int, TargetState] = {}
        self._numbers = count()
        self._owner = np.full(1024, NOBODY, dtype=np.int32)  #: per series id: number of its target
        self._sharing: set[int] = set()  #: numbers of targets with series that others have too
        self._columns: WeakValueDictionary[bytes, Columns] = WeakValueDictionary()
        self._filed_until_ms = -(1 << 62)
        self._blobs: WeakValueDictionary[bytes, Columns] = WeakValueDictionary()
        self.frozen = 0  #: while above 0, series keep their ids
        #: Series held besides those of pieces, and who wants to know of new ids.
        self.held: Callable[[], Sequence[Ids]] = list
        self.renumbered: Callable[[Ids], None] = _nobody

    def target(self, name: str) -> TargetState:
        found = self.targets.get(name)
        if found is None:
            found = self.targets[name] = TargetState(name, next(self._numbers))
            self._by_number[found.number] = found
        return found

    def drop_target(self, target: TargetState) -> None:
        del self.targets[target.name], self._by_number[target.number]
        self._sharing.discard(target.number)

    def own(self, target: TargetState, columns: Columns) -> None:
        """Remember that these series are found in this target."""
        if columns.key in target.owned:
            return
        target.owned.add(columns.key)
        sids = columns.sids
        target.sids.update(sids.tolist())
        self._make_room()
        before = self._owner[sids]
        others = (before != NOBODY) & (before != target.number)
        if others.any():
            self._sharing.update({target.number, *before[others & (before != SEVERAL)].tolist()})
        self._owner[sids] = np.where(others, SEVERAL, target.number)

    def _make_room(self) -> None:
        while len(self._owner) < len(self.index):
            self._owner = np.concatenate([self._owner, np.full(len(self._owner), NOBODY, dtype=np.int32)])

    def add(self, series: Sequence[Labels]) -> Ids:
        """Register series that no piece holds yet."""
        sids = self.index.add(series)
        self._make_room()
        return sids

    def owner_numbers(self, wanted: Ids) -> Ids:
        """Number of each series' target; NOBODY or SEVERAL below 0."""
        return self._owner[wanted]

    def by_number(self, number: int) -> TargetState | None:
        return self._by_number.get(number)

    def owners(self, wanted: Ids) -> list[TargetState]:
        """Targets that may have any of the series."""
        counts = np.bincount(self._owner[wanted] - SEVERAL)  # at a fraction of np.unique's cost
        numbers = set((np.flatnonzero(counts) + SEVERAL).tolist())
        if SEVERAL in numbers:
            numbers |= self._sharing
        return [self._by_number[number] for number in sorted(numbers) if number in self._by_number]

    # --- column lists ---

    def columns_of(self, series: Sequence[Labels]) -> Columns:
        """The columns for series that have been let in, registered in the index."""
        return self.share(Columns(series, self.index.add(series)))

    def take_blob(self, blob: bytes) -> Columns:
        """The columns of a stored list. Raises StoreError."""
        digest = hashlib.blake2b(blob, digest_size=16).digest()
        found = self._blobs.get(digest)
        if found is None:
            key, series = decode_series(blob)
            found = self._columns.get(key)
            if found is None:
                found = self.share(Columns(series, self.index.add(series), key=key, blob=blob))
            self._blobs[digest] = found
        return found

    def share(self, columns: Columns) -> Columns:
        """The one object for these columns."""
        return self._columns.setdefault(columns.key, columns)

    # --- columns on demand ---

    def look(self) -> None:
        """Find anew up to when there are sections in files."""
        sections = (part[-1].last_ms for target in self.targets.values() for part in target.files())
        self._filed_until_ms = max(sections, default=-(1 << 62))

    def load(self, start_ms: int, end_ms: int) -> None:
        """Have the columns of every section in the range, registered in the index."""
        if start_ms <= self._filed_until_ms:
            for target in list(self.targets.values()):
                self.load_target(target, start_ms, end_ms)

    def load_target(self, target: TargetState, start_ms: int, end_ms: int) -> None:
        for sections in target.files():
            for place in range(bisect_left(sections, start_ms, key=_last_ms), len(sections)):
                if sections[place].first_ms > end_ms:
                    break
                if not sections[place].loaded:
                    sections[place].load(self.columns_in_file(sections[place]))
                    self.own(target, sections[place].columns)
                sections[place].idle = 0

    def columns_in_file(self, section: FileSection) -> Columns | None:
        """By key where somebody has them, else from the file, else from another file that tells the same list."""
        found = self._columns.get(bytes.fromhex(section.entry.key))
        if found is not None:
            return found
        try:
            return self.take_blob(section.names())
        except StoreError as error:
            logger.warning("samples.columns_unreadable", target=section.entry.target, error=str(error))
        for target in self.targets.values():
            for other in (one for sections in target.files() for one in sections):
                if other is not section and other.entry.key == section.entry.key:
                    try:
                        return self.take_blob(other.names())
                    except StoreError:  # the next may tell it
                        continue
        return None

    def unload(self) -> None:
        """Let go of columns nobody asked for lately; ``forget`` then drops series that are in no others."""
        for target in self.targets.values():
            for section in (one for sections in target.files() for one in sections):
                section.idle += 1
                if section.loaded and section.idle > IDLE_ROUNDS:
                    section.unload()

    # --- letting in ---

    def admit(self, target: TargetState, layout: Layout) -> Admitted:
        """What of a layout is let in: every known series, and new ones while the limits allow."""
        for known in target.admitted:
            if known.layout is layout:
                return known
        rejected: Counter[str] = Counter()
        kept = self._kept(target, layout.series, rejected)
        everything = len(kept) == len(layout.series)
        columns = self.columns_of(layout.series if everything else [layout.series[place] for place in kept])
        self.own(target, columns)
        found = Admitted(layout, columns, None if everything else np.array(kept, dtype=np.int64), dict(rejected))
        target.admitted = [found, *target.admitted[: REMEMBERED_LAYOUTS - 1]]
        return found

    def _kept(self, target: TargetState, series: Sequence[Labels], rejected: Counter[str]) -> list[int]:
        kept: list[int] = []
        seen: set[Labels] = set()
        room = self.limits.series - len(self.index)
        room_here = self.limits.target_series - len(target.sids)
        for place, labels in enumerate(series):
            sid = self.index.ids.get(labels)
            new, new_here = sid is None, sid is None or sid not in target.sids
            if labels in seen:
                rejected["duplicate_series"] += 1
            elif new and self.too_wide(labels):
                rejected["label_limit"] += 1
            elif (new and room <= 0) or (new_here and room_here <= 0):
                rejected["series_limit"] += 1
            else:
                room, room_here = room - new, room_here - new_here
                seen.add(labels)
                kept.append(place)
        return kept

    def too_wide(self, labels: Labels) -> bool:
        most = self.limits.label_bytes
        return len(labels) > self.limits.labels or any(
            len(word) > most or len(word.encode("utf-8", "surrogatepass")) > most for pair in labels for word in pair
        )

    # --- reading ---

    def settle(
        self, target: TargetState, wanted: Ids, start_ms: int, end_ms: int
    ) -> Iterator[tuple[Ids, list[Located]]]:
        """A target's wanted series with columns in the range, and the pieces to read them from; nothing if it has none.

        Columns of the range are loaded.
        """
        mine = self.present(target, wanted, start_ms, end_ms)
        if len(mine):
            found = [locate(piece, mine, start_ms, edge) for piece, edge in target.spans(start_ms, end_ms)]
            parts = [part for part in found if part is not None]
            if parts:
                yield mine, parts

    def sids(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Ids:
        """Matching series that have a column in the range, ascending."""
        self.load(start_ms, end_ms)
        wanted = self.index.match(matchers)
        found = [self.present(target, wanted, start_ms, end_ms) for target in self.owners(wanted)]
        return np.unique(np.concatenate(found)) if found else wanted[:0]

    def present(self, target: TargetState, wanted: Ids, start_ms: int, end_ms: int) -> Ids:
        """Those of ``wanted`` (ascending) that are columns of the target somewhere in the range."""
        return self.within(wanted, target.spans(start_ms, end_ms))

    def within(self, wanted: Ids, spans: Iterable[tuple[Piece, int]]) -> Ids:
        """Those of ``wanted`` (ascending) that are columns of one of these pieces."""
        lists = {id(piece.columns): piece.columns for piece, _ in spans}
        if len(lists) == 1:
            return next(iter(lists.values())).narrow(wanted)
        hit = np.zeros(len(wanted), dtype=np.bool_)
        for columns in lists.values():
            hit[columns.locate(wanted)[0]] = True
        return wanted if hit.all() else wanted[hit]

    # --- forgetting ---

    def forget(self) -> int:
        """Drop series that no piece holds any more, once they are many; returns how many."""
        if self.frozen:
            return 0
        alive = np.zeros(len(self.index), dtype=np.bool_)
        for sids in self.held():
            alive[sids] = True
        pieces = [piece for target in self.targets.values() for piece in target.pieces()]
        lists = {id(piece.columns): piece.columns for piece in pieces}
        for columns in lists.values():
            alive[columns.sids] = True
        dead = len(alive) - int(np.count_nonzero(alive))
        if dead < max(FORGET_FROM, len(alive) // 4):
            return 0
        self.index, mapping = self.index.without(~alive)
        self._columns.clear()
        self._blobs.clear()
        for columns in lists.values():
            columns.renumber(mapping)
            self._columns[columns.key] = columns
        self.renumbered(mapping)
        self._reown()
        return dead

    def _reown(self) -> None:
        self._make_room()
        self._owner.fill(NOBODY)
        self._sharing.clear()
        for target in self.targets.values():
            target.admitted.clear()
            target.sids.clear()
            target.owned.clear()
            for piece in target.pieces():
                self.own(target, piece.columns)
