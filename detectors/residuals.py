"""What is left of each sample when one expectation after the other is taken away, for a block of columns.

The last value, two levels (medians of a few samples, smoothed), the time of day and the linear predictor; the mean of
five samples against the mean before them; the energy of the predictor's residual over three windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from . import daily, moving, predictor
from .base import Array, State
from .rarity import Pace

#: Spans of the levels, in samples.
FAST, SLOW, SHIFT, OFFSET = 12, 120, 30, 40
#: Windows of the predictor's energy, in samples.
WINDOWS = (8, 32, 128)
#: Multiples of the spread beyond which a sample is not learned by the predictor; beyond which it is not told apart.
LEARNED, TOLD = 8.0, 50.0
#: Largest square of a residual in an energy.
MOST_POWER = 400.0
#: Moving sums of the state, one number a series each.
SUMS = ("level", "slow", "fast", "shift", "offset", "deviation", "centre", *(f"power{window}" for window in WINDOWS))


#: Series of longer intervals, days for example, are judged by rarity alone: the networks were fitted on shorter ones.
MOST_INTERVAL_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Clock:
    """What the memory of the channels is measured by."""

    interval_ms: int
    season: bool  #: whether the time stamps are real

    @property
    def day(self) -> float:
        """Samples of a day, within reason."""
        return float(np.clip(daily.DAY_MS / self.interval_ms, 200, 1440)) if self.season else 500.0

    @property
    def slow(self) -> bool:
        """Whether samples come so seldom that histories are short."""
        return self.season and self.interval_ms > MOST_INTERVAL_MS

    @property
    def pace(self) -> Pace:
        day = self.day
        return Pace(
            scale=moving.gain_of(day),
            tail=moving.gain_of(5 * day),
            fall=float(np.log(2.0) / (3 * day)),
            long_scale=moving.gain_of(60 * day),
            long_fall=float(np.log(2.0) / (60 * day)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples [series, time] on their way through the state."""

    sample: Array
    when: daily.When | None  #: None where there is no time of day
    clock: Clock
    ticks: int  #: columns before this block
    known: Array | None  #: [series]; None where all samples are known, which more than one column must be
    seen: moving.Seen

    def levels(self, state: State, of: Mapping[str, tuple[Array, float]], more: int = 0) -> list[Array]:
        """The mean of each array over about so many samples, before each sample; ``more`` 1: with the sample itself."""
        spans, samples = [moving.gain_of(span) for _, span in of.values()], [values for values, _ in of.values()]
        found = moving.follow(state.rows, tuple(of), samples, np.array(spans)[:, None], self.known)[more]
        means = [
            one / weight for one, weight in zip(found, (self.seen.weight(span, more) for span in spans), strict=True)
        ]
        if self.seen.starts and not more:
            return [np.where(self.seen.count == 0, *both) for both in zip(samples, means, strict=True)]
        return means


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Every array has shape [series, time]."""

    sizes: dict[str, Array] = field(default_factory=dict)  #: signed residual of each channel
    energies: dict[str, Array] = field(default_factory=dict)  #: mean squares of the predictor's residual
    spread: Array = field(default_factory=lambda: np.empty(0))  #: how far the series strays in a day
    floor: Array = field(default_factory=lambda: np.empty(0))  #: residuals below this are nothing
    shaken: Array = field(default_factory=lambda: np.empty(0))  #: mean of the newest changes
    slow: Array = field(default_factory=lambda: np.empty(0))  #: the slow level
    expected: Array = field(default_factory=lambda: np.empty(0))  #: by the time of day, else the fast level
    timed: Array = field(default_factory=lambda: np.empty(0))  #: whether it is by the time of day
    near: Array = field(default_factory=lambda: np.empty(0))  #: what the predictor is to learn, in its steps


def start_rows(count: int) -> dict[str, Array]:
    rows = {name: np.zeros(count) for name in SUMS} | {"last": np.zeros((count, 4))}
    return rows | predictor.start_rows(count) | daily.start_rows(count)


def residuals(state: State, block: Block) -> Residuals:
    """All residuals of a block; levels and energies of the state move on, predictor and profile do not yet."""
    sample, day = block.sample, block.clock.day
    last = moving.trailing(state.rows, "last", sample, block.known)
    three, five = moving.median_of_three(last), moving.median_of_five(last)
    level, centre, slow, shifted, fast = block.levels(
        state,
        {
            "level": (five, day),
            "centre": (five, 5 * day),
            "slow": (five, SLOW),
            "shift": (five, SHIFT),
            "fast": (three, FAST),
        },
    )
    usual = _usual(state, block)
    timed = ~np.isnan(usual)
    if_timed = _chooser(timed)
    away = if_timed(three - usual, 0.0)
    strayed, offset = block.levels(
        state, {"deviation": (np.sqrt(np.abs(sample - level)), 5 * day), "offset": (away, OFFSET)}
    )
    spread = strayed * strayed
    least = 1e-9 * (np.abs(slow) + 1e-3)
    far = ((sample - if_timed(usual, centre)) / (1.5 * (spread + least))).astype(np.float32)
    np.clip(far, -TOLD, TOLD, out=far)
    near = predictor.in_steps(np.clip(far, -LEARNED, LEARNED))
    near = near if block.known is None else np.where(block.known[:, None], near, np.int16(0))
    shape = far - predictor.predict(state, near, block.ticks)
    power = np.minimum(shape * shape, np.float32(MOST_POWER))
    change = last[0] - last[1]
    powers = {f"power{window}": (power, float(window)) for window in WINDOWS}
    shaken, *energies = block.levels(state, {"burst": (np.sqrt(np.abs(change)), float(WINDOWS[0]))} | powers, more=1)
    return Residuals(
        sizes={
            "change": change,
            "fast": sample - fast,
            "slow": sample - slow,
            "season": if_timed(sample - usual - offset, 0.0 if block.when is None else sample - fast),
            "shift": (last[0] + last[1] + last[2] + last[3] + last[4]) * 0.2 - shifted,
            "shape": shape,
        },
        energies={f"energy{window}": energy for window, energy in zip(WINDOWS, energies, strict=True)},
        shaken=shaken * shaken,
        spread=spread,
        floor=1e-2 * spread + least,
        slow=slow,
        expected=if_timed(usual + offset, fast),
        timed=timed,
        near=near,
    )


def _chooser(chosen: Array) -> Callable[[Array, Array | float], Array]:
    """``np.where`` of that condition, at no cost where it holds everywhere, as it mostly does."""
    if chosen.all():
        return lambda yes, _no: yes
    return lambda yes, no: np.where(chosen, yes, no)


def _usual(state: State, block: Block) -> Array:
    """The usual value at this time of day; NaN where there is none."""
    if block.when is None:
        return np.full_like(block.sample, np.nan)
    return daily.expected(state, block.when)
