"""How rare each residual is, by the series' own past: its usual size, how often it is beyond a limit, and how far then.

All channels of a block at once: arrays are [series, channel, time], float32. The tail is Pareto's, its exponent Hill's
estimator over an exponentially forgetting past; both start from a prior of ``PRIOR`` samples. All of it is linear in
the past, so blocks of columns cost what one costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import moving
from .base import Array

#: Share of samples expected beyond the limit, and Hill's exponent there, before anything is known.
USUAL_SHARE, USUAL_EXPONENT = 0.02, 0.35
#: Samples that this prior knowledge counts for.
PRIOR = 60.0
#: One residual counts for at most exp(3) = 20 limits when the exponent is learned.
MOST_EXCESS = 3.0
#: Rarity is counted in decimal orders up to this.
MOST_RARITY = 30.0
#: Parts of the state, a number a series and channel each.
PARTS = ("size", "share", "excess", "record")
#: Natural logarithm of a record that any residual beats.
NOTHING = -60.0
_LOG_TWO, _LOG_TEN = np.float32(np.log(2.0)), np.float32(np.log(10.0))


@dataclass(frozen=True, slots=True)
class Pace:
    """Gains of one call: they follow from the interval between samples."""

    scale: float  #: of usual sizes
    tail: float  #: of the tail
    fall: float  #: of the record, in natural logarithms a sample


@dataclass(frozen=True, slots=True, eq=False)
class Rarity:
    """What the channels say of each sample, [series, channel, time]."""

    orders: Array  #: decimal orders of rarity
    ratio: Array  #: residual over its usual size, log2
    record: Array  #: residual over the largest so far, log2
    share: Array  #: share of samples beyond the limit
    exponent: Array  #: Hill's exponent
    usual: Array  #: usual size of the residual


def start_rows(count: int, channels: int) -> dict[str, Array]:
    rows = {part: np.zeros((count, channels), np.float32) for part in PARTS}
    return rows | {"record": np.full((count, channels), NOTHING, np.float32)}


def rarity(
    rows: moving.Rows, size: Array, floor: Array, limit: Array, seen: moving.Seen, pace: Pace, known: Array | None
) -> Rarity:
    """Judge each size by those before it, then learn it. ``limit`` is one number a channel, [channel, 1]."""
    rooted, _ = moving.follow(rows, "size", np.sqrt(size), pace.scale, known)
    usual = (rooted / seen.weight_of_channels(pace.scale)) ** 2 + floor
    grown = np.log(size / usual + np.float32(1e-3))
    far = np.maximum(grown - np.log(limit), np.float32(0))
    beyond = (far > 0).astype(np.float32)
    counted = np.minimum(seen.count, 1.0 / pace.tail).astype(np.float32)[:, None, :]
    full = counted / seen.weight_of_channels(pace.tail)
    shares, _ = moving.follow(rows, "share", beyond, pace.tail, known)
    excess, _ = moving.follow(rows, "excess", np.minimum(far, np.float32(MOST_EXCESS)), pace.tail, known)
    prior, whole = np.float32(USUAL_SHARE * PRIOR), counted + np.float32(PRIOR)
    hits = shares * full + prior
    exponent = np.maximum((excess * full + prior * np.float32(USUAL_EXPONENT)) / hits, np.float32(0.1))
    share = hits / whole
    depth = -np.log(share)
    orders = np.minimum(np.exp(grown) / limit, np.float32(1)) * depth + far / exponent
    sized = np.log(size + np.float32(1e-3) * floor)
    largest, _ = moving.largest(rows, "record", sized, pace.fall, known)
    return Rarity(
        orders=np.minimum(orders / _LOG_TEN, np.float32(MOST_RARITY)),
        ratio=np.clip(grown / _LOG_TWO, np.float32(-6), np.float32(14)),
        record=np.clip((sized - largest) / _LOG_TWO, np.float32(-8), np.float32(8)),
        share=share,
        exponent=exponent,
        usual=usual,
    )
