"""histogram_quantile and histogram_fraction over classic buckets (series with a ``le`` label)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from watchkeeper.model import Labels, label, metric_name
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block
from watchkeeper.promql.context import Context
from watchkeeper.promql.result import format_value

#: Relative difference below which a falling bucket count is taken for float noise (quantile.go).
SMALL_DELTA = 1e-12


@dataclass(slots=True)
class Buckets:
    """Classic histograms with the same bounds and presence: cumulative counts [groups, buckets, steps]."""

    groups: list[int]
    bounds: FloatArray  #: ascending, without repeats
    counts: FloatArray
    steps: BoolArray  #: the steps this pattern of presence holds for


def parse_bound(text: str) -> float | None:
    """The value of ``le``; None when it is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def collect(context: Context, block: Block, position: int) -> tuple[list[Labels], list[dict[float, list[int]]]]:
    """Histograms by their labels without ``le``: bound -> rows. Rows with a bad bound are warned about."""
    index: dict[Labels, int] = {}
    rows: list[dict[float, list[int]]] = []
    for i, series in enumerate(block.series):
        bound = parse_bound(label(series, "le"))
        if bound is None:
            if not block.present[i].any():
                continue
            context.warn(
                f'bucket label "le" is missing or has a malformed value of "{label(series, "le")}"'
                f' for metric name "{metric_name(series)}"',
                position,
            )
            continue
        key = tuple(pair for pair in series if pair[0] != "le")
        place = index.setdefault(key, len(index))
        if place == len(rows):
            rows.append({})
        rows[place].setdefault(bound, []).append(i)
    return list(index), rows


def stacks(block: Block, histograms: list[dict[float, list[int]]]) -> Iterator[Buckets]:
    """Histograms stacked by equal bounds, one stack per pattern of buckets present."""
    alike: dict[tuple[float, ...], list[int]] = {}
    for i, buckets in enumerate(histograms):
        alike.setdefault(tuple(sorted(buckets)), []).append(i)
    for bounds, members in alike.items():
        counts, present = _cells(block, [[histograms[member][bound] for bound in bounds] for member in members])
        if present.all():
            yield Buckets(members, np.array(bounds), counts, np.ones(counts.shape[2], bool))
            continue
        for g, member in enumerate(members):
            yield from _patterns(member, np.array(bounds), counts[g], present[g])


def _cells(block: Block, rows: list[list[list[int]]]) -> tuple[FloatArray, BoolArray]:
    """Counts and presence [groups, buckets, steps]; equal bounds that were written differently add up."""
    index = np.array([[same[0] for same in one] for one in rows], dtype=np.intp)
    present = block.present[index]
    counts = np.where(present, block.values[index], 0.0)
    for g, one in enumerate(rows):
        for b, same in enumerate(one):
            for row in same[1:]:
                counts[g, b] += np.where(block.present[row], block.values[row], 0.0)
                present[g, b] |= block.present[row]
    return counts, present


def _patterns(member: int, bounds: FloatArray, counts: FloatArray, present: BoolArray) -> Iterator[Buckets]:
    for pattern in np.unique(present, axis=1).T:
        if pattern.any():
            steps = (present == pattern[:, None]).all(axis=0)
            yield Buckets([member], bounds[pattern], counts[pattern][None], steps)


@dataclass(slots=True)
class Mended:
    """Where counts fell by more than float noise: between which buckets, and how far; all [groups, steps]."""

    where: BoolArray
    low: FloatArray  #: upper bound of the first bucket that was raised
    high: FloatArray  #: of the last
    apart: FloatArray  #: the furthest that one was raised


def intact(shape: tuple[int, int]) -> Mended:
    return Mended(np.zeros(shape, bool), np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape))


def monotonic(bounds: FloatArray, counts: FloatArray) -> tuple[FloatArray, Mended]:
    """Counts that never fall, and what had to be mended for it."""
    fixed, mended = counts.copy(), intact((counts.shape[0], counts.shape[2]))
    for b in range(1, counts.shape[1]):
        before, now = fixed[:, b - 1], fixed[:, b]
        near = (np.abs(now - before) < SMALL_DELTA * np.minimum(np.abs(before) + np.abs(now), np.finfo(float).max)) & (
            now != before
        )
        fell = (now < before) & ~near
        if fell.any():
            mended.where |= fell
            mended.low = np.where(fell, np.minimum(mended.low, bounds[b]), mended.low)
            mended.high = np.where(fell, np.maximum(mended.high, bounds[b]), mended.high)
            mended.apart = np.where(fell, np.maximum(mended.apart, before - now), mended.apart)
        fixed[:, b] = np.where(near | fell, before, now)
    return fixed, mended


def bucket_quantile(q: FloatArray, bounds: FloatArray, counts: FloatArray) -> tuple[FloatArray, Mended]:
    """The quantile by linear interpolation inside a bucket, [groups, steps]; and where counts were mended."""
    shape = (counts.shape[0], counts.shape[2])
    unknown = np.full(shape, np.nan)
    if not len(bounds) or not math.isinf(bounds[-1]) or bounds[-1] < 0 or len(bounds) < 2:
        return _outside(q, unknown, known=bool(len(bounds))), intact(shape)
    fixed, mended = monotonic(bounds, counts)
    observations = fixed[:, -1]
    rank = q * observations
    place = (fixed[:, :-1] < rank[:, None]).sum(axis=1)  # first bucket that reaches the rank
    top = place == len(bounds) - 1
    inner = np.minimum(place, len(bounds) - 2)
    count = np.take_along_axis(fixed, inner[:, None], axis=1)[:, 0]
    below = np.where(inner > 0, np.take_along_axis(fixed, np.maximum(inner - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    start = np.where(inner > 0, bounds[np.maximum(inner - 1, 0)], 0.0)
    end = bounds[inner]
    answer = start + (end - start) * ((rank - below) / (count - below))
    answer = np.where((inner == 0) & (bounds[0] <= 0), bounds[0], answer)
    answer = np.where(top, bounds[-2], answer)
    answer = np.where((observations == 0) | np.isnan(observations), np.nan, answer)
    return _outside(q, answer, known=True), mended


def _outside(q: FloatArray, answer: FloatArray, *, known: bool) -> FloatArray:
    if not known:
        return answer
    answer = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, answer))
    quantiles: FloatArray = np.where(np.isnan(q), np.nan, answer)
    return quantiles


def bucket_fraction(
    lower: FloatArray, upper: FloatArray, bounds: FloatArray, counts: FloatArray
) -> tuple[FloatArray, Mended]:
    """The share of observations between the two values, [groups, steps]."""
    shape = (counts.shape[0], counts.shape[2])
    if not len(bounds) or not math.isinf(bounds[-1]) or bounds[-1] < 0:
        return np.full(shape, np.nan), intact(shape)
    fixed, mended = monotonic(bounds, counts)
    total = fixed[:, -1]
    share = (_rank(upper, bounds, fixed) - _rank(lower, bounds, fixed)) / total
    share = np.where(lower >= upper, 0.0, share)
    answer = np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, share)
    return answer, mended


def _rank(value: FloatArray, bounds: FloatArray, counts: FloatArray) -> FloatArray:
    """How many observations lie below the value, linear inside a bucket."""
    floor = 0.0 if bounds[0] > 0 else -np.inf
    edges = np.concatenate([[floor], bounds])
    ranks = np.concatenate([np.zeros_like(counts[:, :1]), counts], axis=1)
    place = np.clip(np.searchsorted(edges, value, side="left"), 1, len(bounds))  # per step
    low, high = edges[place - 1], edges[place]
    steps = np.arange(counts.shape[2])
    under, over = ranks[:, place - 1, steps], ranks[:, place, steps]
    within = under + (over - under) * np.where(np.isposinf(high), 0.0, (value - low) / (high - low))
    within = np.where((value >= high) | np.isneginf(low), over, within)  # no line leads through an endless bucket
    rank: FloatArray = np.minimum(np.where(value <= low, under, within), counts[:, -1])
    return rank


Compute = Callable[[Buckets], tuple[FloatArray, Mended]]


def evaluate(context: Context, block: Block, position: int, compute: Compute, name: str) -> Block:
    """One row per histogram with what ``compute`` says about its buckets."""
    series, histograms = collect(context, block, position)
    values = np.full((len(series), context.steps), np.nan)
    present, mended = np.zeros(values.shape, bool), intact((len(series), context.steps))
    for stack in stacks(block, histograms):
        answer, found = compute(stack)
        cells = np.ix_(np.array(stack.groups), np.flatnonzero(stack.steps))
        values[cells] = answer[:, stack.steps]
        present[cells] = True
        for whole, part in ((mended.where, found.where), (mended.low, found.low), (mended.high, found.high),
                            (mended.apart, found.apart)):  # fmt: skip
            whole[cells] = part[:, stack.steps]
    if name == "histogram_quantile" and mended.where.any():
        _tell_mended(context, series, mended, position)
    return Block(series, values, present, np.ones(len(series), bool))


def _tell_mended(context: Context, series: Sequence[Labels], mended: Mended, position: int) -> None:
    """One remark a metric, over all its histograms and steps."""
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(mended.where.any(axis=1)).tolist():
        rows.setdefault(metric_name(series[row]), []).append(row)
    for metric, own in rows.items():
        where = mended.where[own]
        times = context.times[where.any(axis=0)].tolist()
        of = f' for metric name "{metric}"' if metric else ""
        low, high = (format_value(float(edge)) for edge in (mended.low[own].min(), mended.high[own].max()))
        context.inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/"
            f"latest/querying/functions/#histogram_quantile){of},"
            f" from buckets {low} to {high},"
            f" with a max diff of {mended.apart[own].max():.2g},"
            f" over {where.sum()} samples from {_moment(times[0])} to {_moment(times[-1])}",
            position,
        )


def _moment(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):  # no year of ours
        return f"{time_ms // 1000}s"
