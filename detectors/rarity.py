"""How rare each residual is, by the series' own past: its usual size, how often it is beyond a limit, and how far then.

All channels of a block at once: arrays are [channel, series, time], float32. The tail is Pareto's, its exponent Hill's
estimator over an exponentially forgetting past; both start from a prior of ``PRIOR`` samples. All of it is linear in
the past, so blocks of columns cost what one costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import moving
from .base import Array

#: Share of samples expected beyond the limit, and Hill's exponent there, before anything is known.
USUAL_SHARE, USUAL_EXPONENT = np.float32(0.02), np.float32(0.35)
#: Samples that this prior knowledge counts for.
PRIOR = np.float32(60.0)
#: One residual counts for at most exp(3) = 20 limits when the exponent is learned.
MOST_EXCESS = np.float32(3.0)
#: Rarity is counted in decimal orders up to this.
MOST_RARITY = np.float32(30.0)
#: Parts of the state, a number a series and channel each.
PARTS = ("size", "share", "excess", "record")
#: Natural logarithm of a record that any residual beats.
NOTHING = -60.0
_LOG_TWO, _LOG_TEN = np.float32(np.log(2.0)), np.float32(np.log(10.0))
_LITTLE = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class Pace:
    """Gains of one call: they follow from the interval between samples."""

    scale: float  #: of usual sizes
    tail: float  #: of the tail
    fall: float  #: of the record, in natural logarithms a sample


@dataclass(frozen=True, slots=True, eq=False)
class Rarity:
    """What the channels say of each sample, [channel, series, time]."""

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
    """Judge each size by those before it, then learn it. ``limit`` is one number a channel, [channel, 1, 1]."""
    held = {part: rows[part].T for part in PARTS}  # [channel, series]
    usual = moving.follow(held, "size", np.sqrt(size), pace.scale, known)[0] / seen.weight32(pace.scale)
    np.multiply(usual, usual, out=usual)
    usual += floor
    units = size / usual
    units += _LITTLE
    grown = np.log(units)
    far = np.maximum(grown - np.log(limit), np.float32(0))
    share, exponent = _tail(held, far, seen, pace, known)
    units /= limit
    np.minimum(units, np.float32(1), out=units)
    units *= np.log(share)
    orders = (far / exponent - units) / _LOG_TEN
    sized = np.log(size + _LITTLE * floor)
    record = sized - moving.largest(held, "record", sized, pace.fall, known)[0]
    record /= _LOG_TWO
    grown /= _LOG_TWO
    rows |= {part: array.T for part, array in held.items()}
    return Rarity(
        orders=np.minimum(orders, MOST_RARITY, out=orders),
        ratio=np.clip(grown, np.float32(-6), np.float32(14), out=grown),
        record=np.clip(record, np.float32(-8), np.float32(8), out=record),
        share=share,
        exponent=exponent,
        usual=usual,
    )


def _tail(held: moving.Rows, far: Array, seen: moving.Seen, pace: Pace, known: Array | None) -> tuple[Array, Array]:
    """(share of samples beyond the limit, Hill's exponent there), from the samples before each and the prior."""
    counted = np.minimum(seen.count, 1.0 / pace.tail).astype(np.float32)
    full = counted / seen.weight32(pace.tail)
    share = moving.follow(held, "share", (far > 0).astype(np.float32), pace.tail, known)[0] * full
    exponent = moving.follow(held, "excess", np.minimum(far, MOST_EXCESS), pace.tail, known)[0] * full
    share += USUAL_SHARE * PRIOR
    exponent += PRIOR * USUAL_SHARE * USUAL_EXPONENT
    exponent /= share
    share /= counted + PRIOR
    return share, np.maximum(exponent, np.float32(0.1), out=exponent)
