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
    return {"held": np.zeros((count, len(FALLS) + 1)), "recent": np.zeros(count)}


def fuse(state: State, inputs: Array, seen: moving.Seen, known: Array | None) -> Fused:
    """Both networks over one block of inputs [input, series, time], which has room for MEMORIES more."""
    begins = weights().begins(inputs)
    memory = inputs[-MEMORIES:]
    remember(state.rows, begins, seen, known, memory)
    return Fused(begins=begins, new=memory[-1], score=joined(weights().lasts(inputs), memory[-1]))


def remember(rows: moving.Rows, begins: Array, seen: moving.Seen, known: Array | None, memory: Array) -> None:
    """Write what the second network sees of the evidence to ``memory`` [MEMORIES, series, time]; last what is new."""
    raised = np.maximum(begins + LEAST, 0.0)
    held = {"held": rows["held"].T}
    falls = np.array([*FALLS, NEW_FALL])[:, None]
    before, now = moving.largest(held, "held", raised, falls, known)
    rows["held"] = held["held"].T
    gain = moving.gain_of(RECENT)
    _, recent = moving.follow(rows, "recent", np.maximum(begins, -8.0) + LEAST, gain, known)
    memory[0] = begins
    np.maximum(now[:-1], 0.0, out=memory[1:-2])
    memory[1:-2] -= LEAST
    memory[-2] = recent / seen.weight(gain, 1) - LEAST
    memory[-1] = begins - (np.maximum(before[-1], 0.0) - LEAST)


def joined(lasts: Array, new: Array) -> Array:
    """The logit of the score: what is going on, lifted by what is new."""
    answer: Array = lasts + NEW_SHARE * np.maximum(new, 0.0)
    return answer


def unit(logit: Array) -> Array:
    """0..1, one half at even odds; drawn out, so that strong evidence can still be told apart."""
    answer: Array = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0) / SPREAD))
    return answer
