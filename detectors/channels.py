"""Several cheap views of every series at once, and what each says of every sample: the inputs of the networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import daily, moving, predictor, residuals
from .base import Array, State
from .rarity import NOTHING, Rarity, inputs_of, rarity
from .rarity import start_rows as rarity_rows
from .residuals import WINDOWS, Block, Clock, Residuals

CHANNELS = ("change", "fast", "slow", "season", "shift", "shape", *(f"energy{window}" for window in WINDOWS))
#: Residual over its usual size at which the tail begins: of sizes, of energies.
LIMIT, ENERGY_LIMIT = 4.0, 3.0
_LIMITS = np.array([[[ENERGY_LIMIT if name.startswith("energy") else LIMIT]] for name in CHANNELS], np.float32)
#: The predictor's residual is counted in spreads: below this one it is nothing.
UNIT = 1e-2
#: Channels, the first ones, whose sizes are compared with a past of months too.
LONG = 6
#: Names of the inputs, in order.
NAMES = (
    *(f"{name}.{part}" for part in ("orders", "ratio", "record") for name in CHANNELS),
    *(f"{name}.{part}" for part in ("long_ratio", "long_record") for name in CHANNELS[:LONG]),
    *("change.exponent", "change.share", "slow.exponent", "slow.share", "change.sign", "slow.sign", "season.sign"),
    *("burst", "relative", "zero", "same", "noise", "interval", "clock", "fit", "fit_change", "shape_lasting"),
)
#: Of short histories: rarity at LIMIT, exponent of the usual tail beyond, most rarity of what was seen before, and how
#: far beyond the largest so far (log2) a residual must be to be new.
KNEE, SHORT_EXPONENT, SEEN_ORDERS, BEYOND = 1.7, 0.2, 2.5, 0.5
#: The channels of levels.
_LEVELS = slice(CHANNELS.index("fast"), CHANNELS.index("slow") + 1)
#: A tail heavier than this does not widen the band further.
MOST_EXPONENT = 0.4
#: Limits that are one in BAND by the usual tail.
BAND_OF_SHORT = 10.0 ** (SHORT_EXPONENT * (3.0 - KNEE))
#: The residual that is shown as a band is as rare as one in this.
BAND = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """When a block is."""

    when: daily.When | None  #: in day and week; None where there is no time of day
    ticks: int  #: columns before it
    known: Array | None  #: [series]; None where all samples are known
    turns: bool = False  #: whether series learn in turns

    def rows(self, chosen: slice) -> Moment:
        """Of these series alone."""
        if chosen == slice(None):
            return self
        known = None if self.known is None else self.known[chosen]
        when = None if self.when is None else self.when.rows(chosen)
        return Moment(when, self.ticks, None if known is None or known.all() else known, self.turns)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One block as the channels see it."""

    inputs: Array  #: [len(NAMES) and room for what is remembered, series, time], float32
    still: Array | None  #: True where nothing has ever moved; None: nowhere
    left: Residuals
    found: Rarity
    slow: bool  #: whether histories are short


def start_rows(count: int) -> dict[str, Array]:
    rows = residuals.start_rows(count) | {"burst": np.zeros(count), "moved": np.zeros(count)}
    return rows | rarity_rows(count, len(CHANNELS), LONG) | {"seen": np.zeros(count, np.int32)}


def look(state: State, sample: Array, clock: Clock, at: Moment, room: int) -> View:
    """The inputs of a block [series, time] with ``room`` for more behind them, and the state after it."""
    rows, length = state.rows, sample.shape[1]
    fresh = rows["seen"] == 0
    if fresh.any():
        _begin(rows, fresh, sample[:, 0])
    block = Block(sample, at.when, clock, at.ticks, at.known, moving.Seen(rows["seen"], length))
    left = residuals.residuals(state, block)
    inputs = np.empty((len(NAMES) + room, length, len(sample)), np.float32).swapaxes(1, 2)
    first = inputs_of(len(CHANNELS), LONG)
    found = _rarities(state, block, left, inputs[:first])
    _extra(inputs[first : len(NAMES)], state, block, left, found)
    still = _still(rows, left.sizes["change"], at.known)
    if at.when is not None:
        daily.learn(state, sample, at.when, clock.interval_ms, at.known)
    rows["seen"] = rows["seen"] + (np.int32(length) if at.known is None else at.known.astype(np.int32))
    predictor.absorb(state, left.near, at.ticks, turns=at.turns)
    return View(inputs, still, left, found, clock.slow)


def band(view: View) -> tuple[Array, Array]:
    """(expected value, distance from it that is one in a thousand), [series, time]."""
    left, found = view.left, view.found
    if view.slow:
        usual = found.usual[CHANNELS.index("slow")].astype(np.float64)
        return left.slow, usual * LIMIT * BAND_OF_SHORT
    return left.expected, np.where(left.timed, _reach(found, "season"), _reach(found, "fast"))


def _begin(rows: moving.Rows, fresh: Array, sample: Array) -> None:
    """Rows of series never seen: the first sample is all that they remember."""
    for name, array in rows.items():
        if array.dtype.kind == "f" and name not in ("day_profile", "anchor"):
            array[fresh] = 0.0
    rows["record_start"][fresh] = NOTHING
    rows["weights"][fresh, 0] = 1.0
    rows["last"][fresh] = sample[fresh, None]


def _still(rows: moving.Rows, change: Array, known: Array | None) -> Array | None:
    """Where nothing has ever moved; what has once is not asked again."""
    if (rows["moved"] > 0).all():
        return None
    _, moved = moving.largest(rows, "moved", np.abs(change), 0.0, known)
    return np.asarray(moved == 0)


def _rarities(state: State, block: Block, left: Residuals, to: Array) -> Rarity:
    sizes = moving.room(len(CHANNELS), *block.sample.shape, dtype=np.float32)
    floors, shape = np.empty_like(sizes), CHANNELS.index("shape")
    floors[:shape], floors[shape], floors[shape + 1 :] = left.floor.astype(np.float32), UNIT, UNIT**2
    for at, name in enumerate(CHANNELS):
        energy = left.energies.get(name)
        if energy is None:
            np.abs(left.sizes[name], out=sizes[at], casting="same_kind")
        else:
            sizes[at] = energy
    stretch = predictor.stretch(block.ticks, block.sample.shape[1])
    return rarity(state.rows, sizes, floors, _LIMITS, block.seen, block.clock.pace, stretch, block.known, to)


def _reach(found: Rarity, name: str) -> Array:
    """The residual of a channel that is as rare as one in BAND."""
    at = CHANNELS.index(name)
    beyond = np.maximum(found.log_share[at] + np.float32(np.log(BAND)), 0.0)
    return np.asarray(
        found.usual[at] * LIMIT * np.exp(np.minimum(found.exponent[at], MOST_EXPONENT) * beyond), np.float64
    )


def rarest(found: Rarity, where: tuple[Array, ...] | None = None) -> Array:
    """Decimal orders of rarity of the distance from the levels, for short histories; ``where``: there alone.

    Few samples do not tell a tail: beyond all that was seen a usual one is taken, within it little is rare.
    """
    parts = (part[_LEVELS] for part in (found.ratio, found.record, found.orders))
    ratio, record, orders = (part if where is None else part[:, where[0], where[1]] for part in parts)
    units = np.exp2(ratio) / np.float32(LIMIT)
    usual = KNEE * np.minimum(units, 1.0) + np.log10(np.maximum(units, 1.0)) / SHORT_EXPONENT
    return np.asarray(np.where(record > BEYOND, usual, np.minimum(orders, SEEN_ORDERS)).max(axis=0))


def may_be_as_rare(found: Rarity, orders: float) -> Array:
    """Where ``rarest`` may be as much as so many orders, which are more than SEEN_ORDERS: [series, time]."""
    least = np.log2(LIMIT) + (orders - KNEE) * SHORT_EXPONENT * np.log2(10.0)
    far = found.ratio[_LEVELS] >= np.float32(least - 1e-3)
    return np.asarray((far & (found.record[_LEVELS] > BEYOND)).any(axis=0))


def _extra(inputs: Array, state: State, block: Block, left: Residuals, found: Rarity) -> None:
    """Write the inputs that are not rarities, in the order of NAMES."""
    sample, change, slow = block.sample, left.sizes["change"], left.sizes["slow"]
    fit = state.rows["fit"]
    at_change, at_slow = CHANNELS.index("change"), CHANNELS.index("slow")
    steady = np.maximum(found.usual[at_change] - left.floor, 0.0)
    a_little = 0.05 * left.floor + 1e-300
    extra: list[Array | float] = [
        np.log(found.exponent[at_change]),
        found.log_share[at_change],
        np.log(found.exponent[at_slow]),
        found.log_share[at_slow],
        np.sign(change),
        np.sign(slow),
        np.sign(left.sizes["season"]),
        _log_two((left.shaken + a_little) / (steady + a_little), -8, 10),
        np.clip(np.abs(slow) / (np.abs(left.slow) + left.spread + 1e-9), 0.0, 10.0),
        sample == 0,
        change == 0,
        _log_two((steady + 1e-12) / (left.spread + 1e-12) + 1e-3, -10, 10),
        np.log10(block.clock.interval_ms / 1000.0) if block.clock.season else 0.0,
        float(block.clock.season),
        fit[:, :1],
        fit[:, 1:],
        np.minimum(found.ratio[CHANNELS.index("energy8")], found.ratio[CHANNELS.index("energy32")]),
    ]
    for at, one in enumerate(extra):
        inputs[at] = one


def _log_two(number: Array, least: int, most: int) -> Array:
    """The logarithm of base 2 between these, float32: single precision takes a third of the time of double."""
    return np.asarray(np.log2(np.clip(number, 2.0**least, 2.0**most).astype(np.float32)))
