"""Pushed samples as matrices: groups, lanes and what still waits, put together again by series and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray, IntArray, Labels, Matrix, is_stale
from watchkeeper.store.samples.columns import Ids, picked_size
from watchkeeper.store.samples.decoded import Decoded
from watchkeeper.store.samples.holes import HOLE_BITS, filled, is_hole
from watchkeeper.store.samples.pieces import Located

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Part:
    """Series that have a sample, or an end, at each of the same times."""

    sids: Ids  #: ascending
    times: IntArray  #: ascending
    values: FloatArray  #: [series, time]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was settled under the store's lock: groups to read, and what waits, sorted by series and time."""

    groups: Sequence[tuple[Ids, Sequence[Located]]]
    waiting: tuple[Ids, IntArray, FloatArray]
    sids: Ids  #: all of them, ascending
    names: tuple[Labels, ...]


#: Where nobody pushes.
NOTHING = Settled((), (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0)), np.empty(0, np.int32), ())


def matrices(settled: Settled, decoded: Decoded) -> list[Matrix]:
    """Every series in one matrix, series with the same times together."""
    parts = [part for sids, found in settled.groups for part in _of_group(sids, found, decoded)]
    parts += _of_waiting(*settled.waiting)
    return [matrix for members, rows in _alike(parts) if (matrix := _joined(members, rows, settled)) is not None]


def _of_group(sids: Ids, found: Sequence[Located], decoded: Decoded) -> Iterator[Part]:
    times = np.concatenate([part.times for part in found])
    values, at = filled((len(sids), len(times)), HOLE_BITS), 0
    for part in found:
        if picked_size(part.rows):
            values[part.rows, at : at + len(part.times)] = decoded.read(part)[0]
        at += len(part.times)
    holes = is_hole(values)
    if not holes.any():
        yield Part(sids, times, values)
        return
    for chosen in _equal(_signatures(holes)):
        kept = ~holes[int(chosen[0])]
        if kept.any():
            yield Part(sids[chosen], times[kept], values[np.ix_(chosen, kept)])


def _of_waiting(sids: Ids, times: IntArray, values: FloatArray) -> Iterator[Part]:
    if not len(sids):
        return
    starts = np.flatnonzero(np.diff(sids, prepend=-1))
    counts = np.diff(np.append(starts, len(sids)))
    moments, which = np.unique(times, return_inverse=True)
    signatures = np.add.reduceat(_weights(len(moments))[which], starts)
    for chosen in _equal(signatures):
        first, count = starts[chosen], int(counts[chosen[0]])
        places = first[:, None] + np.arange(count)
        yield Part(sids[first], times[places[0]], values[places])


def _alike(parts: Sequence[Part]) -> Iterator[tuple[Sequence[Part], Ids]]:
    """Series that are in the same parts, with those parts."""
    if not parts:
        return
    sids = np.concatenate([part.sids for part in parts])
    number = np.repeat(np.arange(len(parts)), [len(part.sids) for part in parts])
    order = np.argsort(sids, kind="stable")
    sids, number = sids[order], number[order]
    starts = np.flatnonzero(np.diff(sids, prepend=-1))
    counts = np.diff(np.append(starts, len(sids)))
    signatures = np.add.reduceat(_weights(len(parts))[number], starts)
    for chosen in _equal(signatures):
        first = starts[chosen[0]]
        yield [parts[place] for place in number[first : first + counts[chosen[0]]].tolist()], sids[starts[chosen]]


def _joined(parts: Sequence[Part], sids: Ids, settled: Settled) -> Matrix | None:
    times = np.concatenate([part.times for part in parts])
    values = np.concatenate([part.values[np.searchsorted(part.sids, sids)] for part in parts], axis=1)
    if (np.diff(times) <= 0).any():
        times, order = np.unique(times, return_index=True)
        values = values[:, order]
    ended = is_stale(values)
    values[ended] = np.nan
    alive = np.flatnonzero(~ended.all(axis=1))
    if not len(alive):
        return None
    names = tuple([settled.names[place] for place in np.searchsorted(settled.sids, sids[alive]).tolist()])
    return Matrix(series=names, times=times, values=values[alive], present=~ended[alive])


def _signatures(holes: BoolArray) -> Words:
    """Rows with the same holes have the same number."""
    found: Words = np.where(holes, _weights(holes.shape[1])[None, :], np.uint64(0)).sum(axis=1, dtype=np.uint64)
    return found


def _weights(count: int) -> Words:
    """As many numbers whose sums over different sets differ; the same ones every time."""
    return np.random.default_rng(count).integers(1, 1 << 63, count, dtype=np.uint64)


def _equal(signatures: Words) -> Iterator[npt.NDArray[np.intp]]:
    """Positions with the same signature, in ascending order."""
    order = np.argsort(signatures, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(signatures[order])) + 1)
