"""Many metrics of one thing as they come: one score, one alarm, and the metrics that contribute most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import FloatArray

from . import alarm, base, together
from .base import Array, State
from .episodes import HELD_MS, MOST_MS, UP
from .findings import MOST, Finding

#: Logits of a group's score for each unit of its distance's logarithm; what the mean logit of its series adds to that.
GROUP_SHARE, ALONE_SHARE = 3.0, 0.15
#: Distance at which a group pages, in usual ones.
FAR = 5.0


@dataclass(frozen=True, slots=True)
class Joint:
    """What one moment of a group says."""

    score: float  #: 0..1; NaN while the group is learned
    shares: FloatArray  #: of each metric in the distance; NaN while the group is learned
    finding: Finding | None  #: of the alarm that is open


def start(metrics: int) -> State:
    """The state of one group of ``metrics`` series."""
    state = together.start(metrics)
    of_group = {f"group_{name}": array for name, array in alarm.start_rows(1).items()}
    times = {f"group_{name}": np.zeros(1, np.int64) for name in ("opened", "seen", "first")}
    state.shared |= of_group | times
    return state


def learned(state: State) -> int:
    """Samples seen; a group has scores from ``together.FIRST`` on."""
    return int(state.shared["ticks"][0])


def step(
    state: State,
    values: FloatArray,
    scores: FloatArray,
    time_ms: int,
    budget: alarm.Budget,
    *,
    learning_ms: int = 0,
    moved: float = 0.0,
) -> Joint:
    """One moment: ``values`` and scores of the series on their own [metric], NaN where not known.

    No alarm opens before the group was seen for ``learning_ms``; ``moved``: how much its limit was moved.
    """
    first = int(state.shared["group_first"][0]) or time_ms
    state.shared["group_first"] = np.array([first], np.int64)
    distances, shares = together.score(state, base.usable(values)[:, None])
    distance, known = distances, ~np.isnan(distances)
    opened = _judge(state, begins(distance)[None], known[None], budget, moved)
    score = value(distance, mean_logit(scores[:, None]))[0]
    since = int(state.shared["group_opened"][0])
    if opened[0] and not since and time_ms - first >= learning_ms:
        since = time_ms
    lasted = time_ms - since
    since = since if since and (lasted < HELD_MS or (score >= UP and lasted < MOST_MS)) else 0
    state.shared["group_opened"] = np.array([since], np.int64)
    times = min(MOST, float(np.exp(distance[0]))) if known[0] else float("nan")
    found = Finding(kind="joint", since_ms=since, change=times - 1.0, baseline=1.0, factor=times) if since else None
    return Joint(float(score), shares[:, 0], found)


def mean_logit(scores: Array) -> Array:
    """Of scores of series on their own [metric, time]; one that is not known says 'usual'."""
    held = np.clip(np.nan_to_num(scores), 1e-6, 1.0 - 1e-6)
    return np.asarray(np.mean(np.log(held) - np.log1p(-held), axis=0))


def value(distance: Array, logit: Array) -> Array:
    """The score of a group: how far all are from what they usually are together, and the mean of their own logits."""
    answer: Array = 1.0 / (1.0 + np.exp(-GROUP_SHARE * (distance + ALONE_SHARE * logit)))
    return answer


def begins(distance: Array) -> Array:
    """Evidence for an alarm."""
    return np.asarray(GROUP_SHARE * (np.nan_to_num(distance) - np.log(FAR)) + alarm.LIMIT)


def _judge(state: State, evidence: Array, known: Array, budget: alarm.Budget, moved: float) -> Array:
    rows = {name: state.shared[f"group_{name}"] for name in alarm.start_rows(1)}
    rows["alarm_moved"] = np.array([moved])
    own, seen = State(rows), state.shared["group_seen"]
    answer = alarm.judge(own, alarm.Evidence(evidence), known, seen[None], budget)[0]
    state.shared |= {f"group_{name}": array for name, array in own.rows.items()}
    state.shared["group_seen"] = seen + 1
    return np.asarray(answer > 0)
