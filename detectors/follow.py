"""A clipped exponentially weighted level and deviation, for many series and several channels at once.

One wild value moves neither far: both learn at most ``clip`` deviations from a sample. A change that lasts is
believed step by step: the allowance for the deviation doubles with every outlier in a row, and after ``PATIENCE``
of them the level goes where the series is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import FloatArray

from .base import Array, State, blank

#: Outliers in a row after which a change counts as lasting.
PATIENCE = 20
#: Outliers in a row after which others may learn from the samples as they are.
CONVINCED = 5
#: Samples that set level and deviation without any clipping.
SETTLE = 10
#: Smallest deviation, relative to the level: below this a change is rounding (float32 holds 6e-8).
RELATIVE_FLOOR = 1e-6
#: Smallest deviation at level 0.
ABSOLUTE_FLOOR = 1e-9
#: Doublings of the allowance at most: 3e-9 * 2**30 passes 1, and float32 does not overflow.
MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """One entry a channel."""

    gain: Array  #: share of a new sample in the level; 1 keeps the last value
    deviation_gain: Array  #: share of a new error in the deviation
    clip: float = 3.0  #: deviations one sample may move them


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What a step found before it learned; arrays are [series, channel], NaN where unknown."""

    expected: FloatArray  #: the level before this sample
    scale: Array  #: the deviation before this sample, never below the floor
    ratio: Array  #: |sample - expected| / scale
    seen: Array  #: samples known before this one
    believed: FloatArray  #: the sample, cut to what is credible while it stands alone


def tuning(*gains: tuple[float, float]) -> Tuning:
    """Tuning of the channels given as (gain, deviation gain) pairs."""
    pairs = np.array(gains, dtype=np.float32)
    return Tuning(gain=pairs[:, 0], deviation_gain=pairs[:, 1])


def start_rows(count: int, channels: int) -> dict[str, Array]:
    return {
        "level": blank(count, channels, dtype=np.float64),
        "deviation": blank(count, channels),
        "run": blank(count, channels, dtype=np.int16),
        "seen": blank(count, channels, dtype=np.int32),
    }


def follow(state: State, sample: FloatArray, tuned: Tuning) -> Followed:
    """Compare the samples [series, channel] with their levels, then learn from them."""
    rows = state.rows
    known, seen, run = ~np.isnan(sample), rows["seen"], rows["run"]
    fresh = known & (seen == 0)
    level = np.where(fresh, sample, rows["level"])
    deviation = np.where(fresh, np.float32(0), rows["deviation"])
    error = (sample - level).astype(np.float32)
    scale = np.maximum(deviation, (RELATIVE_FLOOR * np.abs(level) + ABSOLUTE_FLOOR).astype(np.float32))
    size = np.abs(error)
    ratio = size / scale
    outlier = (ratio > tuned.clip) & (seen >= SETTLE)
    allowed = tuned.clip * scale
    step = np.where(outlier & (run < PATIENCE), np.copysign(allowed, error), error)
    step = np.where(tuned.gain == 1.0, error, step)  # the last value is not a level: it is never clipped
    early = 1.0 / (seen + 1.0).astype(np.float32)
    gain = np.where(run >= PATIENCE, np.float32(0.5), np.maximum(tuned.gain, early))
    allowed = np.where(outlier, np.ldexp(allowed, np.minimum(run, MOST_DOUBLINGS)), size)
    moved = np.where(known, level + np.maximum(gain, tuned.gain) * step, level)
    learned = deviation + np.maximum(tuned.deviation_gain, early) * (np.minimum(size, allowed) - deviation)
    rows["level"], rows["deviation"] = moved, np.where(known, learned, deviation)
    rows["run"] = np.where(known, np.where(outlier, np.minimum(run + 1, 1000), 0), run).astype(np.int16)
    rows["seen"] = seen + known
    believed = np.where(run >= CONVINCED, sample, level + step)
    return Followed(expected=level, scale=scale, ratio=ratio, seen=seen, believed=believed)
