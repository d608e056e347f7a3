"""The push half of the store: samples that others send, of any series and of any time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from watchkeeper.clock import Clock, to_ms
from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model.series import FloatArray, IntArray, Labels, Tick
from watchkeeper.ports import Appended
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.index import SeriesIndex
from watchkeeper.store.samples.ledger import Ledger
from watchkeeper.store.samples.lists import SeriesLists
from watchkeeper.store.samples.log import Log
from watchkeeper.store.samples.pushed import Samples
from watchkeeper.store.samples.reader import Reader
from watchkeeper.store.samples.space import Space
from watchkeeper.store.samples.tail import Tail

#: What series ids mean; they are valid as long as it is the same object.
Generation = SeriesIndex


class Pushing(Reader):
    """Appends by push. The fields are the store's."""

    _clock: Clock
    _retention: timedelta
    _ledger: Ledger
    _lists: SeriesLists
    _log: Log
    _space: Space
    _writing: threading.Lock
    _closed: bool
    _listed: SeriesIndex | None = None  #: what the ids in ``_lists`` are of

    def push(self, series: Sequence[Labels], codes: IntArray, times: IntArray, values: FloatArray) -> Appended:
        """Keep samples: sample i is of ``series[codes[i]]`` at ``times[i]`` ms. Visible on return; ``sync`` waits.

        The same series, time and value again is deduplicated; another value for the same time, a sample further behind
        its series than the out-of-order window, or one of the future is rejected by reason. Raises as ``append``.
        """
        while True:
            generation, sids, why = self.number(series)
            mine = sids[codes]
            refused = Counter(dict.fromkeys(why.values(), 0))
            for place, reason in why.items():
                refused[reason] += int(np.count_nonzero(codes == place))
            kept = mine >= 0
            line = self.push_numbered(generation, mine[kept], times[kept], values[kept], +refused)
            if line is not None:
                return line

    def follow(self, sequence: int | None, most_bytes: int) -> Tail:
        """A reader of everything kept after that sequence; None begins now."""
        return Tail(self._log, sequence=self._log.sequence if sequence is None else sequence, most_bytes=most_bytes)

    def fresh(self) -> list[Tick]:
        """What was pushed since the last call and has waited for its neighbours of the same moment, for scoring.

        A tick is what series told at the same times said at one of them. The first call is the beginning.
        """
        with self._catalogue.lock:
            return self._pushed.fresh()

    def number(self, series: Sequence[Labels]) -> tuple[Generation, Ids, Mapping[int, str]]:
        """(generation, series ids, why not by position): an id is -1 where a limit refuses a new series."""
        with self._catalogue.lock:
            sids, refused = self._pushed.number(series)
            return self._catalogue.index, sids, refused

    def push_numbered(
        self,
        generation: Generation,
        sids: Ids,
        times: IntArray,
        values: FloatArray,
        refused: Mapping[str, int] | None = None,
        repeated: int = 0,
    ) -> Appended | None:
        """``push`` for a sender that remembers series ids; None when they mean something else now.

        ``refused`` counts samples that came along and cannot be kept, ``repeated`` those that another sender told
        already; they are entered into the same ledger line.
        """
        if len(sids) and int(sids.min()) < 0:
            raise StoreError("a series without an id was pushed")
        with self._writing:
            line = self._push(generation, Samples(sids, times, values), Counter(refused or {}), repeated)
            if line is not None:
                self._ledger.add(line)
            return line

    def _push(self, generation: Generation, samples: Samples, refused: Counter[str], repeated: int) -> Appended | None:
        if self._closed:
            raise StoreError("the sample store is closed")
        now, catalogue = self._clock.now(), self._catalogue
        with catalogue.lock:
            if catalogue.index is not generation:
                return None
            judged = self._pushed.judge(
                samples, oldest_ms=to_ms(now - self._retention), latest_ms=to_ms(now + catalogue.limits.future)
            )
            catalogue.frozen += 1  # ids stay what they are until the samples are where renumbering finds them
        written = False
        try:
            sequence = self._log_pushed(judged.samples) if len(judged.samples) else self._log.sequence
            written = True
        finally:
            with catalogue.lock:
                catalogue.frozen -= 1
                if written:
                    self._pushed.take(judged.samples)
                    if self._pushed.due:
                        self._pushed.flush()
        return Appended(
            received=len(samples) + refused.total() + repeated,
            stored=len(judged.samples),
            deduplicated=judged.deduplicated + repeated,
            rejected=dict(refused + judged.rejected),
            sequence=sequence,
        )

    def _log_pushed(self, found: Samples) -> int:
        self._space.check(20 * len(found))
        with self._catalogue.lock:
            if self._listed is not self._catalogue.index:
                self._lists.forget()
                self._listed = self._catalogue.index
            lists, places = self._lists.locate(self._catalogue.index, found.sids)
        try:
            return self._log.append_pushed(lists, places, found.times, found.values)
        except StoreFullError:
            self._space.found_full()
            raise
