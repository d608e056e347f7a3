"""Made-up traffic to fit on beside real series: days, weekends, jobs, and noise that grows with the level.

They teach the networks for how long such a series may go on without anything in it being odd. The order in which random
numbers are drawn is part of what the weights are: the same seed gives the same series.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from benchmarks._fit_made_up import DAY, FAMILY, SHIFTED, START
from benchmarks._fit_series import Array, Labelled

Dice = np.random.Generator

#: Series that the weights of the project were fitted on.
COUNT = 48
#: Interval in seconds -> days of a series.
LENGTHS = {60: 21, 300: 56}
#: Longest event in samples.
LONGEST = 60


def traffic(count: int = COUNT, seed: int = 0) -> list[Labelled]:
    """``count`` series of 16,128 or 30,240 samples, none of them below 0; two thirds without events."""
    dice = np.random.default_rng(seed)
    return [_series(dice, number) for number in range(count)]


def _series(dice: Dice, number: int) -> Labelled:
    interval = int(dice.choice(list(LENGTHS)))
    times = START + DAY * int(dice.integers(0, 7)) + interval * np.arange(LENGTHS[interval] * DAY // interval)
    usual = _usual(dice, times)
    values = usual * np.maximum(1.0 + _noise(dice, len(times)), 0.0)
    warmup, label = len(times) // 4, np.zeros(len(times), np.int8)
    if dice.random() < 1 / 3:
        _events(dice, values, usual, label, warmup)
    scale = 10.0 ** dice.uniform(-2, 5)
    values = dice.poisson(values * 10.0 ** dice.uniform(0.5, 3)).astype(np.float64) if dice.random() < 0.3 else values
    about = {
        "id": f"traffic {number}",
        "family": FAMILY,
        "interval_s": interval,
        "warmup": warmup,
        "delay_k": 7,
        "vus_window": 40,
        "real_timestamps": True,
    }
    return Labelled(about, times, np.asarray(values * scale), label)


def _usual(dice: Dice, times: Array) -> Array:
    """What is expected of each sample, about 1."""
    part, weekday = times % DAY / DAY, (times // DAY + 3) % 7
    busy = 1.0 + _day(dice, part)
    free = busy if dice.random() < 0.4 else dice.uniform(0.3, 1.1) * (1.0 + dice.uniform(0.2, 1) * _day(dice, part))
    weekend = weekday >= (6 if dice.random() < 0.2 else 5)
    usual = np.where(weekend, free, busy) + _jobs(dice, part, weekday)
    return np.asarray(usual * (1.0 + dice.uniform(-0.3, 0.5) * np.arange(len(times)) / len(times)))


def _day(dice: Dice, part: Array) -> Array:
    """Up to three waves of a day, together never below -0.8."""
    wave = sum(
        dice.uniform(0.2, 1) / order * np.sin(2 * np.pi * (order * part + dice.random()))
        for order in range(1, int(dice.integers(2, 5)))
    )
    return np.asarray(dice.uniform(0.1, 0.8) * wave / np.abs(wave).max())


def _jobs(dice: Dice, part: Array, weekday: Array) -> Array:
    """Work at a fixed time: of the day, of one day of the week, or of every hour."""
    kind = int(dice.integers(0, 6))
    at, takes, size = dice.random(), dice.uniform(0.003, 0.04), dice.uniform(0.2, 2)
    if kind > 2:
        return np.zeros(len(part))
    if kind == 2:
        return np.where((part * 24 + at) % 1 < takes * 5, size, 0.0)
    works = (part + at) % 1 < takes
    return np.where(works & (weekday == int(dice.integers(0, 7))) if kind else works, size, 0.0)


def _noise(dice: Dice, length: int) -> Array:
    keep, size = dice.choice([0.0, 0.5, 0.9]), dice.uniform(0.005, 0.08)
    drawn = dice.standard_t(5, length) / 1.29 if dice.random() < 0.3 else dice.normal(0, 1, length)
    return np.asarray(size * np.sqrt(1 - keep**2) * lfilter([1.0], [1.0, -keep], drawn))


def _events(dice: Dice, values: Array, usual: Array, label: Array, warmup: int) -> None:
    """Puts up to four events into ``values`` and ``label``, each beyond what noise and jobs do."""
    count = int(dice.integers(1, 5))
    for first in dice.choice(np.arange(warmup, len(values) - 2 * LONGEST, 4 * LONGEST), count, replace=False).tolist():
        points, kind = int(dice.integers(1, LONGEST)), int(dice.integers(0, 4))
        until, factor = first + points, dice.choice([dice.uniform(0.0, 0.5), dice.uniform(1.7, 4)])
        if kind == 0:  # a spike
            until = first + min(points, 3)
        elif kind == 1:  # a shift that stays
            values[first + SHIFTED :] *= factor
            usual[first + SHIFTED :] *= factor
            until = first + SHIFTED
        elif kind == 2:  # to and fro
            swing = np.abs(factor - 1.0) * np.where(np.arange(points) % 2, 1.0, -1.0)
            values[first:until] = usual[first:until] * np.maximum(1.0 + swing, 0.0)
            label[first:until] = 1
            continue
        values[first:until] *= factor
        label[first:until] = 1
