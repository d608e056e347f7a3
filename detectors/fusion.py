"""From the channels to one score and one alarm: what begins, what lasts, and whether to page.

The first network says of each sample how likely something begins with it. That evidence (a logit) is remembered: for
minutes, so that what goes on is told from what begins, and for days, so that what a series does every day is no news.
The second network sees the channels and these memories, and says both: whether something begins, and whether the
sample belongs to something odd. The score ranks by whichever is more likely.
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
#: The fall against which a beginning is new.
NEW_FALL = 0.1
#: The same for memories of days: how much evidence falls in a day.
FALLS_A_DAY = (2.0, 0.4)
#: Most that evidence can be above or below what is remembered for days.
MOST_BELOW, MOST_ABOVE = -20.0, 12.0
#: Evidence counts as a beginning from about these logits on, in the means over so many days.
LEVELS, DAYS = (0.0, -3.0), (1.0, 10.0)
#: Before anything is known so large a share of samples is taken to begin something, for so many samples.
USUAL_SHARE, PRIOR = 0.002, 60.0
#: What the logit of a score is divided by.
SPREAD = 2.0
#: Samples of the recent mean of evidence.
RECENT = 8
#: The same of the evidence that something goes on, which is remembered from this logit on.
LATELY, LEAST_LASTING = 3, -3.0

_MEANS = tuple((level, days) for level in LEVELS for days in DAYS)
#: What the second network sees beside the channels: evidence, four memories, its recent mean, what is new; and of days
#: what is above each memory and the logarithm of each share of beginnings.
MEMORIES = len(FALLS) + 3 + len(FALLS_A_DAY) + len(_MEANS)


@dataclass(frozen=True, slots=True)
class Fused:
    """Logits [series, time]."""

    begins: Array
    lately: Array  #: that something odd goes on, the mean of some samples
    score: Array


def start_rows(count: int) -> dict[str, Array]:
    held = np.zeros((count, len(FALLS) + 1 + len(FALLS_A_DAY)))
    means: dict[str, Array] = {"recent": np.zeros(count), "lately": np.zeros(count, np.float32)}
    return means | {"held": held, "shares": np.zeros((count, len(_MEANS)))}


def fuse(state: State, inputs: Array, seen: moving.Seen, known: Array | None, day: float) -> Fused:
    """Both networks over one block of inputs [input, series, time], which has room for MEMORIES more.

    ``day``: samples that memories take for a day.
    """
    remember(state.rows, weights().begins(inputs)[0], seen, known, day, inputs[-MEMORIES:])
    begins, lasts = weights().judges(inputs)
    raised = np.maximum(lasts - LEAST_LASTING, 0.0).astype(np.float32)
    _, lately = moving.follow(state.rows, "lately", raised, moving.gain_of(LATELY), known)
    return Fused(begins=begins, lately=lately + LEAST_LASTING, score=joined(begins, lasts))


def remember(rows: moving.Rows, begins: Array, seen: moving.Seen, known: Array | None, day: float, to: Array) -> None:
    """Write what the second network sees of the evidence to ``to`` [MEMORIES, series, time]."""
    raised = np.maximum(begins + LEAST, 0.0)
    held = {"held": rows["held"].T}
    falls = np.array([*FALLS, NEW_FALL, *(fall / day for fall in FALLS_A_DAY)])[:, None]
    before, now = moving.largest(held, "held", np.broadcast_to(raised, (len(falls), *raised.shape)), falls, known)
    rows["held"] = held["held"].T
    gain, short = moving.gain_of(RECENT), len(FALLS)
    shares, recent = _means(rows, begins, gain, day, known)
    to[0] = begins
    np.subtract(now[:short], LEAST, out=to[1 : short + 1], casting="same_kind")
    to[short + 1] = recent / seen.weight(gain, 1) - LEAST
    above = begins - (np.maximum(before[short:], 0.0) - LEAST)
    to[short + 2] = above[0]
    to[short + 3 : short + 3 + len(FALLS_A_DAY)] = np.clip(above[1:], MOST_BELOW, MOST_ABOVE)
    to[-len(_MEANS) :] = _shares(shares, seen, day)


def _means(rows: moving.Rows, begins: Array, gain: float, day: float, known: Array | None) -> tuple[Array, Array]:
    """(the share of samples that began something before each of these, of each mean; evidence of late with it)."""
    chances = [one for one in (chance(begins - level) for level in LEVELS) for _ in DAYS]
    held = {"both": np.concatenate([rows["shares"].T, rows["recent"][None]])}
    gains = np.array([*(moving.gain_of(days * day) for _, days in _MEANS), gain])[:, None]
    before, now = moving.follow(held, "both", [*chances, np.maximum(begins, -8.0) + LEAST], gains, known)
    rows["shares"], rows["recent"] = held["both"][:-1].T, held["both"][-1]
    return before[:-1], now[-1]


def _shares(before: Array, seen: moving.Seen, day: float) -> Array:
    """Logarithms of the share of samples that began something, over the past of each mean: [mean, series, time]."""
    spans = [days * day for _, days in _MEANS]
    prior = np.array([min(1.0, PRIOR / span) for span in spans])[:, None, None]
    counted = np.where(seen.count == 0, 0.0, seen.weights([moving.gain_of(span) for span in spans]))
    return np.asarray(np.log(((before + USUAL_SHARE * prior) / (counted + prior)).astype(np.float32)))


def chance(logit: Array) -> Array:
    """The probability of a logit; odds in single precision, which take a quarter of the time of double."""
    answer = np.exp(np.clip(-logit, -60.0, 60.0).astype(np.float32)).astype(np.float64)
    answer += 1.0
    return np.divide(1.0, answer, out=answer)


def joined(begins: Array, lasts: Array) -> Array:
    """The logit of the score: what is going on, or what begins."""
    return np.maximum(begins, lasts)


def unit(logit: Array) -> Array:
    """0..1, one half at even odds; drawn out, so that strong evidence can still be told apart."""
    return chance(logit / SPREAD)
