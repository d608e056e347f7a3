"""The read half of the store: matchers to matrices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.ma  # np.unique loads it when first called: the first question would wait for it

from watchkeeper.model.series import Labels, Matcher, Matrix
from watchkeeper.store.samples import joining
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.decoded import Decoded
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Located
from watchkeeper.store.samples.pushed import Pushed
from watchkeeper.store.samples.recent import Recent, Rows
from watchkeeper.store.samples.strips import Need, Strips


class Reader:
    """Answers from head and blocks alike. Thread-safe."""

    def __init__(self, catalogue: Catalogue, sizes: Sizes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalogue, self._recent, self._strips = (
            catalogue,
            Recent(catalogue),
            Strips(catalogue, monotonic=monotonic),
        )
        self._decoded = Decoded()  #: of pushed groups
        self._pushed = Pushed(catalogue, catalogue.limits, sizes, monotonic)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """One matrix per target, and one per column of times of what was pushed.

        The time column holds every tick of the target in the range, so that a series that ended shows as not present;
        series without any sample in the range are left out.
        """
        with self._catalogue.lock:
            self._recent.tidy()
            self._strips.tidy()
            self._catalogue.load(start_ms, end_ms)
            wanted = self._catalogue.index.match(matchers)
            needs: list[Need] = []
            groups: list[tuple[Ids, list[Located]]] = []
            for target in self._catalogue.owners(wanted):
                if target.pushed:
                    groups += self._catalogue.settle(target, wanted, start_ms, end_ms)
                elif (need := self._strips.need(target, wanted, start_ms, end_ms)) is not None:
                    needs.append(need)
            joined = self._settled(groups, wanted, start_ms, end_ms)
        found = self._strips.read(needs)
        return [matrix for matrix in found if len(matrix.series)] + joining.matrices(joined, self._decoded)

    def waiting(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """Of ``select``, only what was pushed just now."""
        with self._catalogue.lock:
            joined = self._settled([], self._catalogue.index.match(matchers), start_ms, end_ms)
        return joining.matrices(joined, self._decoded)

    def _settled(
        self, groups: Sequence[tuple[Ids, list[Located]]], wanted: Ids, start_ms: int, end_ms: int
    ) -> joining.Settled:
        waiting = self._pushed.buffered(wanted, start_ms, end_ms)
        if not groups and not len(waiting):
            return joining.NOTHING
        sids = np.unique(np.concatenate([waiting.sids, *(mine for mine, _ in groups)]))
        return joining.Settled(
            groups, (waiting.sids, waiting.times, waiting.values), sids, self._catalogue.index.series(sids)
        )

    def _sids(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Ids:
        """Matching series that belong to a piece of the range, or wait with a sample in it."""
        found = self._catalogue.sids(matchers, start_ms, end_ms)
        waiting = self._pushed.buffered(self._catalogue.index.match(matchers), start_ms, end_ms)
        return np.union1d(found, waiting.sids).astype(np.int32) if len(waiting) else found

    def recent(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Rows | None:
        """The same samples as ``select``, and perhaps some before, of many targets in one piece; only the newest of
        each series counts if ``newest``. None where ``select`` is the way: few targets, or too long ago.
        """
        with self._catalogue.lock:
            if self._pushed.told_of(self._catalogue.index.match(matchers)):
                return None
            return self._recent.read(matchers, start_ms, end_ms, newest=newest)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Matching series that belong to a piece of store that overlaps the range, sorted."""
        with self._catalogue.lock:
            return sorted(self._catalogue.index.series(self._sids(matchers, start_ms, end_ms)))

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.names(self._sids(matchers, start_ms, end_ms))

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.values(name, self._sids(matchers, start_ms, end_ms))
