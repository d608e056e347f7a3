"""Packing the older rows of the head in memory, so that an idle engine stays small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.holes import absent_bits
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Dense, seal

MILLISECOND = timedelta(milliseconds=1)
#: Rows of a target up to which neighbouring pieces are sealed into one.
SEALED_ROWS = 240


def seal_old(catalogue: Catalogue, sizes: Sizes) -> int:
    """Pack dense pieces that no row will join and that few will ask for; returns how many were packed.

    One thread at a time. Packing itself runs outside the catalogue's lock.
    """
    with catalogue.lock:
        targets = list(catalogue.targets.values())
        dense_ms = dense_from_ms(targets, sizes, max((target.newest_ms for target in targets), default=0))
    return sum(_seal_target(catalogue, target, _edge_ms(target, dense_ms, sizes)) for target in targets)


def dense_from_ms(targets: Sequence[TargetState], sizes: Sizes, now_ms: int) -> int:
    """What ends before this need not stay dense: it is long ago, or there is no room for it."""
    room, old = sizes.dense_bytes, list[tuple[int, int]]()
    for target in targets:
        for piece in target.head:
            if isinstance(piece, Dense):
                room -= piece.nbytes
                old.append((piece.last_ms, piece.nbytes))
    first_ms = now_ms - round(sizes.dense_most / MILLISECOND)
    for last_ms, nbytes in sorted(old):
        if room >= 0:
            return max(first_ms, last_ms)
        room += nbytes
    return max(first_ms, now_ms)


def _edge_ms(target: TargetState, dense_ms: int, sizes: Sizes) -> int:
    """The newest part of a target stays dense whatever the room."""
    return min(dense_ms, target.newest_ms - round(sizes.dense_span / MILLISECOND))


def _seal_target(catalogue: Catalogue, target: TargetState, edge_ms: int) -> int:
    done = 0
    with catalogue.lock:
        groups = list(_sealable(target, edge_ms))
    for group in groups:
        sealed = seal(group, absent_bits(target.name))
        with catalogue.lock:
            sealed.columns = catalogue.share(sealed.columns)
            catalogue.own(target, sealed.columns)
            place = target.head.index(group[0])
            target.head = [*target.head[:place], sealed, *target.head[place + len(group) :]]
        done += len(group)
    return done


def _sealable(target: TargetState, edge_ms: int) -> Iterator[list[Dense]]:
    """Runs of dense pieces that are complete and end before the edge."""
    group: list[Dense] = []
    for piece in target.head[:-1]:
        if not isinstance(piece, Dense) or piece.last_ms >= edge_ms:
            if group:
                yield group
            group = []
            continue
        if group and sum(one.count for one in group) + piece.count > SEALED_ROWS:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group
