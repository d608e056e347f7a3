"""Fits the two networks of the default detector and writes them as ``detectors/ensemble_weights.json`` holds them."""

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
from detectors import channels, fusion, moving
from detectors.network import Network

#: Weight of each channel's rarity in the evidence by which points are chosen before there is a network.
FIRST_EVIDENCE = {"shape.orders": 1.3, "change.orders": 0.3, "season.orders": 0.3}


@dataclass(frozen=True, slots=True)
class Plans:
    """How both networks are fitted."""

    begins: Plan = field(default_factory=lambda: Plan(units=32, rounds=12))
    judges: Plan = field(default_factory=lambda: Plan(units=96, rounds=16))
    #: Of the second fit of the second network, which is the one that stays.
    judges_again: Plan = field(default_factory=lambda: Plan(units=96, rounds=32))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Both networks."""

    begins: Network
    judges: Network

    def logits(self, series: Labelled, inputs: Array) -> tuple[Array, Array]:
        """(that something begins, score), both [time], of the inputs [time, inputs] of one series from its start."""
        memory = remembered(answer(self.begins, inputs)[0], series.day)
        begins, lasts = answer(self.judges, np.concatenate([inputs, memory], axis=1))
        return begins, fusion.joined(begins, lasts)


def fit(series: Sequence[Labelled], inputs: Sequence[Array], plans: Plans = Plans()) -> Pair:
    """Both networks from labelled series and their inputs [time, inputs].

    Each is fitted twice: on points that look odd, then on those that its first fit takes for odd.
    """
    evidence, seed = [first_evidence(given) for given in inputs], plans.begins.seed
    for again in range(2):
        rows, odd, weight = gathered(series, [[given] for given in inputs], evidence, beginnings, seed + again)
        begins = trained(Points(rows, odd[:, None], weight[:, None]), plans.begins)
        evidence = [answer(begins, given)[0] for given in inputs]
    views = [[given, remembered(seen, one.day)] for one, given, seen in zip(series, inputs, evidence, strict=True)]
    judges = _judges(series, views, (evidence, evidence), seed, plans.judges)
    said = [answer(judges, np.concatenate(view, axis=1)) for view in views]
    heard = [one[0] for one in said], [one[1] for one in said]
    return Pair(begins, _judges(series, views, heard, seed, plans.judges_again))


def _judges(
    series: Sequence[Labelled],
    views: Sequence[Sequence[Array]],
    evidence: tuple[Sequence[Array], Sequence[Array]],
    seed: int,
    plan: Plan,
) -> Network:
    """The second network, on points chosen by the evidence [time] that something begins, and that it lasts."""
    first = gathered(series, views, evidence[0], beginnings, seed + 2)
    second = gathered(series, views, evidence[1], lasting, seed + 3)
    return trained(_both(first, second), plan)


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


def answer(network: Network, inputs: Array) -> Array:
    """Logits [answer, time] of inputs [time, inputs]."""
    return network(np.ascontiguousarray(inputs.T)[:, None])[:, 0]


def remembered(begins: Array, day: float) -> Array:
    """What the second network sees of the evidence [time] beside the channels: [time, fusion.MEMORIES], float32."""
    seen = moving.Seen(np.zeros(1, np.int32), len(begins))
    memory = np.empty((fusion.MEMORIES, 1, len(begins)), np.float32)
    fusion.remember(fusion.start_rows(1), begins[None], seen, None, day, memory)
    return np.ascontiguousarray(memory[:, 0].T)


def write(pair: Pair, out: Path) -> None:
    """Both networks with the names of their inputs, one a line."""
    lines = [
        f'"inputs":{json.dumps(channels.NAMES)}',
        f'"begins":{json.dumps(_held(pair.begins))}',
        f'"judges":{json.dumps(_held(pair.judges))}',
    ]
    out.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _held(network: Network) -> dict[str, list[Any]]:
    return {
        "hidden": [_short(row) for row in network.hidden.T],
        "hidden_bias": _short(network.hidden_bias),
        "output": [_short(row) for row in network.output],
        "bias": _short(network.bias),
    }


def _short(numbers: Array) -> list[float]:
    return [float(f"{number:.{DIGITS}g}") for number in numbers]
