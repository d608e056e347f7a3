"""Packing the older rows of the head in memory, so that an idle engine stays small."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.holes import absent_bits
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Dense, seal

#: Rows of a target up to which neighbouring pieces are sealed into one.
SEALED_ROWS = 240


def seal_old(catalogue: Catalogue, sizes: Sizes) -> int:
    """Pack dense pieces that no row will join and that few will ask for; returns how many were packed.

    One thread at a time. Packing itself runs outside the catalogue's lock.
    """
    with catalogue.lock:
        targets = list(catalogue.targets.values())
    return sum(
        _seal_target(catalogue, target, round(sizes.dense_span / timedelta(milliseconds=1))) for target in targets
    )


def _seal_target(catalogue: Catalogue, target: TargetState, dense_ms: int) -> int:
    done = 0
    with catalogue.lock:
        groups = list(_sealable(target, dense_ms))
    for group in groups:
        sealed = seal(group, absent_bits(target.name))
        with catalogue.lock:
            sealed.columns = catalogue.share(sealed.columns)
            catalogue.own(target, sealed.columns)
            place = target.head.index(group[0])
            target.head = [*target.head[:place], sealed, *target.head[place + len(group) :]]
        done += len(group)
    return done


def _sealable(target: TargetState, dense_ms: int) -> Iterator[list[Dense]]:
    """Runs of dense pieces that are complete and older than the target's dense span."""
    group: list[Dense] = []
    for piece in target.head[:-1]:
        if not isinstance(piece, Dense) or piece.last_ms >= target.newest_ms - dense_ms:
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
