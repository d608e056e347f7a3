"""Fits the trees of the default detector: oblivious ones by gradient boosting, on the points of the second network.

Each tree is grown level by level on bins of the inputs; a question is worth what it gains for both answers together
(Friedman, 2001; the gain of XGBoost, Chen and Guestrin, 2016). Odd points are rare: a step of a leaf is held small, or
leaves of few points would run away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks._fit_series import Array
from benchmarks._fit_training import DIGITS, Points
from detectors.forest import PARTS, Forest, read

#: Bins of an input, by the quantiles of so many points.
BINS, QUANTILES_OF = 64, 200_000
#: Least curvature of a point.
LITTLE = 1e-6


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are fitted."""

    trees: int = 64
    levels: int = 8
    rate: float = 0.4
    calm: float = 5.0  #: added to the curvature of a leaf
    longest: float = 1.5  #: step of a leaf before the rate, in logits
    share: float = 0.3  #: of the inputs that a level may ask about, drawn anew for each
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Pull:
    """What one tree is grown on; arrays of [points]."""

    answer: Array  #: which of both answers a point is asked for
    slope: Array  #: of the loss, towards the truth
    curve: Array

    def sums(self, cells: Array, count: int) -> tuple[Array, Array]:
        """(slopes, curvatures) of each of ``count`` cells."""
        return np.bincount(cells, self.slope, count), np.bincount(cells, self.curve, count)


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """Inputs in bins."""

    cuts: list[Array]  #: of each input its limits, ascending
    bins: Array  #: [inputs, points], uint8: how many limits lie below

    @classmethod
    def of(cls, inputs: Array, dice: np.random.Generator) -> _Inputs:
        some = inputs[dice.permutation(len(inputs))[:QUANTILES_OF]]
        wanted = np.arange(1, BINS) / BINS
        cuts = [np.unique(np.quantile(column, wanted).astype(np.float32)) for column in some.T]
        found = [np.searchsorted(cut, column, side="left") for cut, column in zip(cuts, inputs.T, strict=True)]
        return cls(cuts, np.stack(found).astype(np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    asked: list[tuple[int, int]]  #: of each level the input and how many of its limits lie below what is answered no
    steps: Array  #: [answers * leaves], logits
    leaf: Array  #: [points], the answers' leaves one after the other


def grown(points: Points, growth: Growth) -> Forest:
    """The trees, each on what those before it left over."""
    dice = np.random.default_rng(growth.seed)
    inputs = _Inputs.of(points.inputs, dice)
    answer = np.argmax(points.weight > 0, axis=1)
    rows = np.arange(len(points))
    odd, weight = points.odd[rows, answer], (points.weight / points.weight.mean(axis=0))[rows, answer]
    bias = [_logit(float(np.average(odd[answer == one], weights=weight[answer == one]))) for one in range(2)]
    said, trees = np.array(bias)[answer], []
    for _ in range(growth.trees):
        chance = 1.0 / (1.0 + np.exp(-said))
        pull = _Pull(answer, weight * (odd - chance), weight * np.maximum(chance * (1.0 - chance), LITTLE))
        trees.append(_tree(inputs, pull, growth, dice))
        said += trees[-1].steps[trees[-1].leaf]
    return _forest(trees, inputs.cuts, bias)


def _tree(inputs: _Inputs, pull: _Pull, growth: Growth, dice: np.random.Generator) -> _Tree:
    leaf, asked = pull.answer, []
    for level in range(growth.levels):
        may = dice.permutation(len(inputs.cuts))[: max(1, int(growth.share * len(inputs.cuts)))]
        found = [_best(inputs, pull, leaf, (int(place), 2 << level), growth.calm) for place in may]
        _, place, limit = max(found)
        asked.append((place, limit))
        leaf = 2 * leaf + (inputs.bins[place] > limit)
    slope, curve = pull.sums(leaf, 2 << growth.levels)
    steps = growth.rate * np.clip(slope / (curve + growth.calm), -growth.longest, growth.longest)
    return _Tree(asked, steps, leaf)


def _best(inputs: _Inputs, pull: _Pull, leaf: Array, where: tuple[int, int], calm: float) -> tuple[float, int, int]:
    """(gain, input, number of the limit) of the best question about one input; ``where``: it, and how many leaves."""
    place, leaves = where
    cuts = len(inputs.cuts[place])
    if not cuts:
        return -np.inf, place, 0
    slope, curve = (part.reshape(leaves, BINS) for part in pull.sums(leaf * BINS + inputs.bins[place], leaves * BINS))
    below, curved = np.cumsum(slope, axis=1)[:, :cuts], np.cumsum(curve, axis=1)[:, :cuts]
    above, bent = slope.sum(axis=1)[:, None] - below, curve.sum(axis=1)[:, None] - curved
    gains = (below**2 / (curved + calm) + above**2 / (bent + calm)).sum(axis=0)
    limit = int(np.argmax(gains))
    return float(gains[limit]), place, limit


def _forest(trees: list[_Tree], cuts: list[Array], bias: list[float]) -> Forest:
    """As the file keeps it."""
    limits = [[_short(cuts[place][limit]) for place, limit in tree.asked] for tree in trees]
    said = np.array([np.round(tree.steps * PARTS).reshape(2, -1) for tree in trees])
    places = [[place for place, _ in tree.asked] for tree in trees]
    return read(places, limits, said, [round(one * PARTS) for one in bias])


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _short(limit: float) -> float:
    return float(f"{limit:.{DIGITS}g}")
