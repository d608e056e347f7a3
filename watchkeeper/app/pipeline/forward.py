"""Forward: every sample that is kept goes on to another server, in the order it was kept, until that server has it.

The store's own log is the queue: nothing is written twice, and a crash loses nothing. A small file beside it remembers
the last record the server has. What may have been sent is sent again: servers know a repeated sample.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.credentials import Credentials
from watchkeeper.app.pipeline.receive import Inlet
from watchkeeper.app.pipeline.sending import LOOK, SendError, Sending, in_halves, taken
from watchkeeper.app.samples import Samples
from watchkeeper.clock import Clock
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError
from watchkeeper.model import Labels, labels
from watchkeeper.model.series import FloatArray, IntArray, is_stale
from watchkeeper.outbound import Outbound
from watchkeeper.relabel import Rule, relabel
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.tail import Tail, Told
from watchkeeper.telemetry import Telemetry, logger
from watchkeeper.wire import remote_write, snappy

log = logger(__name__)

#: Column lists whose labels stay encoded.
REMEMBERED_LISTS = 4096


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one request, ``blocks[i]`` the labels of sample i."""

    blocks: Sequence[bytes]
    times: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.blocks)

    def packed(self) -> bytes:
        return snappy.compress(remote_write.encode(self.blocks, self.times, self.values))

    def part(self, low: int, high: int) -> Batch:
        return Batch(self.blocks[low:high], self.times[low:high], self.values[low:high])

    def halves(self) -> tuple[Batch, Batch] | None:
        """None of a single sample."""
        middle = len(self) // 2
        return (self.part(0, middle), self.part(middle, len(self))) if middle else None


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much a clock was wrong while records were kept: of each of ``low`` < sequence <= ``high``; of older ones
    where they lie after ``now_ms``."""

    low: int = 0
    high: int = 0
    by_ms: int = 0  #: taken off
    now_ms: int = 0

    def times(self, sequence: int, found: IntArray) -> IntArray:
        if sequence > self.high or not self.by_ms:
            return found
        return found - self.by_ms if sequence > self.low else np.where(found > self.now_ms, found - self.by_ms, found)


#: What a request says of its body.
WRITTEN = {
    "content-type": remote_write.CONTENT_TYPE,
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": remote_write.VERSION,
}


class Forwarder:
    """One server and its thread. ``stop`` leaves what is unsent to the next start."""

    def __init__(
        self, options: RemoteWrite, store: EmbeddedStore, folder: Path, telemetry: Telemetry, clock: Clock
    ) -> None:
        """Raises ConfigError."""
        self.options, self._telemetry, self._file = options, telemetry, folder / f"{options.name}.sent"
        self._rules, self._known_by = rules_of(options), Credentials(options)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store = store
        self._tail: Tail = store.follow(self._remembered(), options.queue_bytes)
        self._lists: dict[bytes, list[bytes | None]] = {}
        self._dropped, self._ended = 0, set[bytes]()
        self._unsure = True  #: the next request may have been sent before
        self._shift = Shift()
        self.ready: Callable[[], Awaitable[None]] = _always  #: SendError: nothing is read from the log yet
        self.source = Source(
            f"remote_write/{options.name}", "remote_write_out", timedelta(0), Inlet(), {}, target=options.url
        )
        self._clock = clock
        self._sending = Sending(f"forward-{options.name}", self._send_on, self._failed)

    @property
    def error(self) -> str:
        """Why the server does not take samples now; empty while it does."""
        return self._sending.error

    def start(self) -> None:
        self._sending.start()

    def stop(self) -> None:
        self._sending.stop()
        self._tail.close()

    def shift(self, shift: Shift) -> None:
        """Times of what was kept under a wrong clock; said before it is ``ready``."""
        self._shift = shift

    def _remembered(self) -> int | None:
        try:
            return int(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):  # never sent anything: begin with what comes from now on
            return None

    # --- the thread ---

    async def _send_on(self) -> None:
        outbound = Outbound(allow_private=True, verify=self._known_by.context, max_connections=2)
        if not self._file.exists():
            self._remember(self._tail.sequence)
        try:
            while not self._sending.stopping:
                await self._send_what_is_there(outbound)
                await self._sending.pause(LOOK)
        finally:
            await outbound.aclose()

    async def _send_what_is_there(self, outbound: Outbound) -> None:
        if not await self._sending.until_taken(self.ready):
            return
        try:
            for batch, sequence in self._batches():
                if not await self._delivered(outbound, batch):
                    return
                self._remember(sequence)
        except OSError as error:
            log.error("remote write cannot read the log", name=self.options.name, error=str(error))
            self._tail.rewind(self._sent)
        self._figures()

    def _batches(self) -> Iterator[tuple[Batch, int]]:
        """Requests, each with the sequence up to which everything is sent after it."""
        blocks: list[bytes] = []
        times, values = list[IntArray](), list[FloatArray]()
        most, sequence = self.options.batch_samples, self._tail.sequence
        for told in self._tail.read():
            mine, chosen = self._wanted(told)
            if blocks and len(blocks) + len(mine) > most:
                yield Batch(blocks, np.concatenate(times), np.concatenate(values)), sequence
                blocks, times, values = [], [], []
            blocks += mine
            times.append(self._shift.times(told.sequence, told.times[chosen]))
            values.append(told.values[chosen])
            sequence = told.sequence
        if blocks or sequence > self._sent:
            empty = [np.empty(0, np.int64)], [np.empty(0)]
            yield Batch(blocks, np.concatenate(times or empty[0]), np.concatenate(values or empty[1])), sequence

    def _wanted(self, told: Told) -> tuple[list[bytes], IntArray]:
        """(labels, which) of the samples that go out."""
        blocks = [block for key in told.lists for block in self._blocks(key)]
        found = [blocks[place] for place in told.places.tolist()]
        over = self._ended_before(found, told.values)
        chosen = [place for place, block in enumerate(found) if block is not None and place not in over]
        self._count("unwanted", len(found) - len(chosen) - len(over))
        return [block for place in chosen if (block := found[place]) is not None], np.array(chosen, dtype=np.int64)

    def _ended_before(self, blocks: Sequence[bytes | None], values: FloatArray) -> set[int]:
        """Positions of ends that were told already: a row of a target marks a series that is gone again and again."""
        over: set[int] = set()
        if self._ended:
            self._ended.difference_update(
                block for block, ended in zip(blocks, is_stale(values).tolist(), strict=True) if block and not ended
            )
        for place in np.flatnonzero(is_stale(values)).tolist():
            block = blocks[place]
            if block in self._ended:
                over.add(place)
            elif block is not None:
                self._ended.add(block)
        return over

    def _blocks(self, key: bytes) -> list[bytes | None]:
        known = self._lists.get(key)
        if known is None:
            if len(self._lists) >= REMEMBERED_LISTS:
                self._lists.clear()
            known = self._lists[key] = [self._block(series) for series in self._tail.series(key)]
        return known

    def _block(self, series: Labels) -> bytes | None:
        whole = labels(None, {**self.options.external_labels, **dict(series)})
        kept = relabel(whole, self._rules) if self._rules else whole
        return None if not kept else remote_write.label_block(kept)

    # --- delivering ---

    async def _delivered(self, outbound: Outbound, batch: Batch) -> bool:
        """Send it in pieces the server takes, as often as it needs; False when it is time to stop."""
        for low in range(0, len(batch), self.options.batch_samples):
            part = batch.part(low, low + self.options.batch_samples)
            if not await self._sending.until_taken(partial(self._send, outbound, part)):
                return False
        self._unsure = False
        return True

    def _failed(self, error: SendError) -> None:
        if not self.error:
            log.warning("remote write failing", name=self.options.name, reason=error.reason, error=str(error))
        self._unsure = True
        self._telemetry.forward_failures.labels(self.options.name, error.reason).inc()
        self._figures(f"{error.reason}: {error}")

    async def _send(self, outbound: Outbound, batch: Batch) -> None:
        """Raises SendError."""
        await in_halves(batch, partial(self._post, outbound), Batch.halves, self._refused)

    async def _post(self, outbound: Outbound, batch: Batch) -> None:
        """Raises SendError."""
        timeout, headers = self.options.timeout.total_seconds(), self._known_by.headers() | WRITTEN
        try:
            await taken(outbound, "POST", self.options.url, headers=headers, content=batch.packed(), timeout=timeout)
        except SendError as error:
            if error.refused and error.written is not None:
                self._partly(len(batch), error)
                return
            raise self._known_by.explained(error, self._clock.now()) from None
        self._count("sent", len(batch))

    def _partly(self, samples: int, error: SendError) -> None:
        """The server kept what it could and said how much."""
        written = min(error.written or 0, samples)
        self._count("sent", written)
        self._count("repeated" if self._unsure else "refused", samples - written)
        log.warning("samples were refused", name=self.options.name, samples=samples - written, error=str(error))

    def _refused(self, batch: Batch, _error: SendError) -> None:
        self._count("repeated" if self._unsure else "refused", len(batch))

    # --- figures ---

    @property
    def _sent(self) -> int:
        return self._remembered() or 0

    def _remember(self, sequence: int) -> None:
        write_private(self._file, str(sequence))

    def _count(self, outcome: str, samples: int) -> None:
        if samples:
            self._telemetry.forwarded.labels(self.options.name, outcome).inc(samples)
            if outcome in ("refused", "dropped"):
                self.source.rejected[outcome] = self.source.rejected.get(outcome, 0) + samples
            elif outcome == "sent":
                self.source.received, self.source.stored = self.source.received + samples, self.source.stored + samples

    @property
    def lag(self) -> int:
        """Records of the log that the server has not got yet."""
        return max(self._store.durable_sequence - self._sent, 0)

    def _figures(self, error: str = "") -> None:
        self._telemetry.forward_lag.labels(self.options.name).set(
            max(self._store.durable_sequence - self._tail.sequence, 0)
        )
        self._count("dropped", self._tail.dropped - self._dropped)
        self._dropped = self._tail.dropped
        self.source.state, self.source.error = ("failing", error) if error else ("up", "")
        self.source.last_at = self._clock.now()


async def _always() -> None:
    return None


def forwarders(
    rows: Sequence[RemoteWrite], store: Samples, folder: Path, telemetry: Telemetry, clock: Clock
) -> list[Forwarder]:
    """One for each server. Raises ConfigError."""
    if not rows:
        return []
    if not isinstance(store, EmbeddedStore):
        said = "samples are kept on the server of store.samples.url: let that server write on, or keep them here"
        raise ConfigError(said, key="remote_write")
    return [Forwarder(row, store, folder, telemetry, clock) for row in rows]


def rules_of(options: RemoteWrite) -> list[Rule]:
    """Raises ConfigError."""
    try:
        return TypeAdapter(list[Rule]).validate_python(options.write_relabel_configs)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(
            f"{first['msg']} ({place})", key=f"remote_write.{options.name}.write_relabel_configs"
        ) from None
