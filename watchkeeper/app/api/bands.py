"""What the detector expects along a chart, having seen only the points before each; asked again, only the new ones.

An open chart asks for the same hour every few seconds. The detector's state after the points that no longer change is
kept for each question, so that the next one goes on from there. Points that did change (late samples) are seen by
comparing, and then all is scored again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from watchkeeper.model import Labels, Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.ports import Detector

#: Questions remembered.
REMEMBERED = 64
#: Newest columns that are not yet believed: samples of the last step still come in.
UNSETTLED = 3
PARTS = ("value", "expected", "lower", "upper")

Parts = dict[str, FloatArray]  #: score, expected, lower, upper; each [series, time]


@dataclass(slots=True, eq=False)
class Kept:
    """The settled columns of one question."""

    series: tuple[Labels, ...]
    times: IntArray
    values: FloatArray
    parts: Parts
    state: Any  #: of the detector after the last of them


class Bands:
    """Scores of charts. Safe to ask from several threads."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._kept: OrderedDict[tuple[str, int], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def along(self, expr: str, step_ms: int, matrix: Matrix) -> Parts:
        """``expr`` names the question; the columns of ``matrix`` are ``step_ms`` apart."""
        key = (expr, step_ms)
        with self._lock:
            kept = self._kept.pop(key, None)
        kept, known = self._continued(kept, matrix)
        settled = max(len(matrix.times) - UNSETTLED, known)
        if settled > known or kept is None:
            kept = self._settle(kept, _columns(matrix, known, settled))
        with self._lock:
            self._kept[key] = kept
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        newest = self._update(deepcopy(kept.state), _columns(matrix, settled, len(matrix.times)))[1]
        start = len(kept.times) - settled
        return {name: np.concatenate([kept.parts[name][:, start:], newest[name]], axis=1) for name in PARTS}

    @staticmethod
    def _continued(kept: Kept | None, matrix: Matrix) -> tuple[Kept | None, int]:
        """What is kept, if these columns go on from it, and how many of them it covers."""
        if kept is None or kept.series != matrix.series or not len(kept.times):
            return None, 0
        begin = int(np.searchsorted(kept.times, matrix.times[0]))
        covered = len(kept.times) - begin
        same = 0 < covered <= len(matrix.times) and np.array_equal(kept.times[begin:], matrix.times[:covered])
        if not same or not np.array_equal(kept.values[:, begin:], matrix.values[:, :covered], equal_nan=True):
            return None, 0
        return kept, covered

    def _settle(self, kept: Kept | None, columns: Matrix) -> Kept:
        if kept is None:
            state = self._detector.fit(_columns(columns, 0, 0))
            kept = Kept(columns.series, columns.times[:0], columns.values[:, :0], _none(columns), state)
        state, found = self._update(kept.state, columns)
        return Kept(
            columns.series,
            np.concatenate([kept.times, columns.times])[-MOST:],
            np.concatenate([kept.values, columns.values], axis=1)[:, -MOST:],
            {name: np.concatenate([kept.parts[name], found[name]], axis=1)[:, -MOST:] for name in PARTS},
            state,
        )

    def _update(self, state: Any, columns: Matrix) -> tuple[Any, Parts]:
        if not len(columns.times):
            return state, _none(columns)
        state, scores = self._detector.update(state, columns)
        return state, _parts(scores)


#: Columns kept of one question: more than any chart that is scored has.
MOST = 1000


def _parts(scores: Scores) -> Parts:
    return {name: getattr(scores, name) for name in PARTS}


def _none(matrix: Matrix) -> Parts:
    return {name: np.empty((len(matrix.series), 0)) for name in PARTS}


def _columns(matrix: Matrix, start: int, stop: int) -> Matrix:
    return Matrix(
        series=matrix.series,
        times=matrix.times[start:stop],
        values=matrix.values[:, start:stop],
        present=matrix.present[:, start:stop],
    )
