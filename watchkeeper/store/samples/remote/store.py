"""The sample store on a Prometheus-compatible server: written by remote write, read through the query API."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from watchkeeper.clock import Clock, to_ms
from watchkeeper.errors import StoreError
from watchkeeper.model import METRIC_NAME, Labels, Matcher, Matrix, Tick
from watchkeeper.model.series import FloatArray, IntArray, MatchOp
from watchkeeper.ports import Appended
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.limits import Limits, Sizes
from watchkeeper.store.samples.pushing import Generation
from watchkeeper.store.samples.recent import Rows
from watchkeeper.store.samples.remote import lookup, raw
from watchkeeper.store.samples.remote.head import Head
from watchkeeper.store.samples.remote.outbox import Outbox
from watchkeeper.store.samples.remote.sender import Pace, Sender
from watchkeeper.store.samples.remote.server import Server
from watchkeeper.store.samples.remote.spool import Spool
from watchkeeper.store.samples.remote.union import unite

#: Of so long ago everything sent is shown by every server (VictoriaMetrics hides the newest 30 s from queries).
SHOWN_AFTER = timedelta(seconds=60)
#: Seconds that a request under way gets when the store is closed.
PATIENCE = 2.0
#: Series with such names are written by this engine alone, so that the head knows all there is of its own span.
OWN_NAMES = ("watchkeeper_", "ALERTS")


class RemoteStore:
    """A SampleStore. Append from one thread, read from many; call ``maintain`` every minute.

    The newest hours are here as well (``head``): what was appended is visible at once and durable within a second, and
    nothing is lost while the server is away. ``alone``: nobody else writes to the server, so that the head answers
    questions of its own span without asking it.
    """

    def __init__(
        self,
        directory: Path,
        server: Server,
        *,
        clock: Clock,
        head: timedelta = timedelta(hours=3),
        spool_bytes: int = 1 << 30,
        alone: bool = False,
        limits: Limits | None = None,
        sizes: Sizes | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Raises StoreError when another process holds the directory or the disk refuses. The server may be away."""
        self._server, self._clock, self._span, self._alone = server, clock, head, alone
        self._appending = threading.Lock()
        self._spool = Spool(directory / "spool", most_bytes=spool_bytes)
        self._outbox = Outbox(self._spool, directory / "spool.name")
        self._sender = Sender(server, self._spool, self._outbox, self._now_ms, pace or Pace())
        self.head = Head(
            directory / "head",
            clock=clock,
            span=head,
            limits=limits,
            sizes=sizes,
            spooled=self._spool.sequence,
            forward=self._outbox.put,
        )
        for one in self.head.unsent:
            self._outbox.put(one)
        self.head.unsent.clear()
        self._oldest = lookup.Oldest(server)
        self._sender.start()

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    # --- appending ---

    def append(self, tick: Tick) -> Appended:
        """Keep one tick, here and on its way to the server. Raises StoreFullError, StoreError: nothing was kept."""
        with self._appending:
            return self.head.take(tick)

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]:
        """``append`` for many, each answered for itself."""
        return [self._answer(tick) for tick in ticks]

    def _answer(self, tick: Tick) -> Appended | StoreError:
        try:
            return self.append(tick)
        except StoreError as error:
            return error

    def fresh(self) -> list[Tick]:
        """As the embedded store."""
        return self.head.fresh()

    def number(self, series: Sequence[Labels]) -> tuple[Generation, Ids, Mapping[int, str]]:
        """As the embedded store's: ids for ``push_numbered``."""
        return self.head.number(series)

    def push_numbered(
        self,
        generation: Generation,
        sids: Ids,
        times: IntArray,
        values: FloatArray,
        refused: Mapping[str, int] | None = None,
        repeated: int = 0,
    ) -> Appended | None:
        """As the embedded store's: what others push is kept here and goes on its way to the server too."""
        return self.head.push_numbered(generation, sids, times, values, refused, repeated)

    def sync(self) -> int:
        """Wait until everything appended is on this machine's disk; returns the durable sequence. Raises StoreError."""
        self._outbox.flush(self._now_ms())  # first: what is older than the head is nowhere else
        return self.head.sync()

    @property
    def durable_sequence(self) -> int:
        return self.head.durable_sequence

    def deliver(self, seconds: float) -> bool:
        """Wait until the server has taken everything appended so far; whether it has."""
        self._outbox.flush(self._now_ms())
        self._sender.wake()
        return self._spool.wait(seconds) and self._outbox.pending_samples == 0

    # --- reading ---

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """All samples with start <= t <= end, the server's and the head's as one. Raises QueryError.

        A series may be in two matrices: its older samples in one, its newer ones in the other.
        """
        if self.held(matchers, start_ms):
            return self.head.select(matchers, start_ms, end_ms)
        there = raw.read(self._server, matchers, start_ms, end_ms)
        return unite(self.head.select(matchers, start_ms, end_ms), there)

    def recent(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Rows | None:
        """As the embedded store's, where the head alone answers."""
        if not self.held(matchers, start_ms):
            return None
        return self.head.recent(matchers, start_ms, end_ms, newest=newest)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        here = self.head.series(matchers, start_ms, end_ms)
        if self.held(matchers, start_ms):
            return here
        return sorted({*here, *lookup.series(self._server, matchers, start_ms, end_ms)})

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        here = self.head.label_names(matchers, start_ms, end_ms)
        if self.held(matchers, start_ms):
            return here
        return sorted({*here, *lookup.label_names(self._server, matchers, start_ms, end_ms)})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        here = self.head.label_values(name, matchers, start_ms, end_ms)
        if self.held(matchers, start_ms):
            return here
        return sorted({*here, *lookup.label_values(self._server, name, matchers, start_ms, end_ms)})

    # --- who knows what ---

    def held(self, matchers: Sequence[Matcher], start_ms: int) -> bool:
        """Whether the head alone has everything of these series from that time on."""
        return (self._alone or _only_ours(matchers)) and start_ms >= self.head.complete_from_ms

    def ours(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> bool:
        """Whether this engine wrote any of these series lately."""
        return bool(self.head.series(matchers, max(start_ms, self.head.complete_from_ms), end_ms))

    @property
    def shown_until_ms(self) -> int:
        """Before this time the server shows everything that was sent to it."""
        waiting = [moment for moment in (self._spool.oldest_ms, self._outbox.oldest_ms) if moment is not None]
        shown = min([self._now_ms() - round(SHOWN_AFTER.total_seconds() * 1000), *waiting])
        return max(shown, self.head.complete_from_ms)

    def query(self, path: str, parameters: list[tuple[str, str]]) -> Any:
        """The server's own answer to PromQL. Raises QueryError."""
        return lookup.answer(self._server, path, parameters)

    # --- upkeep ---

    def maintain(self, now: datetime) -> Mapping[str, int]:
        """Upkeep of the head; then a look at how far back the server goes."""
        self._outbox.flush(self._now_ms())
        counts = self.head.maintain(now)
        self._oldest.look(to_ms(now))
        return counts

    def stats(self) -> Mapping[str, int | float]:
        """The head's figures, and those of the way to the server.

        spool_offered = spool_sent + spool_already_there + spool_refused + spool_dropped + spool_waiting.
        """
        found = self.head.figures()
        oldest = [moment for moment in (self._oldest.time_ms, found.get("oldest_ms")) if moment is not None]
        if oldest:
            found["oldest_ms"] = min(oldest)
        return found | self._sending() | {f"server_failed_{why}": n for why, n in self._server.failures.items()}

    def _sending(self) -> dict[str, int | float]:
        sender, since = self._sender, self._sender.failing_since
        figures: dict[str, int | float] = {
            "spool_offered": self._outbox.offered + self._spool.found,
            "spool_sent": self._spool.sent,
            "spool_already_there": sender.already,
            "spool_refused": sender.refused.total(),
            "spool_dropped": self._spool.dropped + self._outbox.dropped,
            "spool_waiting": self._spool.waiting_samples + self._outbox.pending_samples,
            "spool_resent": sender.resent,
            "spool_unconfirmed": sender.unconfirmed,
            "spool_bytes": self._spool.nbytes,
            "server_failing_seconds": 0.0 if since is None else time.monotonic() - since,
        }
        return figures | {f"spool_refused_{why}": count for why, count in sender.refused.items()}

    def close(self) -> None:
        """Everything unsent is on the disk for the next start. Raises StoreError when the disk refuses."""
        self._sender.stop(PATIENCE)
        self._server.close()
        self._sender.stop(PATIENCE)
        with suppress(StoreError):
            self.sync()
        self.head.close()


def _only_ours(matchers: Sequence[Matcher]) -> bool:
    return any(
        one.name == METRIC_NAME and one.op is MatchOp.EQUAL and one.value.startswith(OWN_NAMES) for one in matchers
    )
