"""Fits the networks and trees of the default detector and writes what ``detectors/ensemble_weights.json`` holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._fit_samples import beginnings, gathered, lasting
from benchmarks._fit_series import Array, Labelled
from benchmarks._fit_training import DIGITS, Plan, Points, trained
from benchmarks._fit_trees import Growth, grown
from detectors import channels, fusion, moving
from detectors.forest import Forest
from detectors.network import Judges, Network

#: Weight of each channel's rarity in the evidence by which points are chosen before there is a network.
FIRST_EVIDENCE = {"shape.orders": 1.3, "change.orders": 0.3, "season.orders": 0.3}


@dataclass(frozen=True, slots=True)
class Plans:
    """How both networks are fitted."""

    begins: Plan = field(default_factory=lambda: Plan(units=32, rounds=12))
    judges: Plan = field(default_factory=lambda: Plan(units=96, rounds=16))
    #: Of the second fit of the second network, which is the one that stays.
    judges_again: Plan = field(default_factory=lambda: Plan(units=96, rounds=32))
    trees: Growth = field(default_factory=Growth)  #: of those beside it, on the same points


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Who says that something begins, and who judges with that."""

    begins: Network
    judges: Judges

    def logits(self, series: Labelled, inputs: Array) -> tuple[Array, Array]:
        """(that something begins, score), both [time], of the inputs [time, inputs] of one series from its start."""
        memory = remembered(answer(self.begins, inputs)[0], series.day)
        begins, lasts = answer(self.judges, np.concatenate([inputs, memory], axis=1))
        return begins, fusion.joined(begins, lasts)


def fit(series: Sequence[Labelled], inputs: Sequence[Array], plans: Plans = Plans()) -> Pair:
    """Both from labelled series and their inputs [time, inputs].

    Each network is fitted twice: on points that look odd, then on those that its first fit takes for odd. The trees are
    fitted once, on the points of the second network's second fit.
    """
    evidence, seed = [first_evidence(given) for given in inputs], plans.begins.seed
    for again in range(2):
        rows, odd, weight = gathered(series, [[given] for given in inputs], evidence, beginnings, seed + again)
        begins = trained(Points(rows, odd[:, None], weight[:, None]), plans.begins)
        evidence = [answer(begins, given)[0] for given in inputs]
    views = [[given, remembered(seen, one.day)] for one, given, seen in zip(series, inputs, evidence, strict=True)]
    judges = trained(_judged(series, views, (evidence, evidence), seed), plans.judges)
    said = [answer(judges, np.concatenate(view, axis=1)) for view in views]
    heard = [one[0] for one in said], [one[1] for one in said]
    points = _judged(series, views, heard, seed)
    return Pair(begins, Judges(trained(points, plans.judges_again), grown(points, plans.trees)))


def _judged(
    series: Sequence[Labelled],
    views: Sequence[Sequence[Array]],
    evidence: tuple[Sequence[Array], Sequence[Array]],
    seed: int,
) -> Points:
    """What the second network learns: points chosen by the evidence [time] that something begins, and that it lasts."""
    first = gathered(series, views, evidence[0], beginnings, seed + 2)
    second = gathered(series, views, evidence[1], lasting, seed + 3)
    return _both(first, second)


def _both(*asked: tuple[Array, Array, Array]) -> Points:
    """Points of several questions: each has an answer of its own, which only its own points are judged by."""
    size = sum(len(odd) for _, odd, _ in asked)
    odds, weights, at = np.zeros((size, len(asked))), np.zeros((size, len(asked))), 0
    for answer_of, (_, odd, weight) in enumerate(asked):
        odds[at : at + len(odd), answer_of], weights[at : at + len(odd), answer_of] = odd, weight
        at += len(odd)
    return Points(np.concatenate([rows for rows, _, _ in asked]), odds, weights)


def first_evidence(inputs: Array) -> Array:
    """How unusual each point looks [time] before there is a network."""
    places = [channels.NAMES.index(name) for name in FIRST_EVIDENCE]
    parts = [factor * inputs[:, place] for factor, place in zip(FIRST_EVIDENCE.values(), places, strict=True)]
    answers: Array = parts[0] + parts[1] + parts[2]
    return answers


def answer(network: Network | Judges, inputs: Array) -> Array:
    """Logits [answer, time] of inputs [time, inputs]."""
    return network(np.ascontiguousarray(inputs.T)[:, None])[:, 0]


def remembered(begins: Array, day: float) -> Array:
    """What the second network sees of the evidence [time] beside the channels: [time, fusion.MEMORIES], float32."""
    seen = moving.Seen(np.zeros(1, np.int32), len(begins))
    memory = np.empty((fusion.MEMORIES, 1, len(begins)), np.float32)
    fusion.remember(fusion.start_rows(1), begins[None], seen, None, day, memory)
    return np.ascontiguousarray(memory[:, 0].T)


def write(pair: Pair, out: Path) -> None:
    """All weights, and the names of the inputs: one a line."""
    lines = [
        f'"inputs":{json.dumps(channels.NAMES)}',
        f'"begins":{json.dumps(_held(pair.begins))}',
        f'"judges":{json.dumps(_held(pair.judges.network))}',
        f'"trees":{json.dumps(_grown(pair.judges.trees), separators=(",", ":"))}',
    ]
    out.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _held(network: Network) -> dict[str, list[Any]]:
    return {
        "hidden": [_short(row) for row in network.hidden.T],
        "hidden_bias": _short(network.hidden_bias),
        "output": [_short(row) for row in network.output],
        "bias": _short(network.bias),
    }


def _grown(trees: Forest) -> dict[str, list[Any]]:
    return {
        "places": trees.places.tolist(),
        "limits": [_short(row) for row in trees.limits],
        "said": trees.said.astype(int).tolist(),
        "bias": trees.bias.astype(int).tolist(),
    }


def _short(numbers: Array) -> list[float]:
    return [float(f"{number:.{DIGITS}g}") for number in numbers]
