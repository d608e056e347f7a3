"""Hosts, services and pools: all metrics of one thing at once, from the ticks of all targets that know it.

A column of a group is one metric with its labels, but for those that say whose it is: of a service that runs on ten
hosts the mean of the ten. A moment of a group is over when each of its targets was heard, or one of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from detectors import Budget, Finding, State, groups, together
from watchkeeper.app.catalogue.monitor import host
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.taught import service_of
from watchkeeper.clock import from_ms
from watchkeeper.model import METRIC_NAME, Labels, Tick, label, labels, metric_name
from watchkeeper.model.series import FloatArray, IntArray

SCORE, LEARNING = "watchkeeper_group_anomaly_score", "watchkeeper_group_learning"
#: Of a group that is odd: the share of each of the metrics that contribute most.
SHARE = "watchkeeper_anomaly_share"
#: Labels that say on which of several things of one kind a metric was measured.
WHERE = frozenset({"host", "instance", "node", "pod", "container", "copy", "replica"})
WHOSE = frozenset({"service", "job", "pool"})
#: Columns of a group at least and at most; groups at most.
LEAST, MOST, MOST_GROUPS = 4, 128, 2000
#: Moments from which on a group is not begun anew for a few metrics that come or go.
SETTLED = 20
#: What a target said counts for so long.
FRESH_MS = 120_000
#: Metrics named, and the share from which one is.
NAMED, LEAST_SHARE = 5, 0.05
#: Score from which a group is odd.
ODD = 0.5
DAY_MS = 86_400_000

Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class Heard:
    """What one target said of a group."""

    at_ms: int
    columns: IntArray
    values: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """What all targets said of a group, one after the other: a target that speaks again changes its own part alone."""

    parts: dict[str, tuple[slice, IntArray]]  #: target -> its part, and the very columns that it is of
    columns: IntArray
    at_ms: IntArray
    values: FloatArray
    scores: FloatArray

    @classmethod
    def of(cls, heard: Mapping[str, Heard]) -> Together:
        ends = np.cumsum([len(one.columns) for one in heard.values()], dtype=np.int64).tolist()
        parts = {
            target: (slice(end - len(one.columns), end), one.columns)
            for (target, one), end in zip(heard.items(), ends, strict=True)
        }
        columns = np.concatenate([np.empty(0, np.int64), *(one.columns for one in heard.values())])
        found = cls(parts, columns, np.zeros(len(columns), np.int64), *(np.empty(len(columns)) for _ in range(2)))
        for target, one in heard.items():
            found.hear(target, one)
        return found

    def hear(self, target: str, one: Heard) -> bool:
        """Whether that target has a part of these columns, which is then what it said last."""
        part, columns = self.parts.get(target, (slice(0), None))
        if columns is not one.columns:
            return False
        self.at_ms[part], self.values[part], self.scores[part] = one.at_ms, one.values, one.scores
        return True


@dataclass(slots=True, eq=False)
class Group:
    """One host, service or pool."""

    key: Key
    members: dict[str, list[tuple[int, Labels]]] = field(default_factory=dict)  #: target -> (row, column) of its lane
    columns: tuple[Labels, ...] = ()
    places: dict[str, tuple[IntArray, IntArray]] = field(default_factory=dict)  #: target -> rows, columns
    state: State | None = None
    heard: dict[str, Heard] = field(default_factory=dict)
    together: Together | None = None  #: the same, until somebody joins or leaves
    round: set[str] = field(default_factory=set)
    stepped_ms: int = 0
    published: Published = field(default_factory=lambda: Published(""))
    called: tuple[int, Labels] | None = None  #: what its alarm is called, as of which arrangement of all groups

    @property
    def series(self) -> Labels:
        return labels(SCORE, _thing(self))

    @property
    def learned(self) -> bool:
        """Whether it has a score, so that it may ring."""
        return self.state is not None and groups.learned(self.state) >= together.FIRST

    def is_of(self, members: Mapping[str, list[tuple[int, Labels]]]) -> bool:
        """Whether its series are those of these members, whatever its columns go without."""
        return self.members.keys() == members.keys() and all(
            [row for row, _ in own] == [row for row, _ in members[target]] for target, own in self.members.items()
        )


def keys_of(series: Labels, pool_of: Callable[[str], str]) -> Iterator[tuple[Key, frozenset[str]]]:
    """The groups of a series, each with the labels that its column goes without."""
    own = dict(series)
    at, service = own.get("host") or host(own.get("instance", "")), service_of(own)
    if at:
        yield ("host", at), WHERE
    if service:
        yield ("service", service), WHERE | WHOSE
    if pool := own.get("pool") or (pool_of(service) if service else ""):
        yield ("pool", pool), WHERE | WHOSE


def chosen(columns: Sequence[Labels]) -> tuple[Labels, ...]:
    """The columns of a group: of too many some of every metric, the same ones every time."""
    by_name: dict[str, list[Labels]] = {}
    for one in sorted(set(columns)):
        by_name.setdefault(metric_name(one), []).append(one)
    in_turn = sorted((place, one) for found in by_name.values() for place, one in enumerate(found))
    return tuple(sorted(one for _, one in in_turn[:MOST]))


@dataclass(slots=True, eq=False)
class Grouping:
    """Runs in the scoring thread."""

    learning_ms: int
    false_alarms_a_day: float
    moved: Callable[[Labels], float]  #: how much people's words moved the limit of a series
    told: Callable[[Labels, Finding, int], list[Row]]  #: the series of an alarm
    pool_of: Callable[[str], str] = lambda _service: ""
    recall: Callable[[str, int], tuple[tuple[Labels, ...], State] | None] = lambda _target, _now: None
    all: dict[Key, Group] = field(default_factory=dict)
    _of: dict[str, list[Group]] = field(default_factory=dict)
    _arranged: int = 0  #: how often a target joined

    def joins(self, target: str, series: Sequence[Labels], now_ms: int) -> None:
        """A target's scored series, from now on."""
        self._arranged += 1
        for group in self._of.pop(target, []):
            group.together = None
            for part in (group.members, group.places, group.heard):
                part.pop(target, None)
        found: dict[Key, list[tuple[int, Labels]]] = {}
        for row, one in enumerate(series):
            for key, without in keys_of(one, self.pool_of):
                found.setdefault(key, []).append((row, tuple(pair for pair in one if pair[0] not in without)))
        for key, members in found.items():
            if key not in self.all and len(self.all) >= MOST_GROUPS:
                continue
            group = self.all.setdefault(key, Group(key))
            group.members[target] = members
            self._of.setdefault(target, []).append(group)
            self._arrange(group, target, now_ms)

    def _arrange(self, group: Group, target: str, now_ms: int) -> None:
        """Columns stay while most of them are still there: what comes or goes now and then does not unlearn all."""
        if group.state is None and (kept := self.recall(target_of(group.key), now_ms)):
            group.columns, group.state = kept
        new = {column for _, column in group.members[target]} - set(group.columns)
        young = group.state is None or groups.learned(group.state) < SETTLED
        if (new and young and len(group.columns) < MOST) or 2 * len(new) > len(group.columns):
            self._begin(group)
        group.published = group.published if group.published.target else Published(target_of(group.key))
        place = {column: at for at, column in enumerate(group.columns)}
        for one in group.members.keys() - group.places.keys():
            group.places[one] = _paired([(row, place[column]) for row, column in group.members[one] if column in place])

    def _begin(self, group: Group) -> None:
        """Anew with the columns there are now, unless most of those that were learned are still there."""
        wanted = chosen([column for members in group.members.values() for _, column in members])
        young = group.state is None or groups.learned(group.state) < SETTLED
        if not young and 2 * len(set(wanted) & set(group.columns)) >= max(len(group.columns), len(wanted)):
            return
        group.columns, group.heard, group.round, group.places, group.together = wanted, {}, set(), {}, None
        group.state = groups.start(len(wanted)) if len(wanted) >= LEAST else None

    def take(self, target: str, values: FloatArray, scores: FloatArray, time_ms: int) -> list[Tick]:
        """One target's samples and scores [series]; what the groups say that are complete with them."""
        ticks = []
        for group in self._of.get(target, ()):
            if group.state is None:
                continue
            if target in group.round:
                ticks.append(self._step(group, time_ms))
            rows, columns = group.places[target]
            group.heard[target] = Heard(time_ms, columns, values[rows], scores[rows])
            if group.together is not None and not group.together.hear(target, group.heard[target]):
                group.together = None
            group.round.add(target)
            if len(group.round) == len(group.members):
                ticks.append(self._step(group, time_ms))
        return [one for one in ticks if one is not None]

    def _step(self, group: Group, time_ms: int) -> Tick | None:
        group.round = set()
        if group.state is None or time_ms <= group.stepped_ms:
            return None
        interval = time_ms - group.stepped_ms if group.stepped_ms else 60_000
        group.stepped_ms = time_ms
        values, scores = folded(group, time_ms)
        called = self._called(group)
        joint = groups.step(
            group.state,
            values,
            scores,
            time_ms,
            Budget(self.false_alarms_a_day, DAY_MS / max(interval, 1000)),
            learning_ms=self.learning_ms,
            moved=self.moved(called),
        )
        learning = 1.0 if np.isnan(joint.score) else np.nan
        rows = [(group.series, joint.score), (_named(group, LEARNING, {}), learning)]
        if joint.finding is not None or joint.score >= ODD:
            rows += _contributors(group, joint)
        if joint.finding is not None and rings([one for one in self._twins(group) if one.learned]) is group:
            rows += self.told(called, joint.finding, time_ms)
        return group.published.tick(rows, from_ms(time_ms))

    def _twins(self, group: Group) -> list[Group]:
        """The groups of the very same series, itself among them: a host of one service, which has one host."""
        return [one for one in self._of[next(iter(group.members))] if one is group or one.is_of(group.members)]

    def _called(self, group: Group) -> Labels:
        """What its alarm is called: whatever else its series are all there is of is named too."""
        if group.called is None or group.called[0] != self._arranged:
            names = dict(one.key for one in self._twins(group))
            group.called = self._arranged, labels(SCORE, {**names, **_thing(group)})
        return group.called[1]

    def states(self, only: Set[str] | None = None) -> list[tuple[str, tuple[Labels, ...], State, int]]:
        """(target, columns, copy of the state, time) of these groups, or of all, that have learned something."""
        return [
            (target_of(key), group.columns, group.state.copy(), group.stepped_ms)
            for key, group in self.all.items()
            if group.state is not None and group.stepped_ms and (only is None or target_of(key) in only)
        ]


def target_of(key: Key) -> str:
    return f"group/{key[0]}/{key[1]}"


def _paired(pairs: Sequence[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def folded(group: Group, time_ms: int) -> tuple[FloatArray, FloatArray]:
    """(values, scores) of every column: means over what its targets said lately; NaN where none did."""
    said = group.together = group.together or Together.of(group.heard)
    fresh, found = time_ms - said.at_ms <= FRESH_MS, []
    for every in (said.values, said.scores):
        known = fresh & np.isfinite(every)
        total = np.bincount(said.columns[known], every[known], len(group.columns))
        count = np.bincount(said.columns[known], minlength=len(group.columns))
        found.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return found[0], found[1]


def rings(twins: Sequence[Group]) -> Group:
    """Of groups of the same series the one that rings for all.

    A service that the series themselves name says most to people; one that is but the job they were scraped by says
    less than their host does.
    """
    columns = (column for one in twins if one.key[0] == "host" for found in one.members.values() for _, column in found)
    first = "host" if any(not label(column, "service") for column in columns) else "service"
    return min(twins, key=lambda one: (one.key[0] != first, one.key[0] != "service", one.key[0]))


def _thing(group: Group) -> dict[str, str]:
    scope, name = group.key
    return {"scope": scope, scope: name}


def _named(group: Group, name: str, more: Mapping[str, str]) -> Labels:
    return labels(name, {**more, **_thing(group)})


def _contributors(group: Group, joint: groups.Joint) -> list[Row]:
    """The metrics that contribute most, by their share in the distance."""
    shares = np.nan_to_num(joint.shares)
    best = np.argsort(-shares)[:NAMED]
    return [
        (_named(group, SHARE, _own(group.columns[at])), float(shares[at]))
        for at in best.tolist()
        if shares[at] >= LEAST_SHARE
    ]


def _own(column: Labels) -> dict[str, str]:
    return {("metric" if key == METRIC_NAME else key): value for key, value in column}
