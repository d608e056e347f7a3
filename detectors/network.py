"""Two small networks that weigh the channels: the second also sees what the first has said of the series so far.

Trees see what the second sees, and the mean of both counts. All weights are constants of the project, fitted once on
labelled public and made-up series (docs/detection.md), kept as numbers in ``ensemble_weights.json``. A network has one
hidden layer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from . import forest
from .base import Array

FILE = "ensemble_weights.json"
#: Points that go through a network at once, and those beside them on either side that go along. Products of one shape
#: add up in one order but at their edges, as long as the library does not take them in two: what a point says depends
#: on no other, to the last bit.
SLICE, BESIDE = 304, 8


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Inputs to the logits of one probability or more; float32."""

    hidden: Array  #: [units, inputs]
    hidden_bias: Array  #: [units]
    output: Array  #: [answers, units]
    bias: Array  #: [answers]
    _least: Array = field(init=False, repr=False)  #: [units, points of a product]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_least", np.repeat(-self.hidden_bias[:, None], SLICE + 2 * BESIDE, axis=1))

    def __call__(self, inputs: Array) -> Array:
        """[input, series, time] to [answer, series, time], float64; inputs beyond those that it knows are left out.

        A unit is max(sum + bias, 0) = max(sum, -bias) + bias, of which the last is left to the answer's own bias. So
        each product is gone over once, and with an array, which is four times as fast as with a number.
        """
        known = inputs[: self.hidden.shape[1]].swapaxes(1, 2)
        held = known.reshape(len(known), -1)
        answer = np.empty((len(self.output), held.shape[1]))
        units = np.empty_like(self._least)
        for at in range(0, held.shape[1], SLICE):
            np.matmul(self.hidden, _with_neighbours(held, at), out=units)
            np.maximum(units, self._least, out=units)
            for said, weights in zip(answer, self.output, strict=True):
                said[at : at + SLICE] = np.dot(weights, units)[BESIDE : BESIDE + held.shape[1] - at][:SLICE]
        answer += (self.bias + self.output.astype(np.float64) @ self.hidden_bias)[:, None]
        return answer.reshape(-1, *known.shape[1:]).swapaxes(1, 2)


def _with_neighbours(held: Array, at: int) -> Array:
    """The points from ``at`` on, SLICE of them and BESIDE on either side; what there is not is 0."""
    first, last = at - BESIDE, at + SLICE + BESIDE
    if first >= 0 and last <= held.shape[1]:
        return held[:, first:last]
    part = np.zeros((len(held), last - first), np.float32)
    there = held[:, max(first, 0) : last]
    part[:, max(-first, 0) :][:, : there.shape[1]] = there
    return part


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """A network and trees, which err on different points."""

    network: Network
    trees: forest.Forest

    def __call__(self, inputs: Array) -> Array:
        """[input, series, time] to [answer, series, time]: the mean of their logits."""
        said = self.network(inputs)
        said += self.trees(inputs)
        said *= 0.5
        return said


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What the file holds."""

    inputs: tuple[str, ...]  #: names of the channels' inputs, as they were when it was made
    begins: Network  #: whether something begins, from the channels alone
    judges: Judges  #: whether something begins, and whether it goes on, with what was said before


@cache
def weights() -> Weights:
    """The constants of the project, read once."""
    held = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    trees = held["trees"]
    grown = forest.read(trees["places"], trees["limits"], np.array(trees["said"]), trees["bias"])
    judges = Judges(_network(held["judges"]), grown)
    return Weights(tuple(held["inputs"]), _network(held["begins"]), judges)


def _network(held: dict[str, list[Any]]) -> Network:
    return Network(
        hidden=np.ascontiguousarray(np.array(held["hidden"], np.float32).T),
        hidden_bias=np.array(held["hidden_bias"], np.float32),
        output=np.array(held["output"], np.float32),
        bias=np.array(held["bias"], np.float32),
    )
