"""Forward: every sample that is kept goes on to another server, in the order it was kept, until that server has it.

The store's own log is the queue: nothing is written twice, and a crash loses nothing. A small file beside it remembers
the last record the server has. What may have been sent is sent again: servers know a repeated sample.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.receive import Inlet
from watchkeeper.app.samples import Samples
from watchkeeper.clock import Clock
from watchkeeper.config.schema import RemoteWrite
from watchkeeper.errors import ConfigError, OutboundError
from watchkeeper.model import Labels, labels
from watchkeeper.model.series import FloatArray, IntArray, is_stale
from watchkeeper.outbound import Outbound, Response
from watchkeeper.relabel import Rule, relabel
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.tail import Tail, Told
from watchkeeper.telemetry import Telemetry, logger
from watchkeeper.wire import remote_write, snappy

log = logger(__name__)

#: Seconds between two looks at the log, and the bounds of waiting after a failure.
LOOK, FIRST_RETRY, LAST_RETRY = 0.5, 0.25, 30.0
#: Statuses that speak of the samples; everything else speaks of the server or of our configuration, and is tried again.
OF_THE_SAMPLES = (400, 409, 413, 415, 422)
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


class RetryError(Exception):
    """The server has it or has it not; after so many seconds it is asked again."""

    def __init__(self, reason: str, text: str, after: float | None = None) -> None:
        self.reason, self.after = reason, after
        super().__init__(text)


class Forwarder:
    """One server and its thread. ``stop`` leaves what is unsent to the next start."""

    def __init__(
        self, options: RemoteWrite, store: EmbeddedStore, folder: Path, telemetry: Telemetry, clock: Clock
    ) -> None:
        """Raises ConfigError."""
        self.options, self._telemetry, self._file = options, telemetry, folder / f"{options.name}.sent"
        self._rules, self._context, self._headers = rules_of(options), context_of(options), _headers(options)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store = store
        self._tail: Tail = store.follow(self._remembered(), options.queue_bytes)
        self._lists: dict[bytes, list[bytes | None]] = {}
        self._dropped, self._ended = 0, set[bytes]()
        self._unsure = True  #: the next request may have been sent before
        self.error = ""  #: why the server does not take samples now; empty while it does
        self.source = Source(
            f"remote_write/{options.name}", "remote_write_out", timedelta(0), Inlet(), {}, target=options.url
        )
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"forward-{options.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._tail.close()

    def _remembered(self) -> int | None:
        try:
            return int(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):  # never sent anything: begin with what comes from now on
            return None

    # --- the thread ---

    def _run(self) -> None:
        asyncio.run(self._send_on())

    async def _send_on(self) -> None:
        outbound = Outbound(allow_private=True, verify=self._context, max_connections=2)
        if not self._file.exists():
            self._remember(self._tail.sequence)
        try:
            while not self._stop.is_set():
                await self._send_what_is_there(outbound)
                await asyncio.to_thread(self._stop.wait, LOOK)
        finally:
            await outbound.aclose()

    async def _send_what_is_there(self, outbound: Outbound) -> None:
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
            times.append(told.times[chosen])
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
            wait = FIRST_RETRY
            while not self._stop.is_set():
                try:
                    await self._send(outbound, batch.part(low, low + self.options.batch_samples))
                    break
                except RetryError as error:
                    self._failed(error)
                    await asyncio.to_thread(self._stop.wait, error.after or wait)
                    wait = min(2 * wait, LAST_RETRY)
            if self._stop.is_set():
                return False
        self.error, self._unsure = "", False
        return True

    def _failed(self, error: RetryError) -> None:
        if not self.error:
            log.warning("remote write failing", name=self.options.name, reason=error.reason, error=str(error))
        self.error, self._unsure = f"{error.reason}: {error}", True
        self._telemetry.forward_failures.labels(self.options.name, error.reason).inc()
        self._figures()

    async def _send(self, outbound: Outbound, batch: Batch) -> None:
        """Raises RetryError. What the server refuses for what it is goes out in halves, so that the rest arrives."""
        refusal = await self._post(outbound, batch)
        if not refusal:
            self._count("sent", len(batch))
        elif len(batch) == 1:
            self._count("repeated" if self._unsure else "refused", 1)
        else:
            middle = len(batch) // 2
            await self._send(outbound, batch.part(0, middle))
            await self._send(outbound, batch.part(middle, len(batch)))

    async def _post(self, outbound: Outbound, batch: Batch) -> str:
        """Empty when the server has it, else why it does not want it. Raises RetryError."""
        timeout = self.options.timeout.total_seconds()
        try:
            answer = await outbound.request(
                "POST", self.options.url, headers=self._headers, content=batch.packed(), timeout=timeout
            )
        except OutboundError as error:
            raise RetryError(error.reason, str(error)) from None
        if 200 <= answer.status < 300:
            return ""
        said = answer.body[:200].decode("utf-8", "replace").strip() or f"HTTP {answer.status}"
        if answer.status in OF_THE_SAMPLES:
            return said
        raise RetryError(f"http_{answer.status}", said, retry_after(answer))

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

    def _figures(self) -> None:
        self._telemetry.forward_lag.labels(self.options.name).set(
            max(self._store.durable_sequence - self._tail.sequence, 0)
        )
        self._count("dropped", self._tail.dropped - self._dropped)
        self._dropped = self._tail.dropped
        self.source.state, self.source.error = ("failing", self.error) if self.error else ("up", "")
        self.source.last_at = self._clock.now()


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


def retry_after(answer: Response) -> float | None:
    """Seconds that the server asks us to wait."""
    told = answer.headers.get("retry-after", "")
    return min(float(told), LAST_RETRY) if told.isdigit() else None


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


def context_of(options: RemoteWrite) -> ssl.SSLContext | None:
    """How its certificate is checked, and ours shown; None for the system's way. Raises ConfigError."""
    if not options.ca and options.certificate is None:
        return None
    try:
        context = ssl.create_default_context(cadata=options.ca or None)
        if options.certificate is not None:
            context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"its certificates cannot be used: {error}", key=f"remote_write.{options.name}") from None
    return context


def credentials(options: RemoteWrite) -> dict[str, str]:
    """Headers by which the server knows us."""
    sent = {name.lower(): value.get_secret_value() for name, value in options.headers.items()}
    if options.username:
        pair = f"{options.username}:{options.password.get_secret_value()}".encode()
        sent["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    if token := options.token.get_secret_value():
        sent["authorization"] = f"Bearer {token}"
    return sent


def _headers(options: RemoteWrite) -> dict[str, str]:
    return credentials(options) | {
        "content-type": remote_write.CONTENT_TYPE,
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": remote_write.VERSION,
    }
