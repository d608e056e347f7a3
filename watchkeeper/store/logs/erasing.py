"""Lines that name one person taken out of segments, each written anew without them before the old one goes."""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.person import Person
from watchkeeper.store.logs.match import Flags
from watchkeeper.store.logs.piece import Piece, merge, pick
from watchkeeper.store.logs.sealed import Sealed, of_path, write_segment
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk


@dataclass(slots=True)
class ErasedLines:
    """What was found; with ``erase`` it is gone."""

    lines: int = 0
    segments: int = 0  #: files they were in
    unreadable: int = 0  #: parts of segments that are damaged: who is named there is not known


def naming(piece: Piece, person: Person) -> Flags:
    """Lines that name the person, in their text or in a label; shape [lines]."""
    by_label = np.array([any(person.named_in(value) for _, value in labels) for labels in piece.streams], bool)
    found: Flags = by_label[piece.columns.stream]
    ends = piece.columns.ends.tolist()
    for place in person.places(piece.data):
        found[bisect_left(ends, place)] = True
    return found


def erase(one: Sealed, person: Person, disk: Disk, damage: Damage, found: ErasedLines) -> Sealed | None:
    """The segment that takes the place of this one, or None where nothing is left. Raises OSError.

    A segment that names nobody, or of which a part is damaged, is answered as it is.
    """
    pieces, unreadable = _pieces(one, damage)
    flags = [naming(piece, person) for piece in pieces]
    count = int(sum(np.count_nonzero(flag) for flag in flags))
    found.unreadable += unreadable
    if not count or unreadable:
        return one
    found.lines += count
    found.segments += 1
    kept = [pick(piece, np.flatnonzero(~flag)) for piece, flag in zip(pieces, flags, strict=True) if not flag.all()]
    if not kept:
        return None
    temporary, path = write_segment(one.path.parent, one.number, one.klass, merge(kept), disk)
    disk.rename(temporary, path)
    disk.sync_directory(path.parent)
    return of_path(path)


def count(one: Sealed, person: Person, damage: Damage, found: ErasedLines) -> None:
    """The same, and nothing is changed."""
    pieces, unreadable = _pieces(one, damage)
    lines = int(sum(np.count_nonzero(naming(piece, person)) for piece in pieces))
    found.unreadable += unreadable
    found.lines += lines
    found.segments += bool(lines)


def _pieces(one: Sealed, damage: Damage) -> tuple[list[Piece], int]:
    """(its lines, parts that cannot be read)."""
    pieces, unreadable = list[Piece](), 0
    for part in one.index(damage):
        try:
            pieces.append(one.payload(part.place).piece())
        except (StoreError, ValueError, struct.error):
            unreadable += 1
    return pieces, unreadable


def newest(found: list[Sealed], disk: Disk) -> list[Sealed]:
    """One segment of each file and class: where a process was killed between writing one anew and removing the old."""
    by_name: dict[tuple[int, str], Sealed] = {}
    for one in found:
        other = by_name.get((one.number, one.klass))
        if other is None:
            by_name[one.number, one.klass] = one
            continue
        newer, older = (one, other) if _age(one) > _age(other) else (other, one)
        disk.unlink(older.path)
        by_name[one.number, one.klass] = newer
    return list(by_name.values())


def _age(one: Sealed) -> tuple[int, int]:
    return one.path.stat().st_mtime_ns, -one.nbytes
