"""Made-up series to fit on beside real ones: noise of many shapes, with and without a day, half of them without events.

They teach the networks that heavy tails, counts, steps and walks are no events. The order in which random numbers are
drawn is part of what the weights are: the same seed gives the same series.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from benchmarks._fit_series import Array, Labelled

Dice = np.random.Generator

FAMILY = "made-up"
#: Series that the weights of the project were fitted on.
COUNT = 104
#: First time stamp (s) where time stamps are real, and a day.
START, DAY = 1_700_000_000, 86_400
#: Intervals in seconds.
INTERVALS = (15, 60, 300, 3600)
#: Longest event in points, and how many of a shift that stays are labelled.
LONGEST, SHIFTED = 40, 8


def _reddish(dice: Dice, length: int) -> Array:
    """Noise of the first order."""
    keep = dice.choice([0.5, 0.9, 0.98])
    return np.asarray(lfilter([1.0], [1.0, -keep], dice.normal(0, 1, length)))


def _steps(dice: Dice, length: int) -> Array:
    return np.repeat(dice.normal(0, 3, length // 200 + 1), 200)[:length] + dice.normal(0, 0.3, length)


def _saw(dice: Dice, length: int) -> Array:
    period = dice.integers(20, 200)
    return (np.arange(length) % period) / period * 10 + dice.normal(0, 0.2, length)


def _sine(dice: Dice, length: int) -> Array:
    period = dice.integers(15, 200)
    return 5 * np.sin(np.arange(length) * 2 * np.pi / period) + dice.normal(0, 0.3, length)


#: Shape of the noise -> its samples [time].
SHAPES: dict[str, Callable[[Dice, int], Array]] = {
    "normal": lambda dice, length: dice.normal(0, 1, length),
    "laplace": lambda dice, length: dice.laplace(0, 1, length),
    "student": lambda dice, length: dice.standard_t(3, length),
    "poisson": lambda dice, length: dice.poisson(dice.choice([0.3, 3, 30]), length).astype(np.float64),
    "lognormal": lambda dice, length: dice.lognormal(0, 1, length),
    "uniform": lambda dice, length: dice.uniform(-1, 1, length),
    "reddish": _reddish,
    "walk": lambda dice, length: np.cumsum(dice.normal(0, 1, length)),
    "steps": _steps,
    "saw": _saw,
    "sine": _sine,
    "rounded": lambda dice, length: np.round(dice.normal(0, 1, length)),
    "constant": lambda _, length: np.zeros(length),
}
#: Shapes whose own moves could not be told from events.
WITHOUT_EVENTS = ("walk", "steps")


def made_up(count: int = COUNT, seed: int = 0) -> list[Labelled]:
    """``count`` series of 700 to 5000 points, of one shape after the other."""
    dice, shapes = np.random.default_rng(seed), list(SHAPES)
    return [_series(dice, number, shapes[number % len(shapes)]) for number in range(count)]


def _series(dice: Dice, number: int, shape: str) -> Labelled:
    real = bool(dice.random() < 0.7)
    interval = int(dice.choice(INTERVALS)) if real else 1
    length = int(dice.integers(700, 1500) if interval == INTERVALS[-1] else dice.integers(1500, 5000))
    values = SHAPES[shape](dice, length)
    times = (START if real else 0) + interval * np.arange(length)
    values = _placed(dice, values, times, real=real)
    warmup = length // 3
    label = _events(dice, values, warmup, can_have=shape not in WITHOUT_EVENTS)
    about = {
        "id": f"{FAMILY} {number}",
        "family": FAMILY,
        "interval_s": interval,
        "warmup": warmup,
        "delay_k": 7 if interval < 1800 else 3,
        "vus_window": 40,
        "real_timestamps": real,
    }
    return Labelled(about, times, values, label)


def _placed(dice: Dice, noise: Array, times: Array, *, real: bool) -> Array:
    """The noise with a day or without, in some unit and on some level."""
    spread = noise.std() + 1e-3
    if real and dice.random() < 0.5:
        height = spread * dice.choice([1, 5, 20])
        noise = noise + height * np.sin(times * 2 * np.pi / DAY + dice.uniform(0, 6))
    scale = dice.choice([1e-3, 1, 1e3])
    placed: Array = noise * scale + dice.choice([0, 0, 1, 100, -5]) * spread
    return placed


def _events(dice: Dice, values: Array, warmup: int, *, can_have: bool) -> Array:
    """Puts up to three events into ``values``; answers their label."""
    length, label = len(values), np.zeros(len(values), np.int8)
    spread = np.abs(values - np.median(values)).mean() + 1e-3
    none = bool(dice.random() < 0.5) or not can_have
    count = 0 if none else int(dice.integers(1, 4))
    for first in np.sort(dice.choice(np.arange(warmup + 50, length - 60), count, replace=False)).tolist():
        points, kind = int(dice.integers(1, LONGEST)), int(dice.integers(0, 4))
        size = dice.uniform(6, 20) * spread * dice.choice([-1, 1])
        if kind == 0:  # a spike
            points = min(points, 3)
            values[first : first + points] += size
        elif kind == 1:  # a plateau
            values[first : first + points] += size
        elif kind == 2:  # a shift that stays
            values[first:] += size
            points = SHIFTED
        else:  # to and fro
            values[first : first + points] += np.where(np.arange(points) % 2, size, -size)
        label[first : first + points] = 1
    return label
