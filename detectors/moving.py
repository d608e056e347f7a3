"""Moving sums of many series over a block of columns at once: one column and a thousand give the same answer.

Time is the last axis of arrays, series the one before; state rows lack the time. In memory time comes first (``room``):
a step of every series is then one operation. ``known`` [series] is None where every sample of the block is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .base import Array

Rows = dict[str, Array]
#: A row of the state, or several that are followed together.
Key = str | tuple[str, ...]
#: Numbers below which a walk through time costs more than a filter of each series.
FEW = 256
#: Samples times gain from which on what is left of the start is below a float's precision.
SETTLED = 37.0


def gain_of(span: float) -> float:
    """The share of the newest sample in a mean over ``span`` samples."""
    return 2.0 / (span + 1.0)


def room(*shape: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """An array [..., series, time] in which all series of one moment lie side by side, for walks through time."""
    return _time_last(np.empty((shape[-1], *shape[:-1]), dtype))


def _time_last(array: Array) -> Array:
    return array.transpose(*range(1, array.ndim), 0)


def _time_first(array: Array) -> Array:
    return array.transpose(array.ndim - 1, *range(array.ndim - 1))


def _held(rows: Rows, key: Key) -> Array:
    return rows[key] if isinstance(key, str) else np.stack([rows[one] for one in key])


def _keep(rows: Rows, key: Key, now: Array, known: Array | None, before: Array) -> Array:
    """Make ``now`` the state where there was a sample; answers what the state is."""
    if known is not None:
        now = np.where(known, now, before)
    if isinstance(key, str):
        rows[key] = now
    else:
        rows |= dict(zip(key, now, strict=True))
    return now


def follow(rows: Rows, key: Key, sample: Array, gain: float | Array, known: Array | None) -> tuple[Array, Array]:
    """The weighted sum before and after each sample; the state becomes the last one.

    Several keys are the first axis of ``sample``; gains may differ, then they have its axes but for the time.
    """
    before, share = _held(rows, key), np.asarray(gain, sample.dtype)
    rest = 1 - share if isinstance(gain, np.ndarray) else sample.dtype.type(1.0 - gain)
    if sample.shape[-1] == 1:
        now = _keep(rows, key, share * sample[..., 0] + rest * before, known, before)
        return before[..., None], now[..., None]
    whole = np.empty((sample.shape[-1] + 1, *before.shape), sample.dtype)
    whole[0] = before
    steps = _time_first(share[..., None] * sample)
    if before.size < FEW:
        _filtered(whole, steps, rest)
    else:
        for old, new, step in zip(whole[:-1], whole[1:], steps, strict=True):
            np.multiply(old, rest, out=new)
            np.add(new, step, out=new)
    _keep(rows, key, whole[-1].copy(), None, before)
    return _time_last(whole[:-1]), _time_last(whole[1:])


def _filtered(whole: Array, steps: Array, rest: Array) -> None:
    """The same for few series: all moments by a compiled filter, to the last digit alike."""
    from scipy.signal import lfilter  # a second of every start, where no block of columns is scored

    one = np.ones(1, whole.dtype)
    parts = [(..., rest)] if np.ndim(rest) == 0 else list(enumerate(rest[:, 0]))
    for part, kept in parts:
        start = kept * whole[0, part]
        backwards = np.array([1.0, -kept], whole.dtype)
        whole[1:, part], _ = lfilter(one, backwards, steps[:, part], axis=0, zi=start[None])


class Seen:
    """How many samples each series had before each of a block, and what a weighted sum of so many ones is."""

    def __init__(self, before: Array, length: int) -> None:
        alike = len(before) > 0 and bool((before == before[0]).all())
        self.count = (before[:1] if alike else before)[:, None] + np.arange(length)  #: [series or 1, time]
        self.starts = bool((self.count[:, :1] == 0).any())  #: whether any series begins with this block
        self._weights: dict[tuple[float, int], Array | float] = {}

    def weight(self, gain: float, more: int = 0) -> Array | float:
        """Divide a weighted sum by this to get a mean; 1 once settled. ``more`` 1: with the sample itself."""
        key = (gain, more)
        if key not in self._weights:
            count = self.count + more
            settled = not count.size or float(count.min()) * gain > SETTLED
            self._weights[key] = 1.0 if settled else -np.expm1(np.maximum(count, 0.5) * np.log1p(-gain))
        return self._weights[key]

    def weights(self, gains: Sequence[float], more: int = 0) -> Array:
        """Those of several gains, [gain, series or 1, time or 1]."""
        found = [np.atleast_2d(self.weight(gain, more)) for gain in gains]
        return np.stack(np.broadcast_arrays(*found))

    def weight32(self, gain: float) -> Array | np.float32:
        """The same, float32."""
        found = self.weight(gain)
        return found.astype(np.float32) if isinstance(found, np.ndarray) else np.float32(found)


def largest(rows: Rows, key: str, size: Array, fall: float | Array, known: Array | None) -> tuple[Array, Array]:
    """The largest ``size`` so far, which falls by ``fall`` a sample: (before each sample, with it), float64.

    Several falls, [fall, 1], are as many arrays [fall, series, time]; the state is then [fall, series].
    """
    before, step = rows[key], np.asarray(fall, np.float64)
    if size.shape[-1] == 1:
        fallen = before - step
        now = _keep(rows, key, np.maximum(fallen, size[..., 0]), known, before)
        return fallen[..., None], now[..., None]
    fallen, with_it = room(*before.shape, size.shape[-1]), room(*before.shape, size.shape[-1])
    if before.size < FEW:
        slope = step[..., None] * np.arange(1, size.shape[-1] + 1)
        raised = np.empty((*before.shape, size.shape[-1] + 1))
        raised[..., 0] = before
        np.add(size, slope, out=raised[..., 1:])
        np.maximum.accumulate(raised, axis=-1, out=raised)
        np.subtract(raised[..., 1:], slope, out=with_it)
        np.subtract(raised[..., :-1], slope, out=fallen)
    else:
        now = before
        by_time = (_time_first(one) for one in (fallen, with_it, size))
        for less, new, one in zip(*by_time, strict=True):
            np.subtract(now, step, out=less)
            now = np.maximum(less, one, out=new)
    _keep(rows, key, with_it[..., -1].copy(), None, before)
    return fallen, with_it


def trailing(rows: Rows, key: str, sample: Array, known: Array | None) -> list[Array]:
    """The last five samples at each time, newest first, each [series, time]. The state holds the last four."""
    past = rows[key]
    length = sample.shape[1]
    whole = room(len(past), length + 4)
    whole[:, :4], whole[:, 4:] = past, sample
    after = whole[:, -4:].copy()
    rows[key] = after if known is None else np.where(known[:, None], after, past)
    return [whole[:, 4 - back : 4 - back + length] for back in range(5)]


def median_of_three(last: Sequence[Array]) -> Array:
    """Of the newest three of ``trailing``."""
    newest, middle, oldest = last[0], last[1], last[2]
    return np.asarray(np.maximum(np.minimum(newest, middle), np.minimum(np.maximum(newest, middle), oldest)))


def median_of_five(last: Sequence[Array]) -> Array:
    """Of all five, by a network of six comparisons."""
    a, b, c, d, e = last
    low, high = np.minimum(a, b), np.maximum(a, b)
    low_two, high_two = np.minimum(c, d), np.maximum(c, d)
    floor, ceiling = np.maximum(low, low_two), np.minimum(high, high_two)
    return np.asarray(np.maximum(np.minimum(floor, ceiling), np.minimum(np.maximum(floor, ceiling), e)))
