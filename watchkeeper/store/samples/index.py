"""The label index: series by id, and per label name a dictionary-coded sparse column.

A matcher is tried on distinct values only, its answer is kept and extended as values are added; the rest is array work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, IntArray, Labels, Matcher, MatchOp
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.patterns import Words, compile_matcher

#: Answers of matchers kept per label name.
KEPT_ANSWERS = 128
#: Series, answers and label lists that the index holds for questions asked again: 16 MB of ids and 32 MB of pointers.
HELD_SERIES, HELD_ANSWERS, HELD_NAMES = 4 << 20, 4096, 16384
#: A scan takes about as long as sorting so much less.
FEW = 16
#: A tail up to here is scanned faster than sorted in.
SCANNED = 4096
#: Series come target by target, so neighbours share values: runs so long on average are followed instead of series.
RUN = 8


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
        self.values = Words()
        self._codes: dict[str, int] = {}
        self.sids, self.codes = Growing(), Growing()
        self._answers: OrderedDict[Matcher, BoolArray] = OrderedDict()
        self._postings: Ids = np.empty(0, dtype=np.int32)  #: series by code, ascending within each
        self._starts: IntArray = np.zeros(1, dtype=np.int64)  #: where each code's begin, and the end of the last
        self._sorted_size = 0  #: series in the postings; those after them are the tail
        self._runs: IntArray | None = None  #: where neighbours of one code begin, and their end; None where too many

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
            fresh = self.values[len(answer) :] if len(answer) else self.values
            answer = np.concatenate([answer, compile_matcher(matcher).test(fresh)])
        self._answers[matcher] = answer
        if len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    def fitting(self, matcher: Matcher, codes: Ids, *, fits_absent: bool) -> BoolArray:
        """Per given code (-1 for no value): whether it fits. Few codes are tried alone, without the other values."""
        if matcher not in self._answers and matcher.op is not MatchOp.EQUAL and len(codes) * FEW < len(self.values):
            distinct, place = np.unique(codes, return_inverse=True)
            absent = int(len(distinct) > 0 and distinct[0] < 0)
            words = [self.values[code] for code in distinct[absent:].tolist()]
            fits = np.concatenate([np.full(absent, fits_absent), compile_matcher(matcher).test(words)])
            few: BoolArray = fits.astype(np.bool_)[place]
            return few
        every: BoolArray = np.append(self.matching(matcher), fits_absent)[codes]  # code -1 picks the appended answer
        return every

    def forget_answers(self) -> None:
        self._answers.clear()

    def having(self, answer: BoolArray) -> Ids:
        """Series whose value is one of those: by the postings where they are few, by a scan where they are many."""
        codes = np.flatnonzero(answer)
        self._sort(len(answer))
        starts, ends = self._starts[codes], self._starts[codes + 1]
        tail_sids, tail_codes = self.sids.array[self._sorted_size :], self.codes.array[self._sorted_size :]
        if len(codes) == 1:
            found = self._postings[starts[0] : ends[0]]
        elif int((ends - starts).sum()) * FEW < self.sids.size:
            found = np.concatenate([self._postings[:0], *map(self._slice, starts.tolist(), ends.tolist())])
            found.sort()
        elif self._runs is not None:
            found = self._following(answer, self._runs)
        else:
            return self.sids.array[answer.take(self.codes.array)]
        return np.concatenate([found, tail_sids[answer.take(tail_codes)]])

    def _slice(self, start: int, end: int) -> Ids:
        return self._postings[start:end]

    def _following(self, answer: BoolArray, runs: IntArray) -> Ids:
        """Of the sorted part, run by run."""
        starts, lengths = runs[:-1], np.diff(runs)
        chosen = np.flatnonzero(answer.take(self.codes.array.take(starts)))
        starts, lengths = starts[chosen], lengths[chosen]
        before = np.cumsum(lengths) - lengths  # of the answer, before each run
        places = np.repeat((starts - before).astype(np.int32), lengths)
        places += np.arange(len(places), dtype=np.int32)
        return places if self._complete(self._sorted_size) else self.sids.array.take(places)

    def _complete(self, size: int) -> bool:
        """Whether the first so many series are all that there are up to there: their places are their numbers."""
        return size > 0 and int(self.sids.array[size - 1]) == size - 1

    def _sort(self, codes: int) -> None:
        """Postings of what is there, anew once an eighth of it has been added since; the tail is scanned."""
        size = self.sids.size
        if self._sorted_size < size - max(size // 8, SCANNED) or len(self._starts) == 1:
            order = np.argsort(self.codes.array, kind="stable")
            self._postings, self._sorted_size = self.sids.array[order], size
            counts = np.bincount(self.codes.array, minlength=codes)
            self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
            changes = np.flatnonzero(np.diff(self.codes.array)) + 1
            self._runs = np.concatenate([[0], changes, [size]]) if len(changes) * RUN < size else None
        if len(self._starts) <= codes:  # values that came since have no postings yet
            more = np.full(codes + 1 - len(self._starts), self._starts[-1])
            self._starts = np.concatenate([self._starts, more])

    def codes_of(self, sids: Ids) -> Ids:
        """The code of each series, -1 where it lacks this label. ``sids`` is ascending."""
        mine, codes = self.sids.array, self.codes.array
        if self._complete(len(mine)):
            found = np.full(len(sids), -1, dtype=np.int32)
            inside = int(np.searchsorted(sids, len(mine)))
            found[:inside] = codes[sids[:inside]]
            return found
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
        self._matched: OrderedDict[tuple[Matcher, ...], tuple[int, Ids]] = OrderedDict()
        self._named: OrderedDict[int, tuple[Ids, tuple[Labels, ...]]] = OrderedDict()
        self.held = 0  #: series in both of them

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
        """Ids of the series that fit every matcher, ascending. Raises QueryError on a bad pattern.

        The very same array while the answer is the same: what depends on it is then found by identity.
        """
        key = tuple(matchers)
        kept = self._matched.pop(key, None)
        found = kept[1] if kept is not None and kept[0] == len(self) else self._match(key)
        if kept is not None and (len(kept[1]) != len(found) or not np.array_equal(kept[1], found)):
            self.held -= len(kept[1])
            kept = None
        if kept is None:
            found.setflags(write=False)
            self._hold(len(found))
        self._matched[key] = (len(self), found if kept is None else kept[1])
        return self._matched[key][1]

    def _hold(self, size: int) -> None:
        """Make room: what was asked longest ago goes."""
        self.held += size
        while self.held > HELD_SERIES or len(self._matched) >= HELD_ANSWERS or len(self._named) >= HELD_NAMES:
            store: OrderedDict[Any, Any] = self._named if len(self._named) > len(self._matched) else self._matched
            if not store:
                self.held = size
                break
            self.held -= len(store.popitem(last=False)[1][1])

    def forget_answers(self) -> None:
        """As if nobody had asked anything yet."""
        self._matched.clear()
        self._named.clear()
        self.held = 0
        for column in self.columns.values():
            column.forget_answers()

    def _match(self, matchers: Sequence[Matcher]) -> Ids:
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
        if everything is None:
            return column.having(column.matching(matcher))
        codes = column.codes_of(everything)
        return everything[column.fitting(matcher, codes, fits_absent=fits_absent)]

    def series(self, sids: Ids) -> tuple[Labels, ...]:
        """Their labels; the very same tuple for the very same array."""
        found = self._named.get(id(sids))
        if found is None:
            self._hold(len(sids))
            found = self._named[id(sids)] = (sids, tuple(map(self.labels.__getitem__, sids.tolist())))
        return found[1]

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
