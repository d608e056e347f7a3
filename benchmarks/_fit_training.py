"""Fits one network of one hidden layer and several answers by Adam, in float32 on one thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks._fit_series import Array
from detectors.network import Network

#: Least spread of an input by which it is divided.
LEAST_SPREAD = 0.05
#: Of Adam (Kingma and Ba, 2014): what a step keeps of the mean gradient and of its square, and least divisor.
KEEP, KEEP_SQUARE, LITTLE = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
#: Steps over which the rate rises from nothing.
WARM = 100
#: Answers begin this much closer to an even chance than such networks usually do.
CALM = np.float32(0.3)
#: Digits that the file keeps of each number.
DIGITS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How one network is fitted."""

    units: int
    rounds: int  #: over all points
    decay: float = 1e-3  #: of the weights a step, in rates
    batch: int = 2048  #: points
    rate: float = 3e-3  #: at its highest; falls with half a cosine
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What there is to learn."""

    inputs: Array  #: [points, inputs]
    odd: Array  #: [points, answers], 0 or 1
    weight: Array  #: [points, answers]; 0 where an answer is not asked for

    def __len__(self) -> int:
        return len(self.inputs)


def trained(points: Points, plan: Plan) -> Network:
    """The network; it takes inputs as they are."""
    mean, spread = points.inputs.mean(axis=0), points.inputs.std(axis=0) + np.float32(LEAST_SPREAD)
    scaled = (points.inputs - mean) / spread
    weight = (points.weight / points.weight.mean(axis=0)).astype(np.float32)
    odd = points.odd.astype(np.float32)
    dice = np.random.default_rng(plan.seed)
    parts = _start(dice, scaled.shape[1], plan.units, odd.shape[1])
    walk = _Adam(parts, plan, steps=plan.rounds * max(1, len(points) // plan.batch))
    for _ in range(plan.rounds):
        order = dice.permutation(len(points))
        for at in range(0, max(1, len(order) - plan.batch + 1), plan.batch):
            chosen = order[at : at + plan.batch]
            walk.step(_gradient(parts, scaled[chosen], odd[chosen], weight[chosen]))
    hidden, hidden_bias, output, bias = parts
    hidden = hidden / spread[:, None]
    return Network(
        hidden=rounded(hidden.T),
        hidden_bias=rounded(hidden_bias - mean @ hidden),
        output=rounded(output.T),
        bias=rounded(bias),
    )


def _start(dice: np.random.Generator, inputs: int, units: int, answers: int) -> list[Array]:
    """Random weights of the size that rectified units want (He et al., 2015), no biases."""
    hidden = dice.normal(0.0, np.sqrt(2.0 / inputs), (inputs, units)).astype(np.float32)
    output = CALM * dice.normal(0.0, np.sqrt(2.0 / units), (units, answers)).astype(np.float32)
    return [hidden, np.zeros(units, np.float32), output, np.zeros(answers, np.float32)]


def _gradient(parts: list[Array], inputs: Array, odd: Array, weight: Array) -> list[Array]:
    """Of the weighted mean of the logarithmic loss."""
    hidden, hidden_bias, output, bias = parts
    units = inputs @ hidden
    units += hidden_bias
    np.maximum(units, 0, out=units)
    wrong = (1.0 / (1.0 + np.exp(-(units @ output + bias))) - odd) * weight
    wrong /= np.float32(len(inputs))
    back = wrong @ output.T
    back *= units > 0
    return [inputs.T @ back, back.sum(axis=0), units.T @ wrong, wrong.sum(axis=0)]


class _Adam:
    """Moves weights against their gradients, and weights that multiply towards nothing."""

    def __init__(self, parts: list[Array], plan: Plan, *, steps: int) -> None:
        self.parts, self.plan, self.steps, self.done = parts, plan, steps, 0
        self.mean = [np.zeros_like(part) for part in parts]
        self.square = [np.zeros_like(part) for part in parts]

    def step(self, gradients: list[Array]) -> None:
        self.done += 1
        wave = 0.5 * (1.0 + np.cos(np.pi * self.done / (self.steps + 1)))
        rate = np.float32(self.plan.rate * wave * min(1.0, self.done / WARM))
        first, second = 1 - KEEP**self.done, 1 - KEEP_SQUARE**self.done
        for part, mean, square, gradient in zip(self.parts, self.mean, self.square, gradients, strict=True):
            mean += (1 - KEEP) * (gradient - mean)
            square += (1 - KEEP_SQUARE) * (gradient * gradient - square)
            part -= rate * (mean / first) / (np.sqrt(square / second) + LITTLE)
            if part.ndim == 2:
                part -= rate * np.float32(self.plan.decay) * part


def rounded(numbers: Array) -> Array:
    """To the digits that the file keeps, float32."""
    kept = [float(f"{number:.{DIGITS}g}") for number in np.ravel(numbers)]
    return np.array(kept, np.float32).reshape(np.shape(numbers))
