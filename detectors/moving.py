"""Moving sums of many series over a block of columns at once: one column and a thousand give the same answer.

Time is the last axis of arrays, series the one before; state rows lack the time. In memory time comes first (``room``):
a step of every series is then one operation. ``known`` [series] is None where every sample of the block is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def follow(
    rows: Rows, key: Key, sample: Array | Sequence[Array], gain: float | Array, known: Array | None
) -> tuple[Array, Array]:
    """The weighted sum before and after each sample; the state becomes the last one.

    Several keys are the first axis of ``sample``; gains may differ, then they have its axes but for the time. A
    sequence of arrays [series, time] or [some, series, time], one after the other for the keys or rows of the state,
    is followed in the state's own precision.
    """
    whole = _steps(_held(rows, key), sample, gain)
    dtype = whole.dtype.type
    rest = 1 - gain.astype(dtype) if isinstance(gain, np.ndarray) else dtype(1.0 - gain)
    if len(whole) == 2:
        whole[1] += rest * whole[0]
        whole[1] = _keep(rows, key, whole[1], known, whole[0])
    else:
        if whole[0].size < FEW:
            _filtered(whole, rest)
        else:
            _walked(whole, rest)
        _keep(rows, key, whole[-1].copy(), None, whole[0])
    return _time_last(whole[:-1]), _time_last(whole[1:])


def _steps(before: Array, sample: Array | Sequence[Array], gain: float | Array) -> Array:
    """[1 + time, ...]: the state, and each sample times its gain."""
    if isinstance(sample, np.ndarray):
        whole = np.empty((sample.shape[-1] + 1, *before.shape), sample.dtype)
        np.multiply(_time_first(sample), full(gain, before.shape, sample), out=whole[1:])
    else:
        whole, first = np.empty((sample[0].shape[-1] + 1, *before.shape), before.dtype), 0
        gains = np.asarray(gain, before.dtype)
        for one in sample:
            until = first + (len(one) if one.ndim > 2 else 1)
            into = whole[1:, first:until] if one.ndim > 2 else whole[1:, first]
            np.multiply(_time_first(one), gains[first] if gains.ndim else gains, out=into, dtype=whole.dtype)
            first = until
    whole[0] = before
    return whole


def full(number: float | Array, shape: tuple[int, ...], like: Array) -> Array:
    """An array of that shape, in the precision of ``like`` [..., time]; of one column the number itself.

    Arithmetic between arrays of one shape is several times as fast as with a number or a column.
    """
    one = np.asarray(number, like.dtype)
    return one if like.shape[-1] == 1 else np.broadcast_to(one, shape).copy()


def _walked(whole: Array, rest: Array) -> None:
    """From state and steps to the sums, in place: a moment of all series at a time."""
    kept = np.broadcast_to(np.asarray(rest, whole.dtype), whole.shape[1:]).ravel()
    moments = list(whole.reshape(len(whole), -1))  # all views at once: one by one they cost as much as the sums
    old, held = moments[0], np.empty_like(kept)
    for new in moments[1:]:
        np.multiply(old, kept, held)
        np.add(held, new, new)
        old = new


def _filtered(whole: Array, rest: Array) -> None:
    """The same for few series: all moments by a compiled filter, to the last digit alike."""
    from scipy.signal import lfilter  # a second of every start, where no block of columns is scored

    one = np.ones(1, whole.dtype)
    parts = [(..., rest)] if np.ndim(rest) == 0 else list(enumerate(rest[:, 0]))
    for part, kept in parts:
        start = kept * whole[0, part]
        backwards = np.array([1.0, -kept], whole.dtype)
        whole[1:, part], _ = lfilter(one, backwards, whole[1:, part], axis=0, zi=start[None])


class Seen:
    """How many samples each series had before each of a block, and what a weighted sum of so many ones is."""

    def __init__(self, before: Array, length: int) -> None:
        alike = len(before) > 0 and bool((before == before[0]).all())
        self.count = (before[:1] if alike else before)[:, None] + np.arange(length)  #: [series or 1, time]
        self.starts = bool((self.count[:, :1] == 0).any())  #: whether any series begins with this block
        self._least = float(self.count.min()) if self.count.size else np.inf
        self._weights: dict[tuple[float, int], Array | float] = {}

    def weight(self, gain: float, more: int = 0) -> Array | float:
        """Divide a weighted sum by this to get a mean; 1 once settled. ``more`` 1: with the sample itself."""
        key = (gain, more)
        if key not in self._weights:
            settled = (self._least + more) * gain > SETTLED
            self._weights[key] = 1.0 if settled else -np.expm1(np.maximum(self.count + more, 0.5) * np.log1p(-gain))
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
    before = rows[key]
    fallen, with_it = room(*before.shape, size.shape[-1]), room(*before.shape, size.shape[-1])
    _raised(before, size, np.asarray(fall, np.float64), fallen, with_it)
    _keep(rows, key, with_it[..., -1].copy(), known, before)
    return fallen, with_it


@dataclass(frozen=True, slots=True)
class Stretch:
    """Columns that are reckoned from one moment; no block goes across its ends."""

    since: int  #: columns of it before this block
    ends: bool  #: whether it ends with this block


def over_largest(rows: Rows, key: str, size: Array, fall: Array, known: Array | None, at: Stretch) -> Array:
    """How far each ``size`` is over the largest before it, as ``largest`` has it, which then knows it; float32.

    Reckoned from where the stretch begins, as if samples rose and the largest did not fall: single precision has no
    room for many small falls from a large number, and what comes out must not hang on how columns came in blocks. The
    state is the largest at that moment, ``{key}_start``, and how far the risen ones are above it.
    """
    start, now, length = rows[f"{key}_start"], rows[key], size.shape[-1]
    over = np.subtract(_time_first(size), start)
    over += (np.arange(at.since + 1, at.since + length + 1)[:, None, None] * fall).astype(np.float32)
    if known is not None:  # one column
        unchanged = now + fall.astype(np.float32)
        now, over[0] = np.where(known, np.maximum(now, over[0]), unchanged), over[0] - now
    elif now.size < FEW:
        raised = np.concatenate([now[None], over])
        np.maximum.accumulate(raised, axis=0, out=raised)
        over -= raised[:-1]
        now = raised[-1]
    else:
        now = _over_walked(over, now)
    rows[key] = now.astype(np.float32)
    if at.ends:
        rows[f"{key}_start"] = (start + now.astype(np.float64) - (at.since + length) * fall).astype(np.float32)
        rows[key] = np.zeros_like(start)
    return _time_last(over)


def _over_walked(over: Array, now: Array) -> Array:
    """From risen sizes [time, ...] to how far each is over the largest before it, in place; answers the largest."""
    now = now.copy()
    held = np.empty_like(now)
    for one in list(over):
        np.maximum(now, one, out=held)
        np.subtract(one, now, out=one)
        now, held = held, now
    return now


def _raised(before: Array, size: Array, step: Array, fallen: Array, with_it: Array) -> None:
    """Fill ``fallen`` and ``with_it`` [..., series, time]."""
    if before.size < FEW and size.shape[-1] > 1:
        slope = step[..., None] * np.arange(1, size.shape[-1] + 1)
        raised = np.empty((*before.shape, size.shape[-1] + 1))
        raised[..., 0] = before
        np.add(size, slope, out=raised[..., 1:])
        np.maximum.accumulate(raised, axis=-1, out=raised)
        np.subtract(raised[..., :-1], slope, out=fallen)
        np.subtract(raised[..., 1:], slope, out=with_it)
        return
    now, less_by = before, full(step, before.shape, fallen)
    sizes = _time_first(size.astype(np.float64, copy=False))
    for less, new, one in zip(list(_time_first(fallen)), list(_time_first(with_it)), list(sizes), strict=True):
        np.subtract(now, less_by, less)
        now = np.maximum(less, one, out=new)


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
