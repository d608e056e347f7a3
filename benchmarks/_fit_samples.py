"""Which points of a series the networks are fitted on, and what each weighs.

Long series hold many thousand ordinary points and few odd ones. The hardest ordinary points are taken whole and of the
others a random part, which weighs for the rest. A series weighs one over the points of its events and over the series
of its family, so that neither long series nor large families decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks._fit_series import Array, Labelled

#: Ordinary points that look most like a beginning, and others at random: of a series, for the first network.
HARD, RANDOM = 400, 700
#: The same, and odd points, for the second network.
HARD_LASTING, RANDOM_LASTING, ODD_LASTING = 600, 1200, 900
#: Most points that an event weighs for; those that a wide window does.
LONGEST_EVENT, WINDOW_EVENT = 300, 10
#: What a series without events is divided by, in points.
NO_EVENTS = 100
#: Fall a sample of the evidence that makes a point hard for the second network.
FALL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Chosen points; every array has shape [points]."""

    at: Array  #: index in the series
    odd: Array  #: 1 or 0
    weight: Array

    def sorted(self) -> Samples:
        order = np.argsort(self.at, kind="stable")
        return Samples(self.at[order], self.odd[order], self.weight[order])


Pick = Callable[[Labelled, Array, np.random.Generator], Samples]


def beginnings(series: Labelled, evidence: Array, dice: np.random.Generator) -> Samples:
    """For ``begins``: of each event the most evident point within its allowed delay, against ordinary points."""
    events, windows = series.events(), "nab_windows" in series.about
    sizes = [WINDOW_EVENT if windows else min(last - first + 1, LONGEST_EVENT) for first, last in events]
    unit = sum(sizes) or NO_EVENTS
    ends = [last if windows else min(first + series.delay, last) for first, last in events]
    starts = [first for first, _ in events]
    found = [first + int(np.argmax(evidence[first : end + 1])) for first, end in zip(starts, ends, strict=True)]
    ordinary = series.normal(series.delay)
    hard, rest, share = ordinary, ordinary[:0], 1.0
    if len(ordinary) > HARD + RANDOM:
        hard, others = _hardest(ordinary, evidence, HARD)
        rest, share = dice.choice(others, RANDOM, replace=False), len(others) / RANDOM
    return _together(np.array(found, np.int64), (hard, rest), np.array(sizes, np.float64), share=share, unit=unit)


def lasting(series: Labelled, evidence: Array, dice: np.random.Generator) -> Samples:
    """For ``lasts``: points of events, wherever in them, against ordinary points."""
    odd = np.flatnonzero(series.label[series.taught :]) + series.taught
    ordinary = series.normal(int(series.about["vus_window"]) // 4)
    hard, others = _hardest(ordinary, fallen(evidence, FALL), min(HARD_LASTING, len(ordinary) // 2))
    taken = min(RANDOM_LASTING, len(others))
    rest = dice.choice(others, taken, replace=False)
    chosen = odd if len(odd) <= ODD_LASTING else dice.choice(odd, ODD_LASTING, replace=False)
    sizes = np.full(len(chosen), len(odd) / max(len(chosen), 1))
    return _together(chosen, (hard, rest), sizes, share=len(others) / max(taken, 1), unit=len(odd) or NO_EVENTS)


def _hardest(ordinary: Array, evidence: Array, count: int) -> tuple[Array, Array]:
    """(the ``count`` points of most evidence, the others)."""
    if not count:
        return ordinary[:0], ordinary
    hard = ordinary[np.argpartition(-evidence[ordinary], count)[:count]]
    return hard, ordinary[~np.isin(ordinary, hard)]


def _together(odd: Array, ordinary: tuple[Array, Array], sizes: Array, *, share: float, unit: int) -> Samples:
    """Odd points of ``sizes``, hard ones that weigh 1 and others that weigh ``share``, all over ``unit``."""
    hard, rest = ordinary
    none = np.zeros(len(hard) + len(rest))
    weight = np.concatenate([sizes, np.ones(len(hard)), np.full(len(rest), share)]) / unit
    return Samples(np.concatenate([odd, hard, rest]), np.concatenate([np.ones(len(odd)), none]), weight)


def fallen(evidence: Array, fall: float) -> Array:
    """The largest evidence so far [time], which falls by ``fall`` a sample and is remembered from -20 on."""
    falling = fall * np.arange(len(evidence))
    answer: Array = np.maximum.accumulate(np.maximum(evidence + 20.0, 0) + falling) - falling - 20.0
    return answer


def gathered(
    series: Sequence[Labelled], views: Sequence[Sequence[Array]], evidence: Sequence[Array], pick: Pick, seed: int
) -> tuple[Array, Array, Array]:
    """(inputs [points, inputs], odd [points], weight [points]) of all series; odd points weigh 1 on the average.

    The inputs of a series come in several arrays [time, inputs], which are put side by side.
    """
    dice = np.random.default_rng(seed)
    families = [one.family for one in series]
    rows, odd, weight = [], [], []
    for one, view, seen in zip(series, views, evidence, strict=True):
        chosen = pick(one, seen, dice).sorted()
        rows.append(np.concatenate([given[chosen.at] for given in view], axis=1))
        odd.append(chosen.odd)
        weight.append(chosen.weight / families.count(one.family))
    whole, weights = np.concatenate(odd), np.concatenate(weight)
    if not whole.any():
        raise ValueError("no series has an event after its warm-up: there is nothing to fit")
    return np.concatenate(rows), whole, weights / weights[whole == 1].sum() * whole.sum()
