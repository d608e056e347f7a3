"""The label index: series by id, and per label name a dictionary-coded sparse column.

A matcher is tried on distinct values only, its answer is kept and extended as values are added; the rest is array work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, Labels, Matcher, MatchOp
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.patterns import compile_matcher

#: Answers of matchers kept per label name.
KEPT_ANSWERS = 128


class Growing:
    """An int32 array that grows at its end."""

    def __init__(self) -> None:
        self._room, self.size = np.empty(16, dtype=np.int32), 0

    def extend(self, items: Sequence[int]) -> None:
        needed = self.size + len(items)
        if needed > len(self._room):
            room = np.empty(max(needed, 2 * len(self._room)), dtype=np.int32)
            room[: self.size] = self.array
            self._room = room
        self._room[self.size : needed] = items
        self.size = needed

    @property
    def array(self) -> Ids:
        return self._room[: self.size]


class LabelColumn:
    """One label name: which series have it, and its value as a code."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._codes: dict[str, int] = {}
        self.sids, self.codes = Growing(), Growing()
        self._answers: OrderedDict[Matcher, BoolArray] = OrderedDict()

    def code(self, value: str) -> int:
        found = self._codes.setdefault(value, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def matching(self, matcher: Matcher) -> BoolArray:
        """Per code: whether its value matches."""
        if matcher.op is MatchOp.EQUAL:
            answer = np.zeros(len(self.values), dtype=np.bool_)
            code = self._codes.get(matcher.value)
            if code is not None:
                answer[code] = True
            return answer
        answer = self._answers.pop(matcher, np.zeros(0, dtype=np.bool_))
        if len(answer) < len(self.values):
            answer = np.concatenate([answer, compile_matcher(matcher).test(self.values[len(answer) :])])
        self._answers[matcher] = answer
        if len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    def codes_of(self, sids: Ids) -> Ids:
        """The code of each series, -1 where it lacks this label. ``sids`` is ascending."""
        mine, codes = self.sids.array, self.codes.array
        places = np.minimum(np.searchsorted(mine, sids), max(len(mine) - 1, 0))
        found = np.full(len(sids), -1, dtype=np.int32)
        if len(mine):
            has = mine[places] == sids
            found[has] = codes[places[has]]
        return found


class SeriesIndex:
    """Every series known, numbered from 0 in the order of arrival. Not thread-safe: the store's lock guards it."""

    def __init__(self) -> None:
        self.ids: dict[Labels, int] = {}
        self.labels: list[Labels] = []
        self.columns: dict[str, LabelColumn] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, series: Iterable[Labels]) -> Ids:
        """Ids of the series, new ones registered."""
        found: list[int] = []
        fresh: dict[str, tuple[list[int], list[int]]] = {}
        for labels in series:
            sid = self.ids.get(labels)
            if sid is None:
                sid = self.ids[labels] = len(self.labels)
                self.labels.append(labels)
                for name, value in labels:
                    column = self.columns.get(name) or self.columns.setdefault(name, LabelColumn())
                    sids, codes = fresh.setdefault(name, ([], []))
                    sids.append(sid)
                    codes.append(column.code(value))
            found.append(sid)
        for name, (sids, codes) in fresh.items():
            self.columns[name].sids.extend(sids)
            self.columns[name].codes.extend(codes)
        return np.array(found, dtype=np.int32)

    def match(self, matchers: Sequence[Matcher]) -> Ids:
        """Ids of the series that fit every matcher, ascending. Raises QueryError on a bad pattern."""
        tests = [(matcher, compile_matcher(matcher).fits_absent) for matcher in matchers]
        tests.sort(key=lambda test: (test[1], test[0].op is not MatchOp.EQUAL))  # narrowest first
        found: Ids | None = None
        for matcher, fits_absent in tests:
            found = self._narrow(found, matcher, fits_absent=fits_absent)
        return np.arange(len(self), dtype=np.int32) if found is None else found

    def _narrow(self, found: Ids | None, matcher: Matcher, *, fits_absent: bool) -> Ids:
        column = self.columns.get(matcher.name)
        everything = (
            np.arange(len(self), dtype=np.int32) if found is None and (fits_absent or column is None) else found
        )
        if column is None:
            assert everything is not None
            return everything if fits_absent else everything[:0]
        answer = column.matching(matcher)
        if everything is None:
            return column.sids.array[answer[column.codes.array]]
        codes = column.codes_of(everything)
        fits: BoolArray = np.append(answer, fits_absent)[codes]  # code -1 picks the appended answer
        return everything[fits]

    def series(self, sids: Ids) -> tuple[Labels, ...]:
        return tuple(map(self.labels.__getitem__, sids.tolist()))

    def values(self, name: str, sids: Ids) -> list[str]:
        """Distinct values of one label among the series, sorted."""
        column = self.columns.get(name)
        if column is None:
            return []
        codes = np.unique(column.codes_of(sids))
        return sorted(column.values[code] for code in codes.tolist() if code >= 0)

    def names(self, sids: Ids) -> list[str]:
        """Label names that occur among the series, sorted."""
        if len(sids) == len(self):
            return sorted(self.columns)
        return sorted(name for name, column in self.columns.items() if bool((column.codes_of(sids) >= 0).any()))

    def without(self, dead: npt.NDArray[Any]) -> tuple[SeriesIndex, Ids]:
        """(a fresh index without the dead ids, mapping old id -> new id); the order is kept."""
        alive = np.flatnonzero(~dead)
        mapping = np.full(len(self), -1, dtype=np.int32)
        mapping[alive] = np.arange(len(alive), dtype=np.int32)
        fresh = SeriesIndex()
        fresh.add(self.labels[sid] for sid in alive.tolist())
        return fresh, mapping
