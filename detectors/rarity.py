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
PARTS = ("size", "share", "excess", "record", "record_start")
#: Natural logarithm of a record that any residual beats.
NOTHING = -60.0
_LOG_TWO, _LOG_TEN = np.float32(np.log(2.0)), np.float32(np.log(10.0))
_LITTLE = np.float32(1e-3)
#: Divides safely.
_NEXT_TO_NOTHING = np.float32(1e-30)


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
    log_share: Array  #: natural logarithm of the share of samples beyond the limit
    exponent: Array  #: Hill's exponent
    usual: Array  #: usual size of the residual
    long_ratio: Array  #: the same by a past of months, of the first channels alone
    long_record: Array


def start_rows(count: int, channels: int, long: int) -> dict[str, Array]:
    """``long``: channels, the first ones, that are judged by a past of months too."""
    rows = {part: np.zeros((count, channels), np.float32) for part in ("share", "excess")}
    both = channels + long
    rows |= {part: np.zeros((count, both), np.float32) for part in ("size", "record")}
    return rows | {"record_start": np.full((count, both), NOTHING, np.float32)}


def inputs_of(channels: int, long: int) -> int:
    """How many arrays ``rarity`` writes to ``to``."""
    return 3 * channels + 2 * long


def rarity(
    rows: moving.Rows,
    size: Array,
    floor: Array,
    limit: Array,
    seen: moving.Seen,
    pace: Pace,
    at: moving.Stretch,
    known: Array | None,
    to: Array,
) -> Rarity:
    """Judge each size by those before it, then learn it. ``limit`` is one number a channel, [channel, 1, 1].

    ``to`` [inputs_of, series, time] is where orders, ratios, records, and the latter two by months are written.
    """
    held = {part: rows[part].T for part in PARTS}  # [channel, series]
    count, both = len(size), len(held["size"])
    long = both - count
    orders, ratio, record, long_ratio, long_record = np.split(to, np.cumsum([count, count, count, long]))
    usual = _usual(held, size, floor, seen, pace, known)
    _records(held, size, floor, pace, known, at, (record, long_record))
    units = size / usual[:count]
    units += _LITTLE
    grown = np.log(units)
    knee, share_of_limit = (moving.full(one, (count, units.shape[1], 1), units) for one in (np.log(limit), 1 / limit))
    far = np.maximum(grown, knee)
    far -= knee
    share, exponent = _tail(held, far, seen, pace, known)
    _scaled(grown, ratio)
    units *= share_of_limit
    np.clip(units, 0, np.float32(1), out=units)
    log_share = np.log(share, out=share)
    units *= log_share
    far /= exponent
    far -= units
    far *= 1 / _LOG_TEN
    np.clip(far, -MOST_RARITY, MOST_RARITY, out=orders)
    apart = size[:long] / usual[count:]
    apart += _LITTLE
    _scaled(np.log(apart, out=apart), long_ratio)
    rows |= {part: array.T for part, array in held.items()}
    return Rarity(orders, ratio, record, log_share, exponent, usual[:count], long_ratio, long_record)


def _scaled(logarithm: Array, to: Array) -> None:
    """Write a natural logarithm as one of base 2, within reason; what is given is used up."""
    logarithm *= 1 / _LOG_TWO
    np.clip(logarithm, np.float32(-6), np.float32(14), out=to)


def _usual(held: moving.Rows, size: Array, floor: Array, seen: moving.Seen, pace: Pace, known: Array | None) -> Array:
    """Usual sizes, of all channels and once more of those with a past of months."""
    count, both = len(size), len(held["size"])
    roots, gains = np.sqrt(size), np.full((both, 1), pace.scale)
    gains[count:] = pace.long_scale
    usual = moving.follow(held, "size", [roots, roots[: both - count]], gains, known)[0]
    for part, gain in ((usual[:count], pace.scale), (usual[count:], pace.long_scale)):
        weight = seen.weight32(gain)
        if isinstance(weight, np.ndarray):
            part /= weight
    np.multiply(usual, usual, out=usual)
    usual[:count] += floor
    usual[count:] += floor[: both - count]
    return usual


def _records(
    held: moving.Rows,
    size: Array,
    floor: Array,
    pace: Pace,
    known: Array | None,
    at: moving.Stretch,
    to: tuple[Array, Array],
) -> None:
    """Write sizes over the largest so far, log2, of all channels and once more of those with a past of months."""
    count, both = len(size), len(held["size"])
    sized, falls = moving.room(both, *size.shape[1:], dtype=np.float32), np.full((both, 1), pace.fall)
    little = np.multiply(_LITTLE, floor, out=sized[:count])
    little += size
    np.log(little, out=little)
    sized[count:], falls[count:] = little[: both - count], pace.long_fall
    over = moving.over_largest(held, "record", sized, falls, known, at)
    over *= 1 / _LOG_TWO
    for part, into in zip((over[:count], over[count:]), to, strict=True):
        np.clip(part, np.float32(-8), np.float32(8), out=into)


def _tail(held: moving.Rows, far: Array, seen: moving.Seen, pace: Pace, known: Array | None) -> tuple[Array, Array]:
    """(share of samples beyond the limit, Hill's exponent there), from the samples before each and the prior."""
    counted = np.minimum(seen.count, 1.0 / pace.tail).astype(np.float32)
    full = np.maximum(counted / seen.weight32(pace.tail), _NEXT_TO_NOTHING)
    excess = np.clip(far, 0, MOST_EXCESS)
    stacked = {"share": held["share"], "excess": held["excess"]}
    found = moving.follow(stacked, ("share", "excess"), [np.sign(far)[None], excess[None]], pace.tail, known)[0]
    held |= stacked
    share, exponent = found
    share += USUAL_SHARE * PRIOR / full
    exponent += PRIOR * USUAL_SHARE * USUAL_EXPONENT / full
    exponent /= share
    share *= full / (counted + PRIOR)
    return share, np.clip(exponent, np.float32(0.1), MOST_EXCESS, out=exponent)
