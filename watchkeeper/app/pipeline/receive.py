"""Receive: what others write to us, from bytes to the store, every sample of it in the ledger."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.replicas import Replicas
from watchkeeper.app.samples import Samples
from watchkeeper.clock import Clock
from watchkeeper.errors import StoreFullError
from watchkeeper.model import Labels, Tick, metric_name
from watchkeeper.model.series import BoolArray, IntArray
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Appended, Collected
from watchkeeper.telemetry import Telemetry, logger
from watchkeeper.wire import remote_write, remote_write_v2, snappy
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.remote_write import About, Written

log = logger(__name__)

#: Name of the one source that stands for all senders.
SOURCE = "remote_write"
#: Bytes a request may unpack to.
MOST_BYTES = 64 << 20
#: Series remembered by the bytes of their labels; beyond it all are looked up anew.
MOST_KNOWN = 1 << 20
#: Metrics whose metadata are kept.
MOST_ABOUT = 50_000
#: Reasons of refusal that say nothing against the sender's request as a whole.
QUIET = frozenset({"native_histogram"})


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a request."""

    line: Appended
    histograms: int  #: native histograms, which are not kept
    exemplars: int  #: exemplars, which are not kept

    @property
    def wrong(self) -> Mapping[str, int]:
        """Samples refused for what they are: sending them again cannot help."""
        return {reason: count for reason, count in self.line.rejected.items() if reason not in QUIET}


@dataclass(slots=True, eq=False)
class Inlet:
    """Stands in the list of collectors for whoever writes to us; nobody asks it."""

    metadata: dict[str, About] = field(default_factory=dict)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - a collector's shape
        return Collected()

    async def close(self) -> None:
        """Nothing is held."""


class Receiving:
    """Safe to call from many threads; one at a time gets at the store."""

    def __init__(self, store: Samples, telemetry: Telemetry, clock: Clock) -> None:
        self._store, self._telemetry, self._clock = store, telemetry, clock
        self._lock = threading.Lock()
        self._replicas = Replicas(clock.monotonic)
        self._forget()
        self.inlet = Inlet()
        self.source = Source(SOURCE, SOURCE, timedelta(0), self.inlet, {}, target="/api/v1/write")

    def _forget(self) -> None:
        self._known: dict[bytes, int] = {}
        self._sids: IntArray = np.empty(0, dtype=np.int64)
        self._replica: IntArray = np.empty(0, dtype=np.int64)
        self._generation, _, _ = self._store.number([])

    def write(self, packed: bytes, *, second: bool) -> Received:
        """Take one request of version 1.0 or 2.0 in; durable on return. Raises WireError, StoreError."""
        try:
            body = snappy.unpack(packed, MOST_BYTES)
            decode = remote_write_v2.decode if second else remote_write.decode
            with self._lock:
                if len(self._sids) > MOST_KNOWN:  # refused series take a place each time they come
                    self._forget()
                received = self._take(lambda: decode(body, self._known))
        except WireError as error:
            self._telemetry.remote_writes.labels(error.reason).inc()
            raise
        if received.line.stored:
            self._store.sync()
        return received

    def fresh(self) -> list[Tick]:
        """What was written to us since the last call, by whatever way, as ticks to score."""
        return self._store.fresh()

    def _take(self, read: Callable[[], Written]) -> Received:
        while True:
            written = read()
            refused: Counter[str] = Counter()
            sids = self._numbered(written, refused)
            repeated = self._replicas.repeated(self._replica, written.codes)
            sids[repeated] = -1
            kept = sids >= 0
            if written.histograms:
                refused["native_histogram"] += written.histograms
            line = self._append(written, sids, kept, refused, int(np.count_nonzero(repeated)))
            if line is not None:
                break
            self._forget()
        self._note(written, line)
        return Received(line, written.histograms, written.exemplars)

    def _append(
        self, written: Written, sids: IntArray, kept: BoolArray, refused: Counter[str], repeated: int
    ) -> Appended | None:
        in_flight = self._telemetry.in_flight
        in_flight.inc(len(sids))
        try:
            return self._store.push_numbered(
                self._generation,
                sids[kept].astype(np.int32),
                written.times[kept],
                written.values[kept],
                refused,
                repeated,
            )
        except StoreFullError:
            self._telemetry.remote_writes.labels("disk_full").inc()
            raise
        finally:
            in_flight.dec(len(sids))

    # --- series ---

    def _numbered(self, written: Written, refused: Counter[str]) -> IntArray:
        """Series id of every sample; -1 for those refused here."""
        if not written.fresh:
            return self._sids[written.codes]
        found, replicas, why = self._meet(written.fresh)
        codes = np.where(written.codes < 0, len(self._sids) - 1 - written.codes, written.codes)
        for place, block in enumerate(written.fresh):
            if place in why:
                refused[why[place]] += int(np.count_nonzero(written.codes == -1 - place))
            else:
                self._known[block] = len(self._sids) + place
        self._sids = np.concatenate([self._sids, found])
        self._replica = np.concatenate([self._replica, replicas])
        written.codes = codes
        return self._sids[codes]

    def _meet(self, blocks: Sequence[bytes]) -> tuple[IntArray, IntArray, dict[int, str]]:
        """(series ids, replicas, why not by position) of series that are new to this connection."""
        named: list[Labels] = []
        why: dict[int, str] = {}
        replicas = np.zeros(len(blocks), dtype=np.int64)
        for place, block in enumerate(blocks):
            try:
                series, replicas[place] = self._replicas.of(remote_write.labels_of(block))
            except WireError as error:
                series, why[place] = (), error.reason
            if not metric_name(series):
                why.setdefault(place, "label_invalid")
            named.append(series)
        right = [place for place in range(len(blocks)) if place not in why]
        generation, sids, over = self._store.number([named[place] for place in right])
        if not len(self._sids):  # else ids of another generation may be in use: the push will say so
            self._generation = generation
        found = np.full(len(blocks), -1, dtype=np.int64)
        found[right] = sids
        why |= {right[place]: reason for place, reason in over.items()}
        return found, replicas, why

    # --- what is told about it ---

    def _note(self, written: Written, line: Appended) -> None:
        self._telemetry.count_append(SOURCE, line)
        self._telemetry.remote_writes.labels("ok").inc()
        if written.exemplars:
            self._telemetry.remote_write_exemplars.inc(written.exemplars)
        for about in written.about:
            if len(self.inlet.metadata) < MOST_ABOUT or about.family in self.inlet.metadata:
                self.inlet.metadata[about.family] = about
        source = self.source
        source.state, source.error, source.last_at = "up", "", self._clock.now()
        source.received, source.stored = source.received + line.received, source.stored + line.stored
        source.samples, source.series = line.received, len(self._known)
        for reason, count in line.rejected.items():
            source.rejected[reason] = source.rejected.get(reason, 0) + count
