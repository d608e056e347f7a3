"""From ticks to requests: what the head took in, gathered for a moment and packed as remote write."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from watchkeeper.errors import StoreError
from watchkeeper.model import Labels, Tick, labels
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples.remote.spool import Spool
from watchkeeper.wire import snappy
from watchkeeper.wire.remote_write import encode, label_block

logger = structlog.get_logger(__name__)

#: Most samples of one request: what servers take in one piece without complaint.
MOST_SAMPLES = 10_000
#: Most samples that wait in memory for a disk that does not take them; beyond it the oldest are dropped and counted.
MOST_PENDING = 2_000_000
#: Pushed series whose labels are remembered as bytes.
MOST_PUSHED = 200_000
#: Our own mark in every request. Its value is the request's number: reading it back tells what the server has.
MARK = "watchkeeper_spool_request"


@dataclass(frozen=True, slots=True)
class Pending:
    """Samples on their way, as the store let them in: a tick of one target, or what others pushed (target empty)."""

    target: str
    series: Sequence[Labels]  #: of each sample
    times: IntArray
    values: FloatArray
    sequence: int


class Outbox:
    """``put`` from the appending thread, ``flush`` from the sending one."""

    def __init__(self, spool: Spool, name_file: Path) -> None:
        self._spool, self._lock, self._flushing = spool, threading.Lock(), threading.Lock()
        self._pending: list[Pending] = []
        self._samples = self.offered = self.dropped = 0
        self._blocks: dict[str, tuple[Sequence[Labels], list[bytes]]] = {}
        self._pushed: dict[Labels, bytes] = {}
        self.name, self.mark_ms = _kept_name(name_file), 0
        self.mark = label_block(labels(MARK, {"spool": self.name}))
        self.error = ""  #: why the disk takes nothing; empty while it does

    @property
    def pending_samples(self) -> int:
        return self._samples

    @property
    def oldest_ms(self) -> int | None:
        with self._lock:
            return min((int(one.times.min()) for one in self._pending if len(one.times)), default=None)

    def put(self, one: Pending) -> None:
        with self._lock:
            self._pending.append(one)
            self._samples += len(one.values)
            self.offered += len(one.values)
            while self._samples > MOST_PENDING and len(self._pending) > 1:
                lost = len(self._pending.pop(0).values)
                self._samples, self.dropped = self._samples - lost, self.dropped + lost

    def flush(self, now_ms: int) -> None:
        """Everything that is pending goes to the spool. A disk that refuses is counted, and tried again next time."""
        with self._flushing:
            while batch := self._batch():
                try:
                    self._pack(batch, now_ms)
                except StoreError as error:
                    if not self.error:
                        logger.error("samples.spool_refused", error=str(error))
                    self.error = str(error)
                    return
                self.error = ""
                self._done(batch)

    def _batch(self) -> list[Pending]:
        with self._lock:
            batch, size = list[Pending](), 0
            for one in self._pending:
                if batch and size + len(one.values) > MOST_SAMPLES:
                    break
                batch.append(one)
                size += len(one.values)
            return batch

    def _done(self, batch: Sequence[Pending]) -> None:
        with self._lock:
            gone = {id(one) for one in batch}
            self._pending = [one for one in self._pending if id(one) not in gone]
            self._samples = sum(len(one.values) for one in self._pending)

    def _pack(self, batch: Sequence[Pending], now_ms: int) -> None:
        """Requests of at most ``MOST_SAMPLES``; only the last of a wide tick says that the tick is whole."""
        blocks = [block for one in batch for block in self._blocks_of(one)]
        times = np.concatenate([one.times for one in batch])
        values = np.concatenate([one.values for one in batch])
        before, sequence = self._spool.sequence, max(one.sequence for one in batch)
        for start in range(0, len(blocks), MOST_SAMPLES):
            end = min(start + MOST_SAMPLES, len(blocks))
            self.mark_ms = max(self.mark_ms + 1, now_ms)
            body = encode(
                [*blocks[start:end], self.mark],
                np.append(times[start:end], self.mark_ms),
                np.append(values[start:end], float(self._spool.next_number)),
            )
            first_ms = int(times[start:end].min())
            whole = sequence if end == len(blocks) else before
            self._spool.put(snappy.compress(body), end - start, sequence=whole, first_ms=first_ms)

    def marked(self, number: int, now_ms: int) -> bytes:
        """A request of nothing but the mark."""
        self.mark_ms = max(self.mark_ms + 1, now_ms)
        return snappy.compress(encode([self.mark], np.array([self.mark_ms]), np.array([float(number)])))

    def _blocks_of(self, one: Pending) -> list[bytes]:
        if not one.target:
            return [self._block_of(series) for series in one.series]
        known = self._blocks.get(one.target)
        if known is None or known[0] is not one.series:
            known = self._blocks[one.target] = (one.series, [label_block(series) for series in one.series])
        return known[1]

    def _block_of(self, series: Labels) -> bytes:
        found = self._pushed.get(series)
        if found is None:
            if len(self._pushed) >= MOST_PUSHED:
                self._pushed.clear()
            found = self._pushed[series] = label_block(series)
        return found


def pending_of(tick: Tick, series: Sequence[Labels], kept: IntArray | None, sequence: int) -> Pending:
    """What is to be sent of a tick of which only ``kept`` columns were let in; None is all."""
    values = np.ascontiguousarray(tick.values, dtype=np.float64)
    values = values if kept is None else values[kept]
    return Pending(tick.target, series, np.full(len(values), tick.time_ms, dtype=np.int64), values, sequence)


def _kept_name(file: Path) -> str:
    """This spool's own name, the same after every start. Raises StoreError."""
    try:
        if file.exists():
            return file.read_text(encoding="ascii").strip()
        name = secrets.token_hex(4)
        file.write_text(name, encoding="ascii")
        return name
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be used: {error}") from error
