"""Blocks of the store: open block files, the parts of them that belong to one target, and cutting new ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples.blockfile import BlockFile, BlockWriter, Entry
from watchkeeper.store.samples.chunks import Packed, pack, pick_chunks
from watchkeeper.store.samples.columns import Columns, Pick
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.directories import DIRECTORIES, Directory
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.holes import absent_bits, is_absent
from watchkeeper.store.samples.pieces import Located, Piece, gather, union
from watchkeeper.store.samples.unpacking import unpack_into

logger = structlog.get_logger(__name__)

#: Values decoded at once while a block is cut: bounds memory, not the block.
CUT_VALUES = 4 << 20


#: Of a section that nobody has asked for yet.
UNLOADED = Columns([], np.empty(0, dtype=np.int32))


class FileSection:
    """One target's part of one block. Its columns are loaded when somebody asks for its time: memory follows use."""

    __slots__ = ("__weakref__", "_block", "_damage", "columns", "entry", "first_ms", "idle", "last_ms", "loaded")

    def __init__(self, block: BlockFile, entry: Entry, damage: Damage) -> None:
        self._block, self.entry, self._damage = block, entry, damage
        self.first_ms, self.last_ms = entry.first_ms, entry.last_ms
        self.columns, self.loaded, self.idle = UNLOADED, False, 0

    def names(self) -> bytes:
        """The stored column list. Raises StoreError."""
        return self._block.names(self.entry)

    def load(self, columns: Columns | None) -> None:
        """None: the list is damaged here and told nowhere else, so the section stays without columns."""
        self.loaded, self.idle = True, 0
        if columns is not None:
            self.columns = columns
            return
        what = f"the column list of {self.entry.target} is damaged here and told nowhere else"
        self._damage.report(f"{self._block.path.stem}-{self.entry.names.offset}", what, b"")

    def unload(self) -> None:
        self.columns, self.loaded = UNLOADED, False
        DIRECTORIES.drop(self)

    @property
    def times(self) -> IntArray:
        return self._block.times(self.entry)

    @property
    def nbytes(self) -> int:
        return 0

    @property
    def place(self) -> str:
        """Names this section in reports of damage."""
        return f"{self._block.path.stem}-section-{self.entry.data_offset}"

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        try:
            packed, offsets = self._opened()
        except StoreError as error:
            self._damage.report(f"{self._block.path.stem}-{self.entry.directory.offset}", str(error), b"")
            return unpack_into(out, [None] * len(out), self.entry.rows, low)
        chunks, bad = pick_chunks(packed, offsets, pick)
        for column in bad:
            start, end = int(offsets[column]), int(offsets[column + 1])
            place = f"{self._block.path.stem}-{self.entry.data_offset + start}"
            self._damage.report(place, "a chunk of a block is damaged", bytes(packed.payload[start:end]))
        return unpack_into(out, chunks, self.entry.rows, low)

    def _opened(self) -> Directory:
        """Where the chunks lie: kept while somebody asks for this section. Raises StoreError."""
        kept = DIRECTORIES.get(self)
        if kept is None:
            packed = self._block.packed(self.entry)
            kept = packed, packed.offsets()
            DIRECTORIES.keep(self, kept)
        return kept


class Block:
    """One block file and its sections by target name."""

    def __init__(self, file: BlockFile, sections: Mapping[str, FileSection]) -> None:
        self.file, self.sections = file, sections
        self.first_ms = min((entry.first_ms for entry in file.footer.entries), default=0)
        self.last_ms = max((entry.last_ms for entry in file.footer.entries), default=0)


def open_blocks(directory: Path, damage: Damage, *, tidy: bool = True) -> list[Block]:
    """Every readable block of the directory, oldest first; damaged files are set aside, temporary ones removed.

    Without ``tidy`` no file is touched: the directory is somebody else's.
    """
    for left in directory.glob("*.tmp") if tidy else ():
        left.unlink()
    found = []
    for path in sorted(directory.glob("*.block"), key=lambda path: path.name):
        try:
            found.append(open_block(path, damage))
        except (StoreError, OSError) as error:
            damage.adopt(path, str(error))
    return found


def open_block(path: Path, damage: Damage) -> Block:
    """Raises StoreError."""
    file = BlockFile(path)
    return Block(file, {entry.target: FileSection(file, entry, damage) for entry in file.footer.entries})


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one head piece that go into a block."""

    piece: Piece
    low: int
    high: int
    times: IntArray


def write_block(path: Path, disk: Disk, plan: Mapping[str, Sequence[Part]], *, sequence: int, boundary_ms: int) -> None:
    """Write the planned rows of every target as one block. Raises OSError, leaving nothing behind."""
    writer = BlockWriter(path, disk)
    try:
        for target, parts in plan.items():
            _write_target(writer, target, parts)
        writer.finish(sequence, boundary_ms)
    except OSError:
        writer.abandon()
        raise


def _write_target(writer: BlockWriter, target: str, parts: Sequence[Part]) -> None:
    columns = parts[0].piece.columns
    if any(part.piece.columns is not columns for part in parts):
        columns = union([part.piece for part in parts])
    times = np.concatenate([part.times for part in parts])
    kept: list[IntArray] = []
    ranges = _packed_ranges(parts, columns, len(times), kept, absent_bits(target))
    writer.add(target, times, ranges, lambda: _subset(columns, kept))


def _packed_ranges(
    parts: Sequence[Part], columns: Columns, rows: int, kept: list[IntArray], absent: int
) -> Iterator[Packed]:
    """Chunks of the columns that have a sample, some columns at a time; ``kept`` learns which."""
    step = max(1, CUT_VALUES // rows)
    for low in range(0, max(len(columns), 1), step):
        high = min(low + step, len(columns))
        _, values = gather([_located(part, columns, low, high) for part in parts], high - low, absent)
        present = np.flatnonzero(~is_absent(values).all(axis=1))
        kept.append(low + present)
        yield pack(values[present])


def _located(part: Part, columns: Columns, low: int, high: int) -> Located:
    mine = part.piece.columns
    same = (slice(0, high - low), slice(low, high))
    rows, picked = same if mine is columns else mine.locate(columns.sids[low:high])
    return Located(part.piece, part.times, part.low, part.high, rows, picked)


def _subset(columns: Columns, kept: Sequence[IntArray]) -> Columns:
    places = np.concatenate(kept)
    if len(places) == len(columns):
        return columns
    return Columns([columns.series[place] for place in places.tolist()], columns.sids[places])
