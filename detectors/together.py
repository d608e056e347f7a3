"""Many metrics of one thing at once: how far they are from what they usually are together, and which are to blame.

Mahalanobis' distance from the mean of the past, with a ridge, root mean square per metric. Mean and covariance are
solved when twice as much has been seen as the last time, from samples that weigh less the further they were away, so
that an incident does not become the rule. Missing samples count as usual ones.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import FloatArray

from . import moving
from .base import Array, State

#: Samples before there is a distance.
FIRST = 512
#: Share of its variance added to each metric, which keeps the inverse tame.
RIDGE = 0.01
#: Deviations to which a metric is cut: when judged, when learned.
JUDGED, LEARNED = 50.0, 15.0
#: Distances beyond this many usual ones weigh less, by the square.
TRUSTED = 5.0
#: Distances below this differ by little.
LEAST = 1e-2
#: Span of the mean that the answer is half of, and of the usual distance, in samples.
SPAN, USUAL_SPAN = 9.0, 2048.0


def start(metrics: int) -> State:
    """The state of one group of ``metrics`` series."""
    names = ("first", "sum", "mean", "spread")
    rows = {name: np.full(metrics, np.nan) if name == "first" else np.zeros(metrics) for name in names}
    squares = {name: np.zeros((metrics, metrics)) for name in ("products", "inverse")}
    numbers = {name: np.zeros(1) for name in ("weight", "usual", "recent")} | {"ticks": np.zeros(1, np.int64)}
    return State(rows, squares | numbers)


def score(state: State, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(logarithm of the distance [time], share of each metric in its square [metric, time]) of a block of samples.

    NaN while there are fewer than FIRST. ``values`` has shape [metric, time], NaN where there is no sample.
    """
    answers, shares = np.full(values.shape[1], np.nan), np.full(values.shape, np.nan)
    at = 0
    while at < values.shape[1]:
        ticks = int(state.shared["ticks"][0])
        until = min(values.shape[1], at + _next(ticks) - ticks)
        block = np.asarray(values[:, at:until], np.float64)
        if ticks >= FIRST:
            answers[at:until], shares[:, at:until] = _judge(state, block)
        else:
            _learn(state, block, np.ones(until - at))
        state.shared["ticks"] = state.shared["ticks"] + (until - at)
        if ticks + until - at == _next(ticks):
            _solve(state)
        at = until
    return answers, shares


def _next(ticks: int) -> int:
    """Samples at which mean and covariance are solved anew."""
    found = FIRST
    while found <= ticks:
        found *= 2
    return found


def _judge(state: State, block: FloatArray) -> tuple[Array, Array]:
    rows, shared = state.rows, state.shared
    away = np.nan_to_num((block - rows["mean"][:, None]) / rows["spread"][:, None])
    cut = np.clip(away, -JUDGED, JUDGED)
    parts = cut * (shared["inverse"] @ cut)
    squares = np.maximum(parts.sum(axis=0), 0.0)
    distance = np.sqrt(squares / len(block))
    told = np.log(distance + LEAST)[None]
    _, recent = moving.follow(shared, "recent", told, moving.gain_of(SPAN), None)
    usual, _ = moving.follow(shared, "usual", told, moving.gain_of(USUAL_SPAN), None)
    weight = np.minimum(1.0, (TRUSTED * np.exp(usual[0]) / np.maximum(distance, 1e-9)) ** 2)
    learned = np.clip(away, -LEARNED, LEARNED) * rows["spread"][:, None] + rows["mean"][:, None]
    _learn(state, learned, weight)
    return 0.5 * (told[0] + recent[0]), parts / np.maximum(squares, 1e-12)


def _learn(state: State, block: FloatArray, weight: Array) -> None:
    rows, shared = state.rows, state.shared
    fresh = np.isnan(rows["first"])
    if fresh.any():
        rows["first"] = np.where(fresh, block[:, 0], rows["first"])
    moved = np.nan_to_num(block - rows["first"][:, None])
    rows["sum"] = rows["sum"] + moved @ weight
    shared["products"] = shared["products"] + (moved * weight) @ moved.T
    shared["weight"] = shared["weight"] + weight.sum()


def _solve(state: State) -> None:
    rows, shared = state.rows, state.shared
    mean = rows["sum"] / shared["weight"]
    covariance = shared["products"] / shared["weight"] - np.outer(mean, mean)
    rows["mean"] = mean + np.nan_to_num(rows["first"])
    rows["spread"] = np.sqrt(np.maximum(np.diag(covariance), 1e-12)) + 1e-6 * np.abs(rows["mean"]) + 1e-9
    alike = covariance / np.outer(rows["spread"], rows["spread"])
    shared["inverse"] = np.linalg.inv(alike + RIDGE * np.eye(len(mean)))
