"""Damaged files of log lines written anew from what is whole in them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.store.logs.active import NAME as ACTIVE
from watchkeeper.store.logs.checking import CheckedLines, check_lines, line_files, salt_of, whole_parts
from watchkeeper.store.logs.piece import merge
from watchkeeper.store.logs.sealed import of_path, write_segment
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.frames import Frame, Salt, pack, scan
from watchkeeper.store.samples.lock import DirectoryLock


@dataclass(slots=True)
class RepairedLines:
    """What a repair did."""

    before: CheckedLines
    after: CheckedLines
    rewritten: int = 0  #: files written anew without their damaged places
    removed: int = 0  #: leftovers of interrupted writes


def repair_lines(directory: Path) -> RepairedLines:
    """Write damaged files anew from what is whole in them; the files as they were go to ``damaged/``.

    Nothing whole is lost, and a second repair has nothing to do. Raises StoreError when an engine holds the directory.
    """
    held = DirectoryLock(directory)
    try:
        before = check_lines(directory)
        done, disk = RepairedLines(before, before), Disk()
        damage = Damage(directory / "damaged", disk, 1 << 62)
        for left in directory.glob("*.tmp"):
            disk.unlink(left)
            done.removed += 1
        names = {finding.file: finding.what for finding in before.findings}
        for path in line_files(directory):
            if path.name in names:
                _repair(path, disk)
                damage.adopt(path, names[path.name])
                done.rewritten += 1
        disk.sync_directory(directory)
        done.after = check_lines(directory)
        return done
    finally:
        held.release()


def _repair(path: Path, disk: Disk) -> None:
    """The whole parts of a file under a new name; none where nothing is whole."""
    data, salt, sealed, matched = path.read_bytes(), salt_of(path), of_path(path), ACTIVE.fullmatch(path.name)
    if salt is None:
        return
    if sealed is None:
        assert matched is not None
        _rewrite(path.parent, matched[1], data, salt, disk)
        return
    pieces = [part.piece for part in whole_parts(path, data, salt, CheckedLines()) if len(part.piece.columns)]
    if pieces:
        temporary, name = write_segment(path.parent, sealed.number, sealed.klass, merge(pieces), disk)
        disk.rename(temporary, name)


def _rewrite(directory: Path, number: str, data: bytes, salt: Salt, disk: Disk) -> None:
    """Frames as they are, lines and positions in their order, for a file that has not been sealed."""
    word = secrets.token_hex(8)
    temporary = directory / f"{number}-{word}.active.tmp"
    descriptor = disk.create(temporary)
    try:
        for part in scan(data, salt):
            if isinstance(part, Frame):
                write_all(disk, descriptor, pack(Salt.parse(word), bytes(part.payload)))
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(temporary, temporary.with_suffix(""))
