"""Two small networks that weigh the channels: how likely something begins now, and how likely it is going on.

Their weights are constants of the project, fitted once on labelled public and made-up series (docs/detection.md),
kept as numbers in ``ensemble_weights.json``. 32 hidden units each, one layer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from .base import Array

FILE = "ensemble_weights.json"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Inputs to one number, the logit of a probability; float64, so that company and block change nothing."""

    hidden: Array  #: [units, inputs]
    hidden_bias: Array  #: [units]
    output: Array  #: [units]
    bias: float

    def __call__(self, inputs: Array) -> Array:
        """[input, series, time] to [series, time]; inputs beyond those that it knows are left out."""
        held = inputs[: self.hidden.shape[1]].reshape(self.hidden.shape[1], -1)
        units = self.hidden @ held
        units += self.hidden_bias[:, None]
        np.maximum(units, 0, out=units)
        answer = self.output @ units
        answer += self.bias
        return np.asarray(answer.reshape(inputs.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What the file holds."""

    inputs: tuple[str, ...]  #: names of the channels' inputs, as they were when it was made
    begins: Network
    lasts: Network


@cache
def weights() -> Weights:
    """The constants of the project, read once."""
    held = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    return Weights(tuple(held["inputs"]), _network(held["begins"]), _network(held["lasts"]))


def _network(held: dict[str, list[float]]) -> Network:
    return Network(
        hidden=np.ascontiguousarray(np.array(held["hidden"]).T),
        hidden_bias=np.array(held["hidden_bias"]),
        output=np.array(held["output"]),
        bias=float(held["bias"][0]),
    )
