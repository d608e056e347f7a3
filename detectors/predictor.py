"""The next sample from the samples before it: a linear predictor by least squares, for many series at once.

What it leaves over is the part of a series that its own shape does not explain: for a periodic series the odd beat, for
any series what a change from the last value would say, but without the moves that are usual. Lags are the same for all
series, dense near 0 and thinning out, so that a block of columns is a few dozen shifted sums. The sums of products
forget; all of one moment enter together, so that they agree with each other.
"""

from __future__ import annotations

import numpy as np

from . import moving
from .base import Array, State

#: Furthest sample looked back to.
REACH = 240
#: Samples looked back to: the last six, then ever thinner.
LAGS = np.unique(np.round(np.concatenate([np.arange(1, 7), np.geomspace(8, REACH, 16)])).astype(np.int64))
#: Samples between two updates of the sums; these come from every sample at first, later from every ``STRIDE``-th.
CHUNK, STRIDE, DENSE = 32, 4, 2048
#: Samples between two solutions; the first two come early.
REFIT, EARLY = 512, (128, 256)
#: Known samples before a solution is tried.
ENOUGH = 96
#: Share of the variance added to the diagonal: white noise that keeps the solution tame.
RIDGE = 3e-4
#: Series up to which all learn at the same tick; of more, one share after the other, so that no tick is much dearer.
TOGETHER = 4096
#: Samples that carry most of the weight of the sums.
MEMORY = 8192.0
#: Steps of a unit in which samples are remembered, two bytes each: far finer than what is told apart.
STEPS = np.float32(4000.0)

_BACK = np.concatenate([[0], LAGS])
_UPPER = np.triu_indices(len(_BACK))
_KEPT = _UPPER[0] * len(_BACK) + _UPPER[1]
_FULL = np.zeros((len(_BACK), len(_BACK)), np.int64)
_FULL[_UPPER] = np.arange(len(_UPPER[0]))
_FULL = np.maximum(_FULL, _FULL.T)  # where a product stands among the kept half


def start_rows(count: int) -> dict[str, Array]:
    weights = np.zeros((count, len(LAGS)), np.float32)
    weights[:, 0] = 1.0
    return {
        "ring": np.zeros((count, REACH + CHUNK), np.int16),
        "products": np.zeros((count, len(_UPPER[0])), np.float32),
        "weights": weights,
        "fit": np.zeros((count, 2), np.float32),
    }


def in_steps(sample: Array) -> Array:
    """Samples between -8 and 8, as they are remembered."""
    return np.rint(sample * STEPS).astype(np.int16)


def predict(state: State, sample: Array, ticks: int) -> Array:
    """What is foreseen for each sample [series, time] of a block that crosses no ``horizon``; float32.

    ``sample`` is ``in_steps``, the answer is not.
    """
    ring, weights = state.rows["ring"], state.rows["weights"]
    size, length = ring.shape[1], sample.shape[1]
    foreseen, part = (np.zeros((length, len(ring)), np.float32) for _ in range(2))  # a moment of all series at a time
    if length == 1:
        past = [ring[:, (ticks - lag) % size] for lag in LAGS.tolist()]
    else:
        whole = np.concatenate([ring.T[(ticks + np.arange(-REACH, 0)) % size], sample.T], dtype=np.float32)
        past = [whole[REACH - lag : REACH - lag + length] for lag in LAGS.tolist()]
    for share, lagged in zip(np.ascontiguousarray(weights.T) / STEPS, past, strict=True):
        np.multiply(share, lagged, out=part)
        foreseen += part
    return foreseen.T


def in_turns(state: State) -> bool:
    """Whether there are so many series that they learn in turns."""
    return state.count > TOGETHER


def horizon(state: State, ticks: int) -> int:
    """Columns after ``ticks`` that the present weights are good for."""
    if in_turns(state):
        return 1
    return min(after for after in (*EARLY, REFIT * (ticks // REFIT + 1)) if after > ticks) - ticks


def stretch(ticks: int, length: int) -> moving.Stretch:
    """Where a block of so many columns after ``ticks`` is among those that no block goes across."""

    def last(at: int) -> int:
        return max(one for one in (0, 1, 2, *EARLY, REFIT * (at // REFIT)) if one <= at)

    return moving.Stretch(ticks - last(ticks), last(ticks + length) == ticks + length)


def absorb(state: State, sample: Array, ticks: int, *, turns: bool = False) -> None:
    """Put a block, ``in_steps``, into the ring; learn after every chunk, solve at the horizon.

    ``turns``: of one column, in turns.
    """
    ring = state.rows["ring"]
    size, length, done = ring.shape[1], sample.shape[1], 0
    if turns:
        ring[:, ticks % size] = sample[:, 0]
        _take_turns(state, ticks + 1)
        return
    while done < length:
        take = min(length - done, CHUNK - (ticks + done) % CHUNK)
        ring[:, (ticks + done + np.arange(take)) % size] = sample[:, done : done + take]
        done += take
        if (ticks + done) % CHUNK == 0:
            learn(state, slice(None), ticks + done)
    if (ticks + length) in EARLY or (ticks + length) % REFIT == 0:
        solve(state, np.arange(state.count))


def _take_turns(state: State, ticks: int) -> None:
    """The next of CHUNK shares of the series learns; every 16th of it is solved, or all of it while it is new."""
    turn, round_, share = ticks % CHUNK, ticks // CHUNK, -(-state.count // CHUNK)
    rows = slice(turn * share, min((turn + 1) * share, state.count))
    learn(state, rows, ticks)
    early = round_ * CHUNK in EARLY
    asked = np.arange(rows.start, rows.stop)
    solve(state, asked if early else asked[round_ % (REFIT // CHUNK) :: REFIT // CHUNK])


def learn(state: State, rows: slice, ticks: int) -> None:
    """Add the chunk that ends after ``ticks`` columns to the sums of products of these rows."""
    ring, products = state.rows["ring"][rows], state.rows["products"][rows]
    keep = np.float32((1.0 - 2.0 / (MEMORY + 1.0)) ** CHUNK)
    picked = np.arange(0, CHUNK, 1 if ticks <= DENSE else STRIDE)  # how far before the newest sample
    places = (ticks - 1 - picked[:, None] - _BACK[None, :]) % ring.shape[1]
    lagged = np.take(np.ascontiguousarray(ring), places.ravel(), axis=1, mode="clip")  # by columns: see wide
    lagged = lagged.reshape(len(ring), *places.shape) / STEPS  # [series, moment, lag], float32
    total = np.matmul(lagged.transpose(0, 2, 1), lagged).reshape(len(ring), -1)
    products *= keep
    total = np.take(total, _KEPT, axis=1, mode="clip")
    total *= (1 - keep) / np.float32(len(picked))
    products += total


def solve(state: State, asked: Array) -> None:
    """New weights of those of the asked rows that have enough past."""
    rows = state.rows
    chosen = asked[(rows["seen"][asked] >= ENOUGH) & (rows["products"][asked, 0] > 1e-12)]
    if not len(chosen):
        return
    products = rows["products"][chosen].astype(np.float64)[:, _FULL]
    power = products[:, 0, 0]
    matrix = products[:, 1:, 1:] + (RIDGE * power)[:, None, None] * np.eye(len(LAGS))
    towards = products[:, 0, 1:]
    weights = np.linalg.solve(matrix, towards[:, :, None])[:, :, 0]
    left = 1.0 - np.einsum("sl,sl->s", weights, towards) / power
    sane = (left > 0.0) & np.isfinite(weights).all(axis=1)
    change = 1.0 + (products[:, 1, 1] - 2.0 * products[:, 0, 1]) / power
    rows["weights"][chosen[sane]] = weights[sane]
    rows["fit"][chosen[sane], 0] = 1.0 - np.sqrt(left[sane])
    rows["fit"][chosen[sane], 1] = np.log2((left[sane] + 1e-6) / (np.maximum(change[sane], 0.0) + 1e-6))
