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
    long_scale: float  #: of usual sizes that remember months
    long_fall: float  #: of records that do


@dataclass(frozen=True, slots=True, eq=False)
class Rarity:
    """What the channels say of each sample, [channel, series, time]."""

    orders: Array  #: decimal orders of rarity
    ratio: Array  #: residual over its usual size, log2
    record: Array  #: residual over the largest so far, log2
    share: Array  #: share of samples beyond the limit
    exponent: Array  #: Hill's exponent
    usual: Array  #: usual size of the residual
    long_ratio: Array  #: the same by a past of months, of the first channels alone
    long_record: Array


def start_rows(count: int, channels: int, long: int) -> dict[str, Array]:
    """``long``: channels, the first ones, that are judged by a past of months too."""
    rows = {part: np.zeros((count, channels), np.float32) for part in ("share", "excess")}
    both = channels + long
    return rows | {"size": np.zeros((count, both), np.float32), "record": np.full((count, both), NOTHING)}


def rarity(
    rows: moving.Rows, size: Array, floor: Array, limit: Array, seen: moving.Seen, pace: Pace, known: Array | None
) -> Rarity:
    """Judge each size by those before it, then learn it. ``limit`` is one number a channel, [channel, 1, 1]."""
    held = {part: rows[part].T for part in PARTS}  # [channel, series]
    count = len(size)
    usual, record = _scales(held, size, floor, seen, pace, known)
    units = size / usual[:count]
    units += _LITTLE
    grown = np.log(units)
    far = np.maximum(grown - np.log(limit), np.float32(0))
    share, exponent = _tail(held, far, seen, pace, known)
    units /= limit
    np.minimum(units, np.float32(1), out=units)
    units *= np.log(share)
    orders = (far / exponent - units) / _LOG_TEN
    grown /= _LOG_TWO
    long = np.log2(size[: len(usual) - count] / usual[count:] + _LITTLE)
    rows |= {part: array.T for part, array in held.items()}
    return Rarity(
        orders=np.minimum(orders, MOST_RARITY, out=orders),
        ratio=np.clip(grown, np.float32(-6), np.float32(14), out=grown),
        record=record[:count],
        share=share,
        exponent=exponent,
        usual=usual[:count],
        long_ratio=np.clip(long, np.float32(-6), np.float32(14), out=long),
        long_record=record[count:],
    )


def _scales(
    held: moving.Rows, size: Array, floor: Array, seen: moving.Seen, pace: Pace, known: Array | None
) -> tuple[Array, Array]:
    """(usual size, size over the largest so far), of all channels and once more of those with a past of months."""
    count, both = len(size), len(held["size"])
    roots, sized = (moving.room(both, *size.shape[1:], dtype=np.float32) for _ in range(2))
    np.sqrt(size, out=roots[:count])
    np.log(size + _LITTLE * floor, out=sized[:count])
    roots[count:], sized[count:] = roots[: both - count], sized[: both - count]
    gains, falls = np.full(both, pace.scale), np.full((both, 1), pace.fall)
    gains[count:], falls[count:] = pace.long_scale, pace.long_fall
    usual = moving.follow(held, "size", roots, gains[:, None], known)[0]
    usual[:count] /= seen.weight32(pace.scale)
    usual[count:] /= seen.weight32(pace.long_scale)
    np.multiply(usual, usual, out=usual)
    usual[:count] += floor
    usual[count:] += floor[: both - count]
    before = moving.largest(held, "record", sized, falls, known)[0]
    record = np.subtract(sized, before, dtype=np.float32, casting="same_kind")
    record /= _LOG_TWO
    return usual, np.clip(record, np.float32(-8), np.float32(8), out=record)


def _tail(held: moving.Rows, far: Array, seen: moving.Seen, pace: Pace, known: Array | None) -> tuple[Array, Array]:
    """(share of samples beyond the limit, Hill's exponent there), from the samples before each and the prior."""
    counted = np.minimum(seen.count, 1.0 / pace.tail).astype(np.float32)
    full = counted / seen.weight32(pace.tail)
    beyond = moving.room(2, *far.shape, dtype=np.float32)
    np.greater(far, 0, out=beyond[0], casting="unsafe")
    np.minimum(far, MOST_EXCESS, out=beyond[1])
    share, exponent = moving.follow(held, ("share", "excess"), beyond, pace.tail, known)[0] * full
    share += USUAL_SHARE * PRIOR
    exponent += PRIOR * USUAL_SHARE * USUAL_EXPONENT
    exponent /= share
    share /= counted + PRIOR
    return share, np.maximum(exponent, np.float32(0.1), out=exponent)
