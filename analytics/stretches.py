"""Two stretches of a series, usual times and an incident, on one grid: what ``deviation`` compares. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .deviation import LONG, FloatArray

#: Steps of the incident's stretch: the most for which moves within it count, and not its level alone.
STEPS = LONG - 1

IntArray = npt.NDArray[np.int64]


def stretches(
    times: IntArray, values: FloatArray, *, counter: bool, since: int, begin: int, end: int
) -> tuple[FloatArray, FloatArray]:
    """(usual, during): means of steps as long as a ``STEPS``-th of ``begin`` to ``end``, NaN where nothing is known.

    ``times`` in milliseconds, increasing; ``values`` may hold NaN. A counter's are its rates a second, none over
    a reset.
    """
    step = max((end - begin) // STEPS, 1)
    before = max((begin - since) // step, 0)
    if counter:
        times, values = times[1:], _rates(times, values)
    known = np.isfinite(values)
    places = (times[known] - (begin - before * step)) // step
    inside = (places >= 0) & (places < before + STEPS)
    count = np.bincount(places[inside], minlength=before + STEPS)
    total = np.bincount(places[inside], weights=values[known][inside], minlength=before + STEPS)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means[:before], means[before:]


def _rates(times: IntArray, values: FloatArray) -> FloatArray:
    rates = np.diff(values) * 1000.0 / np.maximum(np.diff(times), 1)
    return np.where(rates < 0, np.nan, rates)
