"""The long-term tiers: what 5 minutes and 1 hour of samples come to, kept when the samples themselves have gone.

A tier is a directory of block files like any other; each of its sections is one aggregate of one target. A day is
rolled up once its last block is cut, and early where a block is dropped before that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray, IntArray, Labels, is_stale
from watchkeeper.store.samples.blockfile import BlockWriter
from watchkeeper.store.samples.blocks import CUT_VALUES, UNLOADED, Block, FileSection, open_block, open_blocks
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.chunks import Packed, pack
from watchkeeper.store.samples.columns import Columns, Pick, decode_series
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.holes import without_holes
from watchkeeper.store.samples.pieces import Piece, gather, locate, union
from watchkeeper.store.samples.rollup import AGGREGATES, roll

#: Widths of the buckets, finest first.
RESOLUTIONS = {300_000: "5m", 3_600_000: "1h"}
DAY_MS = 86_400_000
#: Stands between target and aggregate in the name of a section; no target's name has it.
SEPARATOR = "\x1f"
#: Of the size the store may have, what aggregates may take at most.
SHARE = 0.25
NEVER = -(1 << 62)


class Tier:
    """One resolution."""

    def __init__(
        self, directory: Path, resolution_ms: int, age: timedelta, catalogue: Catalogue, disk: Disk, damage: Damage
    ) -> None:
        self._directory, self.resolution_ms, self._age = directory, resolution_ms, age
        self._catalogue, self._disk, self._damage = catalogue, disk, damage
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.blocks: Sequence[Block] = []
        for block in open_blocks(directory, damage):
            self._take(block)

    def _take(self, block: Block) -> None:
        self.blocks = sorted([*self.blocks, block], key=lambda one: one.last_ms)
        for name, section in block.sections.items():
            target_name, _, aggregate = name.rpartition(SEPARATOR)
            target = self._catalogue.target(target_name)
            sections = target.tiers.setdefault((self.resolution_ms, aggregate), [])
            sections.append(section)
            sections.sort(key=lambda one: one.first_ms)
        self._catalogue.look()

    def nbytes(self) -> int:
        return sum(block.file.size for block in self.blocks)

    # --- rolling up ---

    def roll_up(self, upto_ms: int) -> int:
        """Roll up whatever lies before ``upto_ms`` (a multiple of the resolution); returns files written."""
        with self._catalogue.lock:
            targets = list(self._catalogue.targets.values())
            plan: dict[int, list[tuple[TargetState, int, int]]] = {}
            for target in targets:
                for day, low, high in self._days(target, upto_ms):
                    plan.setdefault(day, []).append((target, low, high))
        for day, parts in sorted(plan.items()):
            self._write(day, parts)
        return len(plan)

    def _days(self, target: TargetState, upto_ms: int) -> Iterator[tuple[int, int, int]]:
        """(day, first, end) of what of a target is not rolled up yet."""
        pieces = [*target.stored[:1], *target.head[:1]]
        if not pieces:
            return
        low = max(self.rolled_ms(target), min(piece.first_ms for piece in pieces))
        for day in range(low // DAY_MS, -(-upto_ms // DAY_MS)):
            first, end = max(low, day * DAY_MS), min(upto_ms, (day + 1) * DAY_MS)
            if first < end and any(True for _ in target.spans(first, end - 1)):
                yield day, first, end

    def rolled_ms(self, target: TargetState) -> int:
        """End of the last bucket there is."""
        sections = target.tiers.get((self.resolution_ms, "last"))
        return (sections[-1].last_ms // self.resolution_ms + 1) * self.resolution_ms if sections else NEVER

    def lacks(self, block: Block) -> bool:
        """Whether rows of this block are in no bucket yet."""
        with self._catalogue.lock:
            return any(
                section.last_ms >= self.rolled_ms(self._catalogue.targets[name])
                for name, section in block.sections.items()
            )

    def _write(self, day: int, parts: Sequence[tuple[TargetState, int, int]]) -> None:
        path = self._directory / f"{day * DAY_MS:015d}-{secrets.token_hex(4)}.block"
        writer = BlockWriter(path, self._disk)
        wrote = False
        try:
            for target, low, high in parts:
                with self._catalogue.lock:
                    spans = list(target.spans(low, high - 1))
                ids: dict[Labels, int] = {}
                pieces = [(self._local(piece, ids), edge) for piece, edge in spans]
                wrote |= self._write_target(writer, target.name, pieces, low, high)
            if not wrote:
                writer.abandon()
                return
            writer.finish(0, (day + 1) * DAY_MS)
        except OSError:
            writer.abandon()
            raise
        with self._catalogue.lock:
            self._take(open_block(path, self._damage))

    def _local(self, piece: Piece, ids: dict[Labels, int]) -> Piece:
        """The piece with series numbered for this target alone: a day's worth of them need not be in the index."""
        columns = piece.columns
        series: Sequence[Labels] = columns.series
        if isinstance(piece, FileSection) and columns is UNLOADED:
            try:
                series = decode_series(piece.names())[1]
            except StoreError:  # another block may tell the same list
                with self._catalogue.lock:
                    told = self._catalogue.columns_in_file(piece)
                series = () if told is None else told.series
        numbers = np.array([ids.setdefault(labels, len(ids)) for labels in series], dtype=np.int32)
        return _Local(piece, Columns(series, numbers, key=b"local"))

    def _write_target(
        self, writer: BlockWriter, name: str, spans: Sequence[tuple[Piece, int]], low: int, high: int
    ) -> bool:
        """Every aggregate of one target as a section; False when there was no sample."""
        pieces = [piece for piece, _ in spans]
        columns = union(pieces)
        if not len(columns):
            return False  # nothing but the end of series, as scores have while they are learned
        order = np.argsort(columns.sids)
        packed: dict[str, list[Packed]] = {aggregate: [] for aggregate in AGGREGATES}
        kept, times = [], np.empty(0, dtype=np.int64)
        rows = sum(len(piece.times) for piece in pieces)
        step = max(1, CUT_VALUES // max(rows, 1))
        for start in range(0, len(columns), step):
            wanted = order[start : start + step]
            found = [locate(piece, columns.sids[wanted], low, min(edge, high - 1)) for piece, edge in spans]
            parts = [part for part in found if part is not None]
            if not parts:
                return False
            at, values = gather(parts, len(wanted))
            values = without_holes(values)
            present = np.flatnonzero(~is_stale(values).all(axis=1))
            rolled = roll(at, values[present], self.resolution_ms)
            times = rolled.times
            kept.append(wanted[present])
            for aggregate, matrix in zip(AGGREGATES, rolled.values, strict=True):
                packed[aggregate].append(pack(np.ascontiguousarray(matrix)))
        places = np.concatenate(kept)
        if not len(places):
            return False
        listed = Columns([columns.series[place] for place in places.tolist()], columns.sids[places])
        for aggregate in AGGREGATES:
            writer.add(f"{name}{SEPARATOR}{aggregate}", times, packed[aggregate], lambda: listed)
        return True

    # --- retention ---

    def retain(self, now: datetime, most_bytes: float | None) -> int:
        """Unlink what is too old, and the oldest while there is too much; returns how many files."""
        oldest_ms, done = to_ms(now - self._age), 0
        while self.blocks and (
            self.blocks[0].last_ms < oldest_ms or (most_bytes is not None and self.nbytes() > most_bytes)
        ):
            self._drop(self.blocks[0])
            done += 1
        return done

    def _drop(self, block: Block) -> None:
        self._disk.unlink(block.file.path)
        with self._catalogue.lock:
            self.blocks = [other for other in self.blocks if other is not block]
            for name, section in block.sections.items():
                target_name, _, aggregate = name.rpartition(SEPARATOR)
                target = self._catalogue.targets[target_name]
                sections = target.tiers[(self.resolution_ms, aggregate)]
                sections.remove(section)
                if not sections:
                    del target.tiers[(self.resolution_ms, aggregate)]
                if target.empty:
                    self._catalogue.drop_target(target)


class _Local:
    """A piece whose series have other numbers."""

    def __init__(self, piece: Piece, columns: Columns) -> None:
        self._piece, self.columns = piece, columns
        self.first_ms, self.last_ms, self.nbytes = piece.first_ms, piece.last_ms, piece.nbytes

    @property
    def times(self) -> IntArray:
        return self._piece.times

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        return self._piece.fill(out, pick, low)


class Tiers:
    """Every resolution that is kept, and where samples end and aggregates begin."""

    def __init__(
        self, directory: Path, ages: Mapping[int, timedelta], catalogue: Catalogue, disk: Disk, damage: Damage
    ) -> None:
        self._catalogue = catalogue
        self.tiers = [
            Tier(directory / RESOLUTIONS[width], width, age, catalogue, disk, damage)
            for width, age in sorted(ages.items())
        ]
        self.aged_until_ms = NEVER  #: nothing at or after this needs an aggregate
        self.look()

    def roll_up(self, upto_ms: int) -> int:
        return sum(tier.roll_up(upto_ms // tier.resolution_ms * tier.resolution_ms) for tier in self.tiers)

    def cover(self, block: Block, upto_ms: int) -> None:
        """A block is about to go: roll up all there is, unless every row of it is rolled up already."""
        for tier in self.tiers:
            if tier.lacks(block):
                tier.roll_up(upto_ms // tier.resolution_ms * tier.resolution_ms)

    def retain(self, now: datetime, size_bytes: int | None) -> int:
        """Drop aggregates by age and by their share of the size; finest first, as the coarse ones are small."""
        done = 0
        for place, tier in enumerate(self.tiers):
            others = sum(other.nbytes() for other in self.tiers[place + 1 :])
            done += tier.retain(now, None if size_bytes is None else max(size_bytes * SHARE - others, 0))
        return done

    def look(self) -> None:
        """Find anew where samples end."""
        with self._catalogue.lock:
            raw = [target.raw_from_ms for target in self._catalogue.targets.values() if target.tiers]
        self.aged_until_ms = max(raw, default=NEVER)

    def nbytes(self) -> int:
        return sum(tier.nbytes() for tier in self.tiers)

    def files(self) -> dict[str, list[Path]]:
        """By subdirectory of the store, for backups."""
        return {
            f"tiers/{RESOLUTIONS[tier.resolution_ms]}": [block.file.path for block in tier.blocks]
            for tier in self.tiers
        }
