"""Damaged files written anew from what is whole in them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.store.samples.blockfile import BlockFile, BlockWriter, Entry
from watchkeeper.store.samples.checking import Checked, bad_columns, block_files, check, check_tick, list_keys
from watchkeeper.store.samples.chunks import Packed
from watchkeeper.store.samples.columns import Columns, decode_series
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.frames import Frame, Gap, Salt, pack, scan
from watchkeeper.store.samples.lock import DirectoryLock
from watchkeeper.store.samples.records import PUSHED, TICK
from watchkeeper.store.samples.replay import segments_of


@dataclass(slots=True)
class Repaired:
    """What a repair did."""

    before: Checked
    after: Checked
    rewritten: int = 0  #: files written anew without their damaged places
    set_aside: int = 0  #: files and places moved to ``damaged/``
    removed: int = 0  #: leftovers of interrupted writes


def repair(directory: Path) -> Repaired:
    """Write damaged files anew from what is whole in them; what is damaged goes to ``damaged/``.

    Nothing whole is lost, and a second repair has nothing to do. Raises StoreError when an engine holds the directory.
    """
    held = DirectoryLock(directory)
    try:
        return _repair(directory)
    finally:
        held.release()


def _repair(directory: Path) -> Repaired:
    disk, before = Disk(), check(directory)
    done = Repaired(before, before)
    damage = Damage(directory / "damaged", disk, 1 << 62)
    for left in [*directory.glob("*/*.tmp"), *directory.glob("tiers/*/*.tmp")]:
        disk.unlink(left)
        done.removed += 1
    names = {finding.file for finding in before.findings}
    known = _column_lists(directory)
    for path in block_files(directory):
        if path.name in names:
            done.rewritten += _repair_block(path, known, disk, damage)
    done.rewritten += _repair_log(directory / "log", names, disk, damage)
    done.set_aside, done.after = damage.frames, check(directory)
    return done


def _column_lists(directory: Path) -> dict[str, bytes]:
    """Every column list that any block tells, by its key."""
    known: dict[str, bytes] = {}
    for path in block_files(directory):
        try:
            file = BlockFile(path)
        except (StoreError, OSError):
            continue
        for entry in file.footer.entries:
            if entry.key not in known:
                try:
                    known[entry.key] = file.names(entry)
                except StoreError:  # another block may tell it
                    continue
    return known


def _repair_block(path: Path, known: dict[str, bytes], disk: Disk, damage: Damage) -> int:
    """1 when something of the block could be written anew; the damaged file is set aside either way."""
    try:
        file = BlockFile(path)
        whole = [(entry, *_whole(file, entry, known)) for entry in file.footer.entries]
    except (StoreError, OSError) as error:
        damage.adopt(path, str(error))
        return 0
    saved = [(entry, packed, columns) for entry, packed, columns in whole if packed is not None and len(columns.series)]
    if saved:
        first = path.name.split("-", 1)[0]
        writer = BlockWriter(path.with_name(f"{first}-{secrets.token_hex(4)}.block"), disk)
        try:
            for entry, packed, columns in saved:
                writer.add(entry.target, file.times(entry), [packed], partial(_same, columns))
            writer.finish(file.footer.sequence, file.footer.boundary_ms)
        except OSError:
            writer.abandon()
            raise
    damage.adopt(path, "damaged; what was whole is in a new block")
    return int(bool(saved))


def _same(columns: Columns) -> Columns:
    return columns


def _whole(file: BlockFile, entry: Entry, known: dict[str, bytes]) -> tuple[Packed | None, Columns]:
    """The undamaged chunks of one target with their series; None when they cannot be told apart."""
    nothing = Columns([], np.empty(0, dtype=np.int32))
    try:
        packed = file.packed(entry)
    except StoreError:
        return None, nothing
    blob = known.get(entry.key)
    if blob is None:
        return None, nothing
    bad = set(bad_columns(packed, entry))
    kept = [column for column in range(entry.columns) if column not in bad]
    series, offsets = decode_series(blob)[1], packed.offsets()
    payload = b"".join(bytes(packed.payload[offsets[column] : offsets[column + 1]]) for column in kept)
    columns = Columns([series[column] for column in kept], np.arange(len(kept), dtype=np.int32))
    return Packed(packed.lengths[kept], packed.crcs[kept], payload), columns


def _repair_log(directory: Path, names: set[str], disk: Disk, damage: Damage) -> int:
    planned, keys = [], set[bytes]()
    for named, path, salt in segments_of(directory, damage):
        data = path.read_bytes()
        parts = list(scan(data, salt))
        keys |= list_keys(parts)
        if path.name in names:
            planned.append((named, path))
            _write_frames(named.with_suffix(".tmp"), salt, _whole_frames(named, data, parts, keys, damage), disk)
    for named, path in planned:  # every new file is whole on the disk before an old one goes
        if not any(other == path for other, _ in planned):
            disk.unlink(path)
        disk.rename(named.with_suffix(".tmp"), named)
    if planned:
        disk.sync_directory(directory)
    return len(planned)


def _whole_frames(
    named: Path, data: bytes, parts: Sequence[Frame | Gap], keys: set[bytes], damage: Damage
) -> Iterator[Frame]:
    """The frames that say something; everything else is set aside."""
    for part in parts:
        if isinstance(part, Gap):
            damage.report(f"{named.stem}-{part.start}", "bytes of the log are no frame", data[part.start : part.end])
        elif part.payload[0] in (TICK, PUSHED) and (wrong := list(check_tick(named, part, keys))):
            damage.report(f"{named.stem}-{part.start}", wrong[0].what, bytes(part.payload))
        else:
            yield part


def _write_frames(path: Path, salt: Salt, frames: Iterator[Frame], disk: Disk) -> None:
    disk.unlink(path)
    descriptor = disk.create(path)
    try:
        for frame in frames:
            write_all(disk, descriptor, pack(salt, bytes(frame.payload)))
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
