"""What the channels of the detector say of every sample of every series: the inputs that its networks are fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks._fit_series import Array, Labelled
from detectors import channels
from detectors.ensemble import Ensemble
from detectors.evaluate import blocks

#: Series looked at together.
TOGETHER = 24


def inputs_of(series: Sequence[Labelled]) -> list[Array]:
    """Of each series its inputs [time, len(channels.NAMES)], float32: 176 bytes a point."""
    found: dict[int, Array] = {}
    for chosen in _alike(series):
        found |= dict(zip(chosen, _looked_at([series[index] for index in chosen]), strict=True))
    return [found[index] for index in range(len(series))]


def _alike(series: Sequence[Labelled]) -> Iterator[list[int]]:
    """Indexes of series with the same kind of clock and interval, longest first."""
    kinds = [(one.season, one.about["interval_s"]) for one in series]
    for kind in dict.fromkeys(kinds):
        mine = [index for index, other in enumerate(kinds) if other == kind]
        mine.sort(key=lambda index: -len(series[index].values))
        yield from (mine[at : at + TOGETHER] for at in range(0, len(mine), TOGETHER))


def _looked_at(series: Sequence[Labelled]) -> list[Array]:
    detector = Ensemble(season=series[0].season)
    moments = [(one.times.astype(np.float64) * 1000).astype(np.int64) for one in series]
    answers = [np.empty((len(one.values), len(channels.NAMES)), np.float32) for one in series]
    for state, at, block, times in blocks(detector, [one.values for one in series], moments):
        view = detector.look(state, block, times)
        for row in range(len(block)):
            answers[row][at : at + block.shape[1]] = view.inputs[: len(channels.NAMES), row].T
    return answers
