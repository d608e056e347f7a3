"""Integrity: every byte of every block and log segment looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.errors import StoreError
from watchkeeper.store.samples.blockfile import MAGIC, TAIL, BlockFile, Entry
from watchkeeper.store.samples.chunks import Packed, pick_chunks
from watchkeeper.store.samples.columns import decode_series
from watchkeeper.store.samples.frames import Frame, Gap, Salt, scan
from watchkeeper.store.samples.records import COLUMNS, END, PUSHED, TICK, parse_pushed, parse_tick
from watchkeeper.store.samples.replay import segments_of
from watchkeeper.store.samples.snapshot import Noted
from watchkeeper.store.samples.unpacking import unpack


@dataclass(frozen=True, slots=True)
class Finding:
    """One damaged place."""

    file: str
    offset: int
    what: str


@dataclass(slots=True)
class Checked:
    """What a check has looked at and found."""

    blocks: int = 0
    segments: int = 0
    bytes: int = 0
    chunks: int = 0
    ticks: int = 0
    torn_tails: int = 0  #: unfinished writes at the end of a segment: no damage
    findings: list[Finding] = field(default_factory=list)


def check(directory: Path) -> Checked:
    """Read everything and change nothing; an engine may be running. Raises StoreError when this is no store."""
    if not (directory / "blocks").is_dir() or not (directory / "log").is_dir():
        raise StoreError(f"{directory} holds no samples: name the folder with `log` and `blocks` in it")
    checked = Checked()
    for path in block_files(directory):
        _check_block(path, checked)
    noted, keys = Noted(directory), set[bytes]()
    for named, path, salt in segments_of(directory / "log", noted):
        if named != path:
            checked.findings.append(Finding(path.name, 0, f"is the segment {named.name} under another name"))
        _check_segment(path, salt, checked, keys)
    checked.findings += [Finding(place, 0, what) for place, what in noted.found]
    return checked


# --- blocks ---


def block_files(directory: Path) -> list[Path]:
    """Blocks of samples and of aggregates."""
    return [*sorted((directory / "blocks").glob("*.block")), *sorted((directory / "tiers").glob("*/*.block"))]


def _check_block(path: Path, checked: Checked) -> None:
    checked.blocks += 1
    try:
        file = BlockFile(path)
    except FileNotFoundError:  # retention took it meanwhile
        checked.blocks -= 1
        return
    except (StoreError, OSError) as error:
        checked.findings.append(Finding(path.name, 0, str(error)))
        return
    checked.bytes += file.size
    for entry in file.footer.entries:
        checked.chunks += entry.columns
        checked.findings += _check_entry(file, entry)
    if _footers(path.read_bytes()) < 2:  # one is enough to read the block, but no damage costs it twice
        checked.findings.append(Finding(path.name, 0, "one of the two footers is damaged"))


def _footers(data: bytes) -> int:
    """How many readable footers a block ends with."""
    count, end = 0, len(data)
    while (end := data.rfind(MAGIC, 0, end)) > len(MAGIC) and count < 2:
        start = end - TAIL.size
        length, crc = TAIL.unpack_from(data, start)
        count += 0 < length <= start and zlib.crc32(data[start - length : start]) == crc
    return count


def _check_entry(file: BlockFile, entry: Entry) -> Iterator[Finding]:
    name = file.path.name
    try:
        listed = len(decode_series(file.names(entry))[1])
        if listed != entry.columns:
            yield Finding(name, entry.names.offset, f"{listed} series are listed for {entry.columns} columns")
    except StoreError as error:
        yield Finding(name, entry.names.offset, str(error))
    try:
        packed = file.packed(entry)
    except StoreError as error:
        yield Finding(name, entry.directory.offset, str(error))
        return
    for column in bad_columns(packed, entry):
        at = entry.data_offset + int(packed.offsets()[column])
        yield Finding(name, at, f"samples of column {column} of {entry.target} are damaged")


def bad_columns(packed: Packed, entry: Entry) -> list[int]:
    """Columns whose sum is wrong, or that do not decode to the rows the block has."""
    offsets = packed.offsets()
    chunks, bad = pick_chunks(packed, offsets, slice(0, entry.columns))
    known = set(bad)
    for column, chunk in enumerate(chunks):
        if column not in known:
            try:
                unpack([chunk], entry.rows)
            except (StoreError, ValueError):
                known.add(column)
    return sorted(known)


# --- log ---


def _check_segment(path: Path, salt: Salt, checked: Checked, keys: set[bytes]) -> None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # its rows went to a block meanwhile
        return
    except OSError as error:
        checked.findings.append(Finding(path.name, 0, f"cannot be read: {error}"))
        return
    checked.segments += 1
    checked.bytes += len(data)
    parts = list(scan(data, salt))
    ended = any(isinstance(part, Frame) and part.payload[:1] == bytes([END]) for part in parts)
    keys |= list_keys(parts)
    for part in parts:
        if isinstance(part, Gap):
            if part.torn and not ended:
                checked.torn_tails += 1
            else:
                checked.findings.append(Finding(path.name, part.start, f"{part.end - part.start} bytes are no frame"))
        elif part.payload[0] in (TICK, PUSHED):
            checked.ticks += 1
            checked.findings += check_tick(path, part, keys)


def list_keys(parts: Sequence[Frame | Gap]) -> set[bytes]:
    keys = set()
    for part in parts:
        if isinstance(part, Frame) and part.payload[:1] == bytes([COLUMNS]):
            try:
                keys.add(decode_series(bytes(part.payload[1:]))[0])
            except StoreError:  # its ticks say that the list is lost
                continue
    return keys


def check_tick(path: Path, frame: Frame, keys: set[bytes]) -> Iterator[Finding]:
    """Of a frame with samples."""
    try:
        if frame.payload[0] == PUSHED:
            pushed = parse_pushed(frame.payload)
            pushed.arrays()
            if not keys.issuperset(pushed.keys):
                yield Finding(path.name, frame.start, "a list of pushed series is lost")
            return
        tick = parse_tick(frame.payload)
        tick.values()
        if tick.key not in keys:
            yield Finding(path.name, frame.start, f"the column list of a tick of {tick.target} is lost")
    except StoreError as error:
        yield Finding(path.name, frame.start, str(error))
