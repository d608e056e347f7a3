"""Fits the two networks of the default detector and writes them as ``detectors/ensemble_weights.json`` holds them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks._fit_samples import beginnings, gathered, lasting
from benchmarks._fit_series import Array, Labelled
from detectors import channels, fusion, moving
from detectors.network import Network

#: Weight of each channel's rarity in the evidence by which points are chosen before there is a network.
FIRST_EVIDENCE = {"shape.orders": 1.3, "change.orders": 0.3, "season.orders": 0.3}
#: Least spread of an input by which it is divided.
LEAST_SPREAD = 1e-3
#: Digits that the file keeps of each number.
DIGITS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is fitted: ``starts`` of ``units`` each, which are then one network that answers their mean."""

    units: int = 16
    starts: int = 2
    rounds: int = 25  #: over all points
    decay: float = 1e-2  #: of the weights
    batch: int = 1024  #: points
    rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Both networks."""

    begins: Network
    lasts: Network

    def logits(self, inputs: Array) -> tuple[Array, Array]:
        """(that something begins, score), both [time], of the inputs [time, inputs] of one series from its start."""
        begins = answer(self.begins, inputs)
        memory = remembered(begins)
        lasts = answer(self.lasts, np.concatenate([inputs, memory], axis=1))
        return begins, fusion.joined(lasts, memory[:, -1].astype(np.float64))


def fit(series: Sequence[Labelled], inputs: Sequence[Array], plan: Plan = Plan()) -> Pair:
    """Both networks from labelled series and their inputs [time, inputs]: what begins first, from it what lasts."""
    guess = [first_evidence(given) for given in inputs]
    begins = _network(*gathered(series, [[given] for given in inputs], guess, beginnings, plan.seed), plan)
    evidence = [answer(begins, given) for given in inputs]
    views = [[given, remembered(seen)] for given, seen in zip(inputs, evidence, strict=True)]
    return Pair(begins, _network(*gathered(series, views, evidence, lasting, plan.seed), plan))


def first_evidence(inputs: Array) -> Array:
    """How unusual each point looks [time] before there is a network."""
    places = [channels.NAMES.index(name) for name in FIRST_EVIDENCE]
    parts = [factor * inputs[:, place] for factor, place in zip(FIRST_EVIDENCE.values(), places, strict=True)]
    answers: Array = parts[0] + parts[1] + parts[2]
    return answers


def answer(network: Network, inputs: Array) -> Array:
    """Logits [time] of inputs [time, inputs]."""
    return np.asarray(network(inputs.T[:, None])[0], np.float64)


def remembered(begins: Array) -> Array:
    """What the second network sees of the evidence [time] beside the channels: [time, fusion.MEMORIES], float32."""
    seen = moving.Seen(np.zeros(1, np.int32), len(begins))
    memory = np.empty((fusion.MEMORIES, 1, len(begins)))
    fusion.remember(fusion.start_rows(1), begins[None], seen, None, memory)
    return np.ascontiguousarray(memory[:, 0].T, np.float32)


def _network(inputs: Array, odd: Array, weight: Array, plan: Plan) -> Network:
    """One network of ``starts`` times ``units`` hidden units, which takes inputs as they are."""
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + np.float32(LEAST_SPREAD)
    scaled = (inputs - mean) / spread
    fitted = [_fitted(scaled, odd, weight, plan, plan.seed + start) for start in range(plan.starts)]
    hidden = np.concatenate([one.coefs_[0] for one in fitted], axis=1) / spread[:, None]
    return Network(
        hidden=rounded(hidden.T),
        hidden_bias=rounded(np.concatenate([one.intercepts_[0] for one in fitted]) - mean @ hidden),
        output=rounded(np.concatenate([one.coefs_[1][:, 0] for one in fitted]) / plan.starts),
        bias=float(rounded(np.mean([one.intercepts_[1][0] for one in fitted]))),
    )


def _fitted(scaled: Array, odd: Array, weight: Array, plan: Plan, seed: int) -> Any:
    model = MLPClassifier(
        (plan.units,),
        alpha=plan.decay,
        max_iter=plan.rounds,
        batch_size=min(plan.batch, len(scaled)),
        learning_rate_init=plan.rate,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # to stop early is meant: it keeps the networks tame
        return model.fit(scaled, odd, sample_weight=weight)


def rounded(numbers: Array) -> Array:
    """To the digits that the file keeps, float64."""
    kept = [float(f"{number:.{DIGITS}g}") for number in np.ravel(numbers)]
    return np.array(kept).reshape(np.shape(numbers))


def write(pair: Pair, out: Path) -> None:
    """Both networks with the names of their inputs, one a line."""
    lines = [
        f'"inputs":{json.dumps(channels.NAMES)}',
        f'"begins":{json.dumps(_held(pair.begins))}',
        f'"lasts":{json.dumps(_held(pair.lasts))}',
    ]
    out.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _held(network: Network) -> dict[str, list[Any]]:
    return {
        "hidden": network.hidden.T.tolist(),
        "hidden_bias": network.hidden_bias.tolist(),
        "output": network.output.tolist(),
        "bias": [network.bias],
    }
