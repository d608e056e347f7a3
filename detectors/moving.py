"""Moving sums of many series over a block of columns at once: one column and a thousand give the same answer.

Every recursion is linear, so that a block is one ``lfilter`` and a single column is two multiplications. Time is the
last axis of arrays, series the one before; state rows lack the time. ``known`` [series] is None where every sample of
the block is known.
"""

from __future__ import annotations

import numpy as np

from .base import Array

Rows = dict[str, Array]
#: Samples times gain from which on what is left of the start is below a float's precision.
SETTLED = 37.0


def gain_of(span: float) -> float:
    """The share of the newest sample in a mean over ``span`` samples."""
    return 2.0 / (span + 1.0)


def keep_unknown(rows: Rows, key: str, now: Array, known: Array | None) -> Array:
    """Make ``now`` the state where there was a sample; answers what the state is."""
    if known is not None:
        now = np.where(known, now, rows[key])
    rows[key] = now
    return now


def follow(rows: Rows, key: str, sample: Array, gain: float, known: Array | None) -> tuple[Array, Array]:
    """The weighted sum before and after each sample; the state becomes the last one."""
    before, share = rows[key], sample.dtype.type(gain)
    rest = sample.dtype.type(1.0 - gain)
    if sample.shape[-1] == 1:
        now = keep_unknown(rows, key, share * sample[..., 0] + rest * before, known)
        return before[..., None], now[..., None]
    from scipy.signal import lfilter  # a second of every start, where no block of columns is scored

    numerator, denominator = np.array([share]), np.array([1.0, -rest], sample.dtype)
    whole = np.empty((*sample.shape[:-1], sample.shape[-1] + 1), sample.dtype)
    whole[..., 0] = before
    whole[..., 1:], _ = lfilter(numerator, denominator, sample, axis=-1, zi=(rest * before)[..., None])
    rows[key] = whole[..., -1].copy()
    return whole[..., :-1], whole[..., 1:]


class Seen:
    """How many samples each series had before each of a block, and what a weighted sum of so many ones is."""

    def __init__(self, before: Array, length: int) -> None:
        alike = len(before) > 0 and bool((before == before[0]).all())
        self.count = (before[:1] if alike else before)[:, None] + np.arange(length)  #: [series or 1, time]
        self._weights: dict[tuple[float, int], Array | float] = {}

    def weight(self, gain: float, more: int = 0) -> Array | float:
        """Divide a weighted sum by this to get a mean; 1 once settled. ``more`` 1: with the sample itself."""
        key = (gain, more)
        if key not in self._weights:
            count = self.count + more
            settled = not count.size or float(count.min()) * gain > SETTLED
            self._weights[key] = 1.0 if settled else -np.expm1(np.maximum(count, 0.5) * np.log1p(-gain))
        return self._weights[key]

    def weight32(self, gain: float) -> Array | np.float32:
        """The same, float32."""
        found = self.weight(gain)
        return found.astype(np.float32) if isinstance(found, np.ndarray) else np.float32(found)


def largest(rows: Rows, key: str, size: Array, fall: float | Array, known: Array | None) -> tuple[Array, Array]:
    """The largest ``size`` so far, which falls by ``fall`` a sample: (before each sample, with it).

    Several falls, [fall, 1], are as many arrays [fall, series, time]; the state is then [fall, series].
    """
    before, step = rows[key], np.asarray(fall, size.dtype)
    if size.shape[-1] == 1:
        now = keep_unknown(rows, key, np.maximum(before - step, size[..., 0]), known)
        return (before - step)[..., None], now[..., None]
    slope = step[..., None] * np.arange(1, size.shape[-1] + 1, dtype=size.dtype)
    raised = np.empty((*before.shape, size.shape[-1] + 1), size.dtype)
    raised[..., 0] = before
    np.add(size, slope, out=raised[..., 1:])
    np.maximum.accumulate(raised, axis=-1, out=raised)
    with_it = raised[..., 1:] - slope
    rows[key] = with_it[..., -1].copy()
    return raised[..., :-1] - slope, with_it


def trailing(rows: Rows, key: str, sample: Array, known: Array | None) -> Array:
    """The last five samples at each time, newest first: [5, series, time]. The state holds the last four."""
    past = rows[key]
    whole = np.concatenate([past, sample], axis=1)
    length = sample.shape[1]
    after = whole[:, -4:].copy()
    rows[key] = after if known is None else np.where(known[:, None], after, past)
    return np.stack([whole[:, 4 - back : 4 - back + length] for back in range(5)])


def median_of_three(last: Array) -> Array:
    """Of the newest three of ``trailing``."""
    newest, middle, oldest = last[0], last[1], last[2]
    return np.asarray(np.maximum(np.minimum(newest, middle), np.minimum(np.maximum(newest, middle), oldest)))


def median_of_five(last: Array) -> Array:
    """Of all five, by a network of six comparisons."""
    a, b, c, d, e = last
    low, high = np.minimum(a, b), np.maximum(a, b)
    low_two, high_two = np.minimum(c, d), np.maximum(c, d)
    floor, ceiling = np.maximum(low, low_two), np.minimum(high, high_two)
    return np.asarray(np.maximum(np.minimum(floor, ceiling), np.minimum(np.maximum(floor, ceiling), e)))
