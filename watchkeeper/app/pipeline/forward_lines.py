"""Forward lines: what an agent's collectors read goes to its engine in order, each line once, until the engine has it.

The engine remembers with the lines themselves how far this queue has come (receive_lines.py), and says so in every
answer: nothing else needs to be remembered here, and what is sent again is known there.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from typing import Any

import numpy as np

from watchkeeper.app.link import Ask, EngineLink, LinkError
from watchkeeper.model import Labels
from watchkeeper.store.logs import LineQueue
from watchkeeper.store.logs.piece import Piece, pick
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: Seconds between two looks at the queue, and the bounds of waiting after a failure.
LOOK, FIRST_RETRY, LAST_RETRY = 0.5, 0.25, 30.0
#: Bytes of text in a request.
BATCH_BYTES = 1 << 20


class LineForwarder:
    """The engine's thread. ``stop`` leaves what is unsent to the next start."""

    def __init__(self, queue: LineQueue, link: EngineLink, labels: dict[str, str], telemetry: Telemetry) -> None:
        self.queue, self._link, self._labels, self._telemetry = queue, link, labels, telemetry
        self._next: int | None = None  #: number of the first line that the engine has not got; None: not asked yet
        self._dropped = 0
        self.error = ""  #: why the engine does not take lines now; empty while it does
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forward-lines", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self.queue.close()

    @property
    def lag(self) -> int:
        """Lines that the engine has not got yet, as far as we know."""
        return self.queue.sequence - self._next if self._next is not None else self.queue.waiting

    # --- the thread ---

    def _run(self) -> None:
        asyncio.run(self._send_on())

    async def _send_on(self) -> None:
        wait = FIRST_RETRY
        async with self._link.opened() as ask:
            while not self._stop.is_set():
                try:
                    idle = await self._send_some(ask)
                    self.error, wait = "", FIRST_RETRY
                    pause = LOOK if idle else 0.0
                except LinkError as error:
                    self._failed(error)
                    pause, wait = error.after or wait, min(2 * wait, LAST_RETRY)
                self._figures()
                await asyncio.to_thread(self._stop.wait, pause)

    async def _send_some(self, ask: Ask) -> bool:
        """One request; True when there is nothing to send. Raises LinkError."""
        if self._next is None:
            self._take(await self._post(ask, self.queue.sequence, None))
        piece = self.queue.after(self._next or 0, BATCH_BYTES)
        if piece is None:
            return True
        await self._deliver(ask, piece)
        return False

    async def _deliver(self, ask: Ask, piece: Piece) -> None:
        """What the engine refuses for what it is goes out in halves, so that the rest arrives."""
        first, count = int(piece.columns.sequences[0]), len(piece.columns)
        try:
            self._take(await self._post(ask, first, piece))
        except LinkError as error:
            if not error.refused:
                raise
            if count > 1:
                await self._deliver(ask, pick(piece, np.arange(count // 2)))
                await self._deliver(ask, pick(piece, np.arange(count // 2, count)))
                return
            log.error("the engine refuses a line", sequence=first, error=str(error))
            self._telemetry.log_forwarded.labels("refused").inc()
            self._next = first + 1
        else:
            self._telemetry.log_forwarded.labels("sent").inc(count)

    async def _post(self, ask: Ask, first: int, piece: Piece | None) -> Any:
        body = json.dumps(shipment(self.queue.name, first, piece, self._labels), ensure_ascii=False)
        packed = gzip.compress(body.encode("utf-8", "replace"), 1)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return await ask("POST", "lines", headers=headers, content=packed)

    def _take(self, answer: Any) -> None:
        told = int(answer["next"])
        if told > self.queue.sequence:
            log.error("the engine has lines that this queue does not know of: files of it were lost", next=told)
            self.queue.go_on_at(told)
        self._next = told

    def _failed(self, error: LinkError) -> None:
        if not self.error:
            log.warning("lines wait for the engine", reason=error.reason, error=str(error))
        self.error = f"{error.reason}: {error}"

    def _figures(self) -> None:
        if self.queue.dropped > self._dropped:
            self._telemetry.log_forwarded.labels("dropped").inc(self.queue.dropped - self._dropped)
            self._dropped = self.queue.dropped


def shipment(queue: str, first: int, piece: Piece | None, external: dict[str, str]) -> dict[str, Any]:
    """The body of a request: lines as [place of the labels, ms, code of the severity, text], in their order."""
    if piece is None:
        return {"queue": queue, "first": first, "labels": [], "rows": []}
    columns = piece.columns
    lists = columns.stream.tolist(), columns.times.tolist(), columns.severity.tolist()
    rows = [
        [stream, time_ms, severity, piece.text(place)]
        for place, (stream, time_ms, severity) in enumerate(zip(*lists, strict=True))
    ]
    return {"queue": queue, "first": first, "labels": [_labels(one, external) for one in piece.streams], "rows": rows}


def _labels(own: Labels, external: dict[str, str]) -> dict[str, str]:
    return {**external, **dict(own)}
