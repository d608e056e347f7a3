"""Answers questions about lines: newest first, a page at a time, with counts over time; bounded in time and memory."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any

import numpy as np

from watchkeeper.errors import QueryError, StoreError
from watchkeeper.model import SEVERITIES, Labels
from watchkeeper.model.series import IntArray
from watchkeeper.store.logs.active import Active, Place
from watchkeeper.store.logs.match import Flags, matching
from watchkeeper.store.logs.piece import Columns, Payload, Piece
from watchkeeper.store.logs.query import Term, parse
from watchkeeper.store.logs.sealed import Part, Sealed
from watchkeeper.store.logs.tokens import may_hold
from watchkeeper.store.samples.damage import Damage

#: Questions answered at once, and seconds one waits for its turn.
AT_ONCE, WAIT_SECONDS = 2, 5.0
#: Characters of a line in an answer.
MOST_TEXT = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    query: str = ""  #: terms as people type them
    start_ms: int = 0
    end_ms: int = 1 << 62
    service: str = ""  #: value of the label `service`; empty: any
    severities: frozenset[int] = frozenset()  #: codes; empty: any
    limit: int = 100
    before: tuple[int, int] | None = None  #: (ms, sequence) of the last line of the page before
    keep: Callable[[Sequence[str]], Sequence[bool]] | None = None  #: which of the texts found belong to the answer
    buckets: int = 0  #: counts over so many equal parts of the range; 0: none
    seconds: float = 10.0  #: after which the answer is what was found so far


@dataclass(frozen=True, slots=True)
class Line:
    time_ms: int
    sequence: int
    severity: str
    labels: Labels
    text: str


@dataclass(slots=True)
class Found:
    lines: list[Line] = field(default_factory=list)  #: newest first
    counts: Any = None  #: shape [severities, buckets]; None unless asked for
    matched: int = 0  #: lines counted; all that match when there are counts
    partial: bool = False  #: there was no time to look at everything
    more: bool = False  #: older lines match too, or may
    scanned_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A part that may have an answer."""

    file: Active | Sealed
    place: Place
    part: Part | None


class Searching:
    def __init__(self, snapshot: Callable[[], Sequence[Active | Sealed]], damage: Damage) -> None:
        self._snapshot, self._damage = snapshot, damage
        self._turns = BoundedSemaphore(AT_ONCE)

    def answer(self, question: Question) -> Found:
        """Raises QueryError."""
        terms = parse(question.query)
        if not self._turns.acquire(timeout=WAIT_SECONDS):
            raise QueryError("too many questions about logs are being answered; try again", kind="timeout")
        try:
            for _ in range(3):
                try:
                    return self._answer(question, terms)
                except FileNotFoundError:  # a file was sealed meanwhile: its lines are elsewhere now
                    continue
            raise QueryError("the log files change faster than they can be read; try again", kind="execution")
        finally:
            self._turns.release()

    def _answer(self, question: Question, terms: Sequence[Term]) -> Found:
        found, ends = Found(), time.monotonic() + question.seconds
        wanted = [token for term in terms for token in term.tokens()]
        if question.buckets:
            found.counts = np.zeros((len(SEVERITIES), question.buckets), np.int64)
        for candidate in self._candidates(question):
            full = len(found.lines) >= question.limit
            if full and candidate.place.last_ms < found.lines[-1].time_ms:
                found.more = True
                if not question.buckets:
                    break
            if time.monotonic() > ends:
                found.partial = found.more = True
                break
            if self._excluded(candidate, wanted):
                continue
            try:
                _look(candidate, question, terms, found)
            except (StoreError, ValueError) as error:
                self._damage.report(f"{candidate.file.path.name}.{candidate.place.offset}", str(error), b"")
        return found

    def _candidates(self, question: Question) -> Iterator[_Candidate]:
        """Parts that overlap the range, newest end first."""
        found = []
        for file in self._snapshot():
            if isinstance(file, Active):
                found += [_Candidate(file, place, None) for place in list(file.places)]
            elif file.last_ms >= question.start_ms and file.first_ms <= question.end_ms:
                try:
                    found += [_Candidate(file, part.place, part) for part in file.index(self._damage)]
                except FileNotFoundError:  # dropped by age
                    continue
        newest = question.end_ms if question.before is None or question.buckets else question.before[0]
        inside = [one for one in found if one.place.last_ms >= question.start_ms and one.place.first_ms <= newest]
        yield from sorted(inside, key=lambda one: one.place.last_ms, reverse=True)

    def _excluded(self, candidate: _Candidate, wanted: Sequence[bytes]) -> bool:
        if not wanted or candidate.part is None or not isinstance(candidate.file, Sealed):
            return False
        bloom = candidate.file.bloom(candidate.part)
        return bool(bloom) and not all(may_hold(bloom, token) for token in wanted)


def _look(candidate: _Candidate, question: Question, terms: Sequence[Term], found: Found) -> None:
    """Add what one part has."""
    try:
        payload = candidate.file.payload(candidate.place)
    except FileNotFoundError:
        if isinstance(candidate.file, Active):
            raise
        return  # dropped by age
    streams, columns = payload.streams(), payload.columns()
    left = _plain(question, streams, columns)
    piece = Piece(streams, columns, b"")
    if (terms or question.keep) and left.any():
        piece = Piece(streams, columns, payload.data())
        found.scanned_bytes += payload.nbytes
        left = matching(piece, terms, left)
        left = left if question.keep is None else _kept(piece, left, question.keep)
    if found.counts is not None:
        _count(question, columns, left, found)
    rows = _newest(question, columns, left, found)
    if len(rows):
        if not piece.data:
            piece = Piece(streams, columns, payload.data())
        _merge(found, [_line(piece, row) for row in rows.tolist()], question.limit)


def _kept(piece: Piece, left: Flags, keep: Callable[[Sequence[str]], Sequence[bool]]) -> Flags:
    rows = np.flatnonzero(left)
    kept = np.zeros_like(left)
    kept[rows] = keep([piece.text(row) for row in rows.tolist()])
    return kept


def _plain(question: Question, streams: Sequence[Labels], columns: Columns) -> Flags:
    """Lines of the range, the service and the severities asked for."""
    left: Flags = (columns.times >= question.start_ms) & (columns.times <= question.end_ms)
    if question.severities:
        left &= np.isin(columns.severity, list(question.severities))
    if question.service:
        mine = np.array([dict(labels).get("service") == question.service for labels in streams], bool)
        left &= mine[columns.stream]
    return left


def _count(question: Question, columns: Columns, left: Flags, found: Found) -> None:
    width = max(1, (question.end_ms - question.start_ms) // question.buckets + 1)
    places = (columns.times[left] - question.start_ms) // width
    np.add.at(found.counts, (columns.severity[left], places), 1)
    found.matched += int(left.sum())


def _newest(question: Question, columns: Columns, left: Flags, found: Found) -> IntArray:
    """Rows that belong on the page, as far as this part can say."""
    rows = np.flatnonzero(left)
    times, sequences = columns.times[rows], columns.sequences[rows]
    if question.before is not None:
        at, number = question.before
        older = (times < at) | ((times == at) & (sequences < number))
        rows, times, sequences = rows[older], times[older], sequences[older]
    found.more |= len(rows) > question.limit
    return rows[np.lexsort((sequences, times))[::-1][: question.limit]]


def _merge(found: Found, lines: list[Line], limit: int) -> None:
    together = found.lines + lines
    found.more |= len(together) > limit
    found.lines = heapq.nlargest(limit, together, key=lambda line: (line.time_ms, line.sequence))


def _line(piece: Piece, row: int) -> Line:
    columns = piece.columns
    severity = SEVERITIES[min(int(columns.severity[row]), len(SEVERITIES) - 1)]
    labels = piece.streams[int(columns.stream[row])]
    return Line(int(columns.times[row]), int(columns.sequences[row]), severity, labels, piece.text(row)[:MOST_TEXT])


__all__ = ["Found", "Line", "Payload", "Question", "Searching"]
