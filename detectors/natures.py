"""What kind of quantity a series is, from what is said of it and from its samples, and what follows for its band."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from watchkeeper.model.series import BoolArray

from .base import Array, State
from .episodes import LEARNED

Nature = Literal["gauge", "counter", "ratio", "percentage", "sparse_count"]
NATURES: tuple[Nature, ...] = ("gauge", "counter", "ratio", "percentage", "sparse_count")

#: Names of counters where no type is known: OpenMetrics, and what node_exporter hands on from the kernel untyped.
COUNTER = re.compile(
    r".*_(total|count|sum)"
    r"|node_vmstat_(oom_kill|pgpg.*|pswp.*|pg.*fault)"
    r"|node_netstat_(?!Tcp_CurrEstab$|Ip6?_Forwarding$|Ip6?_DefaultTTL$|Tcp_Rto|Tcp_MaxConn$).*"
)
#: Names of what lies between 0 and 1, and between 0 and 100, as far as the samples agree.
RATIO = re.compile(r".*_(ratio|fraction|utilization|usage|rate|rates)$")
PERCENTAGE = re.compile(r".*_(percent|percentage|pct)$")
#: Types that say it is a counter, and those that say it is none; parts of a distribution go by their name.
COUNTS, LEVELS = frozenset({"counter"}), frozenset({"gauge", "info", "stateset"})
#: Share of samples that are 0 in a sparse count.
SPARSE = 0.8
#: Largest value of each nature.
MOST = {"ratio": 1.0, "percentage": 100.0}


def is_counter(name: str, declared: str) -> bool:
    """``declared``: the metric's type as its source says it; empty: not known."""
    if declared in COUNTS:
        return True
    return declared not in LEVELS and bool(COUNTER.fullmatch(name))


def hint(name: str, unit: str) -> Nature:
    """What name and declared unit promise of a level."""
    if unit in ("ratio", "percent"):
        return "ratio" if unit == "ratio" else "percentage"
    if PERCENTAGE.match(name):
        return "percentage"
    return "ratio" if RATIO.match(name) else "gauge"


def told(state: State, counters: BoolArray, hints: Sequence[Nature]) -> Array:
    """Places in NATURES [series], of the state of ``episodes``: a hint holds as long as the samples agree."""
    rows = state.rows
    low, high = _range(state)
    most = np.array([MOST.get(one, np.inf) for one in hints])
    hinted = np.array([NATURES.index(one) for one in hints], np.int64)
    agree = ~(low < 0.0) & ~(high > most)
    newest = rows["recent"]
    whole = (np.isnan(newest) | (newest == np.floor(newest))).all(axis=1)
    sparse = (rows["known"] >= LEARNED) & (rows["zeros"] >= SPARSE * rows["known"]) & whole & ~(low < 0.0)
    found = np.where(agree, hinted, 0)
    found = np.where((found == 0) & sparse, NATURES.index("sparse_count"), found)
    return np.where(counters, NATURES.index("counter"), found)


def bounds(natures: Array) -> tuple[Array, Array]:
    """(least, most) that a series of each nature can be [series]; infinite where it has no bound."""
    least = np.where(natures == 0, -np.inf, 0.0)
    return least, np.array([MOST.get(one, np.inf) for one in NATURES])[natures]


def _range(state: State) -> tuple[Array, Array]:
    """Lowest and highest sample of the last two days [series], NaN where there is none."""
    low, high = state.rows["low"], state.rows["high"]
    return np.fmin.reduce(low, axis=1), np.fmax.reduce(high, axis=1)
