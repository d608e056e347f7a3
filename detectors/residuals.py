"""What is left of each sample when one expectation after the other is taken away, for a block of columns.

The last value, two levels (medians of a few samples, smoothed), the time of day and the linear predictor; the mean of
five samples against the mean before them; the energy of the predictor's residual over three windows.
"""

from __future__ import annotations

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
        return Pace(moving.gain_of(self.day), moving.gain_of(5 * self.day), float(np.log(2.0) / (3 * self.day)))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples [series, time] on their way through the state."""

    sample: Array
    clocks: daily.Clocks
    clock: Clock
    ticks: int  #: columns before this block
    known: Array | None  #: [series]; None where all samples are known, which more than one column must be
    seen: moving.Seen

    def level(self, state: State, key: str, of: Array, span: float) -> Array:
        """The mean of ``of`` over about ``span`` samples, before each sample."""
        gain = moving.gain_of(span)
        before, _ = moving.follow(state.rows, key, of, gain, self.known)
        return np.where(self.seen.count == 0, of, before / self.seen.weight(gain))

    def level_now(self, state: State, key: str, of: Array, span: float) -> Array:
        """The same with the sample itself."""
        gain = moving.gain_of(span)
        _, now = moving.follow(state.rows, key, of, gain, self.known)
        return np.asarray(now / self.seen.weight(gain, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Every array has shape [series, time]."""

    sizes: dict[str, Array] = field(default_factory=dict)  #: signed residual of each channel
    energies: dict[str, Array] = field(default_factory=dict)  #: mean squares of the predictor's residual
    spread: Array = field(default_factory=lambda: np.empty(0))  #: how far the series strays in a day
    floor: Array = field(default_factory=lambda: np.empty(0))  #: residuals below this are nothing
    slow: Array = field(default_factory=lambda: np.empty(0))  #: the slow level
    expected: Array = field(default_factory=lambda: np.empty(0))  #: by the time of day, else the fast level
    timed: Array = field(default_factory=lambda: np.empty(0))  #: whether it is by the time of day
    near: Array = field(default_factory=lambda: np.empty(0))  #: what the predictor is to learn


def start_rows(count: int) -> dict[str, Array]:
    rows = {name: np.zeros(count) for name in SUMS} | {"last": np.zeros((count, 4))}
    return rows | predictor.start_rows(count) | daily.start_rows(count)


def residuals(state: State, block: Block) -> Residuals:
    """All residuals of a block; levels and energies of the state move on, predictor and profile do not yet."""
    sample, day = block.sample, block.clock.day
    last = moving.trailing(state.rows, "last", sample, block.known)
    three, five = moving.median_of_three(last), moving.median_of_five(last)
    strayed = np.sqrt(np.abs(sample - block.level(state, "level", five, day)))
    spread = block.level(state, "deviation", strayed, 5 * day) ** 2
    centre = block.level(state, "centre", five, 5 * day)
    slow, fast = block.level(state, "slow", five, SLOW), block.level(state, "fast", three, FAST)
    least = 1e-9 * (np.abs(slow) + 1e-3)
    usual, season, offset = _season(state, block, three)
    timed = ~np.isnan(usual)
    far = np.clip((sample - np.where(timed, usual, centre)) / (1.5 * (spread + least)), -TOLD, TOLD)
    near = np.clip(far, -LEARNED, LEARNED).astype(np.float32)
    near = near if block.known is None else np.where(block.known[:, None], near, np.float32(0))
    shape = far - predictor.predict(state, near, block.ticks)
    power = np.minimum(shape**2, MOST_POWER)
    return Residuals(
        sizes={
            "change": last[0] - last[1],
            "fast": sample - fast,
            "slow": sample - slow,
            "season": season,
            "shift": last.mean(axis=0) - block.level(state, "shift", five, SHIFT),
            "shape": shape,
        },
        energies={f"energy{window}": block.level_now(state, f"power{window}", power, window) for window in WINDOWS},
        spread=spread,
        floor=1e-2 * spread + least,
        slow=slow,
        expected=np.where(timed, usual + offset, fast),
        timed=timed,
        near=near,
    )


def _season(state: State, block: Block, three: Array) -> tuple[Array, Array, Array]:
    """(usual value at this time of day or NaN, residual, today's offset from the usual)."""
    if not block.clock.season:
        nothing = np.zeros_like(block.sample)
        return np.full_like(block.sample, np.nan), nothing, nothing
    usual = daily.expected(state, block.clocks, block.clock.interval_ms)
    unknown = np.isnan(usual)
    offset = block.level(state, "offset", np.where(unknown, 0.0, three - usual), OFFSET)
    return usual, np.where(unknown, 0.0, block.sample - usual - offset), offset
