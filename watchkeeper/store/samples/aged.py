"""Reading what is older than the samples: aggregates first, then the samples from where they begin."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray, IntArray, Labels, Matcher, Matrix, is_stale
from watchkeeper.store.samples.blocks import FileSection
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.holes import without_holes
from watchkeeper.store.samples.pieces import Located, Piece, gather, locate
from watchkeeper.store.samples.reader import Reader
from watchkeeper.store.samples.rollup import counter

#: A view that no single aggregate gives: counters with the resets inside buckets shown.
COUNTER = "counter"
#: Aggregates each view is made of.
MADE_OF = {COUNTER: ("min", "max", "last")}


@dataclass(frozen=True, slots=True)
class Aged:
    """Aggregates that answer for a time without samples."""

    until_ms: int  #: from here on every matching target has its samples
    resolution_ms: int  #: of the coarsest aggregate in the answer
    _base: Reader
    _catalogue: Catalogue
    _fitting_ms: int

    def reader(self, view: str) -> AgedReader:
        """``view``: min, max, sum, count, last or counter. Samples count as 1 in ``count``, as themselves elsewhere."""
        return AgedReader(self._base, self._catalogue, self._fitting_ms, view)


def find_aged(
    base: Reader, catalogue: Catalogue, matchers: Sequence[Matcher], start_ms: int, end_ms: int, fitting_ms: int
) -> Aged | None:
    """What the tiers say about the range, by buckets up to ``fitting_ms`` where there are any.

    None when the samples say it all.
    """
    until, coarsest = -(1 << 62), 0
    with catalogue.lock:
        catalogue.load(start_ms, end_ms)
        wanted = catalogue.index.match(matchers)
        for target in catalogue.owners(wanted):
            for resolution, _, first, last in _chain(target, fitting_ms, "last"):
                if first <= end_ms and last >= start_ms:
                    until, coarsest = max(until, target.raw_from_ms), max(coarsest, resolution)
    return Aged(until, coarsest, base, catalogue, fitting_ms) if coarsest else None


def _chain(target: TargetState, fitting_ms: int, aggregate: str) -> list[tuple[int, list[FileSection], int, int]]:
    """(resolution, sections, first, last) of the tiers to read, coarsest and oldest first; they do not overlap."""
    widths = sorted({width for width, _ in target.tiers})
    fitting = max((width for width in widths if width <= fitting_ms), default=0)  # the coarsest that is fine enough
    usable = [width for width in widths if width >= fitting]
    found, edge = [], target.raw_from_ms - 1
    for width in usable:
        sections = target.tiers.get((width, aggregate), [])
        if sections and sections[0].first_ms <= edge:
            found.append((width, sections, sections[0].first_ms, min(edge, sections[-1].last_ms)))
            edge = sections[0].first_ms // width * width - 1
    return found[::-1]


class AgedReader:
    """One view of tiers and samples as if it were samples."""

    def __init__(self, base: Reader, catalogue: Catalogue, fitting_ms: int, view: str) -> None:
        self._base, self._catalogue, self._fitting_ms, self._view = base, catalogue, fitting_ms, view

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        with self._catalogue.lock:
            self._catalogue.load(start_ms, end_ms)
            wanted = self._catalogue.index.match(matchers)
            settled = [self._settle(target, wanted, start_ms, end_ms) for target in self._catalogue.owners(wanted)]
        found = [self._matrix(*one) for one in settled if one is not None]
        waiting = self._base.waiting(matchers, start_ms, end_ms)
        if self._view == "count":
            waiting = [replace(one, values=np.where(one.present, 1.0, np.nan)) for one in waiting]
        return [matrix for matrix in found if len(matrix.series)] + waiting

    def _settle(
        self, target: TargetState, wanted: Ids, start_ms: int, end_ms: int
    ) -> tuple[tuple[Labels, ...], list[list[Located]], list[Located]] | None:
        """(series, per aggregate its pieces, pieces of samples)."""
        aged: list[list[tuple[Piece, int]]] = []
        for aggregate in MADE_OF.get(self._view, (self._view,)):
            pieces: list[tuple[Piece, int]] = []
            for _, sections, _, last in _chain(target, self._fitting_ms, aggregate):
                place = bisect_left(sections, start_ms, key=lambda one: one.last_ms)
                pieces += [(one, min(last, end_ms)) for one in sections[place:] if one.first_ms <= min(last, end_ms)]
            aged.append(pieces)
        raw = list(target.spans(start_ms, end_ms))
        hit = np.zeros(len(wanted), dtype=np.bool_)
        for piece, _ in (*aged[0], *raw):
            hit[piece.columns.locate(wanted)[0]] = True
        mine = wanted[hit]
        if not len(mine):
            return None
        return (
            self._catalogue.index.series(mine),
            [_located(pieces, mine, start_ms) for pieces in aged],
            _located(raw, mine, start_ms),
        )

    def _matrix(self, series: tuple[Labels, ...], aged: list[list[Located]], raw: list[Located]) -> Matrix:
        parts = []
        if aged[0]:
            read = [gather(parts, len(series)) for parts in aged]
            parts.append(counter(read[0][0], *(values for _, values in read)) if self._view == COUNTER else read[0])
        if raw:
            times, values = gather(raw, len(series))
            parts.append(self._samples(times, without_holes(values)))
        times = np.concatenate([times for times, _ in parts] or [np.empty(0, np.int64)])
        values = np.concatenate([values for _, values in parts] or [np.empty((len(series), 0))], axis=1)
        present = ~is_stale(values)
        alive: BoolArray = np.logical_or.reduce(present, axis=1)
        kept = tuple(labels for labels, lives in zip(series, alive.tolist(), strict=True) if lives)
        values = np.where(present, values, np.nan)[alive]
        return Matrix(series=kept, times=times, values=values, present=present[alive])

    def _samples(self, times: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
        if self._view == "count":
            values[~is_stale(values)] = 1.0
        return times, values

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        return self._base.series(matchers, start_ms, end_ms)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return self._base.label_names(matchers, start_ms, end_ms)

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return self._base.label_values(name, matchers, start_ms, end_ms)


def _located(pieces: Sequence[tuple[Piece, int]], mine: Ids, start_ms: int) -> list[Located]:
    found = [locate(piece, mine, start_ms, edge) for piece, edge in pieces]
    return [part for part in found if part is not None]
