"""The tick half of the store: what targets said at one moment, many targets with one write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model.series import FloatArray, Tick
from watchkeeper.ports import Appended
from watchkeeper.store.samples.catalogue import Admitted, TargetState
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pushing import Pushing
from watchkeeper.store.samples.rows import add_row


class _Row(NamedTuple):
    """A tick that is let in."""

    place: int  #: among those asked for
    tick: Tick
    target: TargetState
    admitted: Admitted
    values: FloatArray


class Ticking(Pushing):
    """Appends of ticks. The fields are the store's."""

    _sizes: Sizes
    _burst: int

    def append(self, tick: Tick) -> Appended:
        """Keep one tick; visible on return. Raises StoreFullError or StoreError when nothing of it was kept."""
        answer = self.append_all([tick])[0]
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        """Keep ticks, each answered for itself: an error says that nothing of that one was kept."""
        answers: list[Appended | StoreError] = []
        with self._writing:
            for together in _of_different_targets(ticks):
                answers += self._append(together)
            self._ledger.add(*[answer for answer in answers if not isinstance(answer, StoreError)])
            self._burst += sum([len(tick.values) for tick in ticks]) * 8
            crowded = self._burst > self._sizes.burst_bytes
        if crowded:  # a source that sends faster than upkeep comes round does the upkeep itself
            self.maintain(self._clock.now())
        return answers

    def maintain(self, now: datetime) -> Mapping[str, int]:
        """The store's upkeep."""
        raise NotImplementedError

    def _append(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        """Ticks of different targets."""
        answers: list[Appended | StoreError] = [StoreError("the sample store is closed")] * len(ticks)
        if self._closed:
            return answers
        rows: list[_Row] = []
        with self._catalogue.lock:
            now = self._clock.now()
            allowed = to_ms(now - self._retention), to_ms(now + self._catalogue.limits.future)
            for place, tick in enumerate(ticks):
                found = self._admitted(place, tick, allowed)
                if isinstance(found, _Row):
                    rows.append(found)
                else:
                    answers[place] = found
        try:
            sequences = self._write(rows)
        except StoreError as error:
            if len(rows) > 1:  # each by itself: one may be what the disk or the log refuses
                for row in rows:
                    answers[row.place] = self._append([row.tick])[0]
            else:
                answers[rows[0].place] = error
            return answers
        with self._catalogue.lock:
            for row, sequence in zip(rows, sequences, strict=True):
                add_row(row.target, row.tick.time_ms, row.admitted.columns, row.values, self._sizes)
                answers[row.place] = Appended(
                    received=len(row.tick.values),
                    stored=len(row.values),
                    rejected=row.admitted.rejected,
                    sequence=sequence,
                )
        return answers

    def _write(self, rows: Sequence[_Row]) -> list[int]:
        if not rows:
            return []
        self._space.check(sum([row.values.nbytes for row in rows]))
        try:
            return self._log.append_all(
                [(row.tick.target, row.tick.time_ms, row.admitted.columns, row.values) for row in rows]
            )
        except StoreFullError:
            self._space.found_full()
            raise

    def _admitted(self, place: int, tick: Tick, allowed: tuple[int, int]) -> _Row | Appended | StoreError:
        """What of a tick is let in; an answer when there is nothing to write."""
        values = np.ascontiguousarray(tick.values, dtype=np.float64)
        if values.shape != (len(tick.layout),):
            return StoreError(f"{tick.target}: {values.size} values for {len(tick.layout)} series")
        target = self._catalogue.targets.get(tick.target)
        verdict = self._verdict(tick, target, *allowed)
        if verdict is not None:
            return verdict
        target = target or self._catalogue.target(tick.target)
        admitted = self._catalogue.admit(target, tick.layout)
        return _Row(place, tick, target, admitted, values if admitted.kept is None else values[admitted.kept])

    def _verdict(self, tick: Tick, target: TargetState | None, oldest_ms: int, newest_ms: int) -> Appended | None:
        """The answer for a tick that is not kept at all; None for one that may be. Times outside are not kept."""
        size, at = len(tick.values), self._log.sequence
        if target is not None and tick.time_ms <= target.newest_ms:
            if tick.time_ms == target.newest_ms or target.has_time(tick.time_ms):
                return Appended(received=size, stored=0, deduplicated=size, sequence=at)
            return Appended(received=size, stored=0, rejected={"out_of_order": size}, sequence=at)
        if tick.time_ms > newest_ms:
            return Appended(received=size, stored=0, rejected={"future": size}, sequence=at)
        if tick.time_ms < oldest_ms:
            return Appended(received=size, stored=0, rejected={"too_old": size}, sequence=at)
        return None


def _of_different_targets(ticks: Sequence[Tick]) -> Iterator[list[Tick]]:
    """In order; a target that comes again begins the next group, for what it may keep depends on what was kept."""
    group: list[Tick] = []
    seen: set[str] = set()
    for tick in ticks:
        if tick.target in seen:
            yield group
            group, seen = [], set()
        group.append(tick)
        seen.add(tick.target)
    yield group
