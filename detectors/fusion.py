"""From the channels to one score and one alarm: what begins, what lasts, and whether to page.

``begins`` is the evidence (a logit) that something starts with this sample. It is remembered at four paces, and from it
and the channels the second network says how likely the present sample belongs to something odd. The score ranks by
that, and a new onset above what is remembered lifts it further, so that beginnings rank over what they leave behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import moving
from .base import Array, State
from .network import weights

#: Evidence is remembered from this far below an even chance.
LEAST = 20.0
#: How much remembered evidence falls in a sample.
FALLS = (0.02, 0.05, 0.15, 0.5)
#: The fall against which a beginning is new, and what new evidence adds to the score's logit.
NEW_FALL, NEW_SHARE = 0.1, 0.5
#: What the logit of a score is divided by.
SPREAD = 2.0
#: Samples of the recent mean of evidence.
RECENT = 8


#: What the second network sees beside the channels: evidence, four memories, its recent mean, what is new.
MEMORIES = len(FALLS) + 3


@dataclass(frozen=True, slots=True)
class Fused:
    """Logits [series, time]."""

    begins: Array
    new: Array  #: evidence above what is remembered
    score: Array


def start_rows(count: int) -> dict[str, Array]:
    names = [*(f"held{at}" for at in range(len(FALLS))), "held_new", "recent"]
    return {name: np.zeros(count) for name in names}


def fuse(state: State, inputs: Array, seen: moving.Seen, known: Array | None) -> Fused:
    """Both networks over one block of inputs [series, input, time], which has room for MEMORIES more."""
    begins = weights().begins(inputs).astype(np.float64)
    memory = remember(state.rows, begins, seen, known)
    for at, one in enumerate(memory):
        inputs[:, at - MEMORIES] = one
    lasts = weights().lasts(inputs).astype(np.float64)
    return Fused(begins=begins, new=memory[-1], score=joined(lasts, memory[-1]))


def remember(rows: moving.Rows, begins: Array, seen: moving.Seen, known: Array | None) -> list[Array]:
    """What the second network sees of the evidence, MEMORIES times [series, time]; the last is what is new."""
    raised = np.maximum(begins + LEAST, 0.0)
    held = [moving.largest(rows, f"held{at}", raised, fall, known)[1] for at, fall in enumerate(FALLS)]
    before, _ = moving.largest(rows, "held_new", raised, NEW_FALL, known)
    gain = moving.gain_of(RECENT)
    _, recent = moving.follow(rows, "recent", np.maximum(begins, -8.0) + LEAST, gain, known)
    fallen = [np.maximum(one, 0.0) - LEAST for one in held]
    return [begins, *fallen, recent / seen.weight(gain, 1) - LEAST, begins - (np.maximum(before, 0.0) - LEAST)]


def joined(lasts: Array, new: Array) -> Array:
    """The logit of the score: what is going on, lifted by what is new."""
    answer: Array = lasts + NEW_SHARE * np.maximum(new, 0.0)
    return answer


def unit(logit: Array) -> Array:
    """0..1, one half at even odds; drawn out, so that strong evidence can still be told apart."""
    answer: Array = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0) / SPREAD))
    return answer
