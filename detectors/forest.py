"""Small trees that weigh the channels beside the network: they err on other points than it does.

Every tree asks the same few questions of each point, one a level, whatever was answered before (oblivious trees;
Kohavi and Li, 1995; Prokhorenkova et al., CatBoost, 2018): the answers are the bits of a number, and a table of the
tree says what that number is worth. Their weights are constants of the project, as those of the networks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .base import Array

#: Parts of a logit in which tables are written. Whole numbers, whose sum is the same in whatever order: what a point
#: is worth depends on no other, to the last bit.
PARTS = 1000
#: Points that are looked at together: small enough for the processor's cache.
SLICE = 1024
#: Most levels: the number of a leaf fits a byte.
MOST_LEVELS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Inputs to the logits of two probabilities."""

    places: Array  #: [trees, levels], the input that each question is about
    limits: Array  #: [trees, levels], float32; the answer is whether the input is above
    said: Array  #: [trees, answers, leaves], PARTS of a logit; the first question is the highest bit of a leaf's number
    bias: Array  #: [answers], PARTS of a logit
    _asked: list[tuple[Array, Array]] = field(init=False, repr=False)  #: of each level: places, limits [trees, 1]
    _table: Array = field(init=False, repr=False)  #: [trees * leaves], both answers as one complex number
    _first: Array = field(init=False, repr=False)  #: [trees, 1], where in it each tree begins

    def __post_init__(self) -> None:
        trees, levels = self.places.shape
        if levels > MOST_LEVELS or self.said.shape != (trees, 2, 1 << levels):
            raise ValueError(f"trees of {levels} levels with tables of shape {self.said.shape}")
        asked = list(zip(self.places.T, np.ascontiguousarray(self.limits.T)[:, :, None], strict=True))
        object.__setattr__(self, "_asked", asked)
        object.__setattr__(self, "_table", (self.said[:, 0] + 1j * self.said[:, 1]).astype(np.complex64).ravel())
        object.__setattr__(self, "_first", np.arange(trees)[:, None] << levels)

    def __call__(self, inputs: Array) -> Array:
        """[input, series, time] to [answer, series, time], float64."""
        known = inputs.swapaxes(1, 2)
        held = known.reshape(len(known), -1)
        answer = np.empty((2, held.shape[1]))
        for at in range(0, held.shape[1], SLICE):
            worth = np.take(self._table, self._leaves(held[:, at : at + SLICE])).sum(axis=0)
            answer[0, at : at + SLICE], answer[1, at : at + SLICE] = worth.real, worth.imag
        answer += self.bias[:, None]
        answer /= PARTS
        return answer.reshape(-1, *known.shape[1:]).swapaxes(1, 2)

    def _leaves(self, points: Array) -> Array:
        """Where in the table each tree finds each of the points [input, points]: [trees, points]."""
        numbers = _above(points, self._asked[0])
        for asked in self._asked[1:]:
            np.add(numbers, numbers, out=numbers)
            np.add(numbers, _above(points, asked), out=numbers)
        return np.asarray(self._first + numbers)


def _above(points: Array, asked: tuple[Array, Array]) -> Array:
    places, limits = asked
    return np.asarray(points[places] > limits).view(np.uint8)


def read(
    places: Sequence[Sequence[int]], limits: Sequence[Sequence[float]], said: Array, bias: Sequence[int]
) -> Forest:
    """A forest of what the file holds."""
    return Forest(
        places=np.array(places, np.intp),
        limits=np.array(limits, np.float32),
        said=np.asarray(said, np.float64),
        bias=np.array(bias, np.float64),
    )
