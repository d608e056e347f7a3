"""A quality score from 0 to 100 for a provider or service, with the part each component has in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAN = float("nan")
#: Weight of each component; they sum to 1.
WEIGHTS: Mapping[str, float] = {"success": 0.45, "latency": 0.25, "freshness": 0.15, "error_mix": 0.15}
#: How much one error of a class hurts, against an outage. Being throttled is bad, a caller's mistake is not ours.
ERROR_WEIGHT: Mapping[str, float] = {
    "timeout": 1.0,
    "connect": 1.0,
    "server": 1.0,
    "rate_limited": 0.6,
    "auth": 0.8,
    "client": 0.1,
}
#: Below this share of the weights known, a score would be a guess.
LEAST_KNOWN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of one provider in a window. NaN: not measured."""

    success_ratio: float = NAN  #: 0..1
    latency_seconds: float = NAN  #: the percentile that the objective names
    age_seconds: float = NAN  #: of the newest good answer
    errors: Mapping[str, float] | None = None  #: error class -> count; None: not measured
    requests: float = NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Where a component is perfect and where it is worthless; linear between."""

    success_good: float = 0.995
    success_bad: float = 0.90
    latency_good_seconds: float = 0.5
    latency_bad_seconds: float = 5.0
    age_good_seconds: float = 60.0
    age_bad_seconds: float = 900.0
    errors_bad_ratio: float = 0.05  #: weighted errors per request at which the error mix is worthless
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part: its own 0..100 and the points it costs the total. NaN where it was not measured."""

    name: str
    score: float
    weight: float  #: after unknown components gave theirs up
    lost: float  #: points taken from 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """100 is perfect; NaN with a reason is unknown. Known components' ``lost`` sum to 100 - score."""

    score: float
    components: tuple[Component, ...]
    unknown: str = ""

    @property
    def worst(self) -> str:
        """The component that costs most; empty when none costs anything."""
        losses = [(part.lost, part.name) for part in self.components if part.lost > 0]
        return max(losses)[1] if losses else ""


def quality(observed: Observed, expected: Expected | None = None) -> Quality:
    """The score and its explanation; unknown parts are left out, and too many of them make it unknown."""
    expected = expected or Expected()
    scores = {
        "success": _between(observed.success_ratio, expected.success_bad, expected.success_good),
        "latency": _between(observed.latency_seconds, expected.latency_bad_seconds, expected.latency_good_seconds),
        "freshness": _between(observed.age_seconds, expected.age_bad_seconds, expected.age_good_seconds),
        "error_mix": _error_mix(observed, expected),
    }
    weights = {name: expected.weights.get(name, 0.0) for name in scores}
    known = sum(weight for name, weight in weights.items() if scores[name] == scores[name])
    if known < LEAST_KNOWN * sum(weights.values()) or known <= 0:
        missing = ", ".join(name for name, score in scores.items() if score != score)
        return Quality(score=NAN, components=_components(scores, {}), unknown=f"not measured: {missing}")
    shares = {name: weights[name] / known if scores[name] == scores[name] else 0.0 for name in scores}
    components = _components(scores, shares)
    lost = sum(part.lost for part in components if part.lost == part.lost)
    return Quality(score=max(0.0, 100.0 - lost), components=components)


def _components(scores: Mapping[str, float], shares: Mapping[str, float]) -> tuple[Component, ...]:
    return tuple(
        Component(name=name, score=score, weight=shares.get(name, 0.0), lost=shares.get(name, 0.0) * (100.0 - score))
        for name, score in scores.items()
    )


def _between(value: float, bad: float, good: float) -> float:
    """0 at ``bad`` and beyond, 100 at ``good`` and beyond; either may be the larger. NaN stays NaN."""
    if value != value:
        return NAN
    return 100.0 * min(1.0, max(0.0, (value - bad) / (good - bad)))


def _error_mix(observed: Observed, expected: Expected) -> float:
    """Errors weighted by what they say about the provider; an unknown class counts in full."""
    if observed.errors is None or not observed.requests > 0:
        return NAN
    weighted = sum(count * ERROR_WEIGHT.get(kind, 1.0) for kind, count in observed.errors.items())
    return _between(weighted / observed.requests, expected.errors_bad_ratio, 0.0)
