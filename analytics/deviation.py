"""How far a metric left its usual course in an incident, as a strength that compares over metrics and nodes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Samples during the incident from which on it fills them: what came before is in the normal period alone.
LONG = 20
#: Windows of the normal period that say what rises are usual; with fewer its spread says it.
ENOUGH_WINDOWS = 20
#: The share of usual windows whose rise counts as no deviation.
USUAL = 0.95
#: Rises below this are none, where a metric never moved: in logarithms, and as a share of the largest value.
LEAST_LOG, LEAST_SHARE = float(np.log(1.05)), 1e-3
#: Deviations in units of what is usual at which the strength is 0.5, above the first.
HALF = 3.0
#: What is left of a strength when the metric was elsewhere already before it moved.
ELSEWHERE = 0.2
#: What is left of a strength that stands on another level alone, without a move during the incident.
LEVEL_ALONE = 0.3
#: Parts of a long incident of which the worst counts.
PARTS = 6
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One metric of one node during an incident."""

    node: str
    metric: str
    kind: str  #: what is measured: amounts of one kind compare between nodes
    strength: float  #: 0 usual, towards 1 ever further outside
    amount: float  #: how far it moved, in its own unit
    before: float  #: median of the normal period; NaN when there is none
    during: float  #: the worst value of the incident
    rising: bool


def direction(kind: str) -> tuple[int, ...]:
    """Which way is worse: latencies and errors up, availability down, all else either."""
    name = kind.lower()
    if any(word in name for word in ("latency", "duration", "error", "fail", "lag", "wait")):
        return (1,)
    return (-1,) if any(word in name for word in ("availability", "success")) else (1, -1)


def deviation(node: str, metric: str, kind: str, normal: FloatArray, during: FloatArray) -> Deviation | None:
    """The stronger way it deviates; None where too little is known of the incident.

    ``during`` may begin before the incident: then the rise within it counts most, so that a metric that has long been
    elsewhere is no suspect. It is compared with rises within windows as long in ``normal``; latencies by ratio.
    """
    known = normal[np.isfinite(normal)]
    during = np.where(np.isfinite(during), during, np.nan)
    if np.isfinite(during).sum() < 2:
        return None
    ways = [_way(sign, kind, known, during) for sign in direction(kind)]
    strength, amount, sign = max(ways)
    level = float(np.median(known)) if len(known) else float("nan")
    worst = float(sign * np.nanmax(sign * during))
    return Deviation(
        node=node,
        metric=metric,
        kind=kind,
        strength=strength,
        amount=amount,
        before=level,
        during=worst,
        rising=sign > 0,
    )


def _way(sign: int, kind: str, normal: FloatArray, during: FloatArray) -> tuple[float, float, int]:
    """(strength, amount, sign) of moves in one direction."""
    ratio = direction(kind) == (1,) and bool((normal > 0).all()) and bool((during[np.isfinite(during)] > 0).all())
    scale: Callable[[FloatArray], FloatArray] = np.log if ratio else np.asarray
    least = LEAST_LOG if ratio else LEAST_SHARE * max(float(np.nanmax(np.abs(np.r_[normal, during]))), 1e-9)
    found = [(0.0, 0.0)]
    if len(during) < LONG:
        found.append(_move(sign, scale, least, normal, during))
    if len(normal) >= ENOUGH_WINDOWS:
        found.append(_level(sign, scale, least, normal, during))
    return (*max(found), sign)


def _move(
    sign: int, scale: Callable[[FloatArray], FloatArray], least: float, normal: FloatArray, during: FloatArray
) -> tuple[float, float]:
    """The largest rise from an earlier to a later sample, against such rises in normal times."""
    rise, amount = _rises(sign * scale(during)), float(_rises(sign * during))
    if len(normal) < ENOUGH_WINDOWS:  # seen too seldom to know: three times as much, or its whole size, is usual
        usual = np.log(3.0) if scale is np.log else float(np.nanmax(np.abs(during)))
        return _strength(rise, max(usual, least)), amount
    windows = _rises(sign * scale(np.lib.stride_tricks.sliding_window_view(normal, min(len(during), len(normal)))))
    usual = np.quantile(windows, USUAL)
    if windows.size < ENOUGH_WINDOWS:
        usual = max(usual, 6.0 * _spread(scale(normal)))
    best = sign * np.nanmin(sign * during)
    return _strength(rise, max(float(usual), least)) * (ELSEWHERE if _elsewhere(best, normal) else 1.0), amount


def _level(
    sign: int, scale: Callable[[FloatArray], FloatArray], least: float, normal: FloatArray, during: FloatArray
) -> tuple[float, float]:
    """The level during the incident against that of normal times."""
    middle = float(np.median(scale(normal)))
    if len(during) >= LONG:
        parts = np.array([np.nanmedian(part) for part in np.array_split(during, PARTS) if np.isfinite(part).any()])
        level, weight = float(sign * np.max(sign * parts)), 1.0
        usual = 2.0 * _spread(scale(normal))
    else:
        level, weight = float(np.nanmedian(during)), LEVEL_ALONE
        windows = np.median(np.lib.stride_tricks.sliding_window_view(normal, min(len(during), len(normal))), axis=1)
        apart = float(np.quantile(np.maximum(sign * (scale(windows) - middle), 0.0), USUAL))
        usual = max(apart if len(windows) >= ENOUGH_WINDOWS else 0.0, 2.0 * _spread(scale(normal)))
    shift = sign * (float(scale(np.array([level]))[0]) - middle)
    return _strength(shift, max(usual, least)) * weight, abs(level - float(np.median(normal)))


def _rises(values: FloatArray) -> FloatArray:
    """The largest later-minus-earlier along the last axis; unknown samples are passed over."""
    return np.asarray(np.nanmax(values - np.fmin.accumulate(values, axis=-1), axis=-1))


def _strength(moved: FloatArray | float, usual: float) -> float:
    beyond = max(0.0, float(moved) / max(usual, 1e-12) - 1.0)
    return beyond / (beyond + HALF)


def _spread(values: FloatArray) -> float:
    return _MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))


def _elsewhere(value: float, normal: FloatArray) -> bool:
    """Far outside of what was seen in normal times, by half of the larger of both."""
    low, high = np.quantile(normal, [0.01, 0.99])
    return bool(max(low - value, value - high, 0.0) > 0.5 * max(abs(value), abs(low), abs(high)))
