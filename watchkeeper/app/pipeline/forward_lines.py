"""Forward lines: what an agent's collectors read goes to its engine in order, each line once, until the engine has it.

The engine remembers with the lines themselves how far this queue has come (receive_lines.py), and says so in every
answer: nothing else needs to be remembered here, and what is sent again is known there.
"""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import Any

import numpy as np

from watchkeeper.app.link import Ask, EngineLink
from watchkeeper.app.pipeline.sending import LOOK, SendError, Sending, in_halves
from watchkeeper.model import Labels
from watchkeeper.store.logs import LineQueue
from watchkeeper.store.logs.piece import Piece, pick
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: Bytes of text in a request.
BATCH_BYTES = 1 << 20


class LineForwarder:
    """The engine's thread. ``stop`` leaves what is unsent to the next start."""

    def __init__(self, queue: LineQueue, link: EngineLink, labels: dict[str, str], telemetry: Telemetry) -> None:
        self.queue, self._link, self._labels, self._telemetry = queue, link, labels, telemetry
        self._next: int | None = None  #: number of the first line that the engine has not got; None: not asked yet
        self._dropped, self._idle = 0, True
        self._sending = Sending("forward-lines", self._send_on, self._failed)

    @property
    def error(self) -> str:
        """Why the engine does not take lines now; empty while it does."""
        return self._sending.error

    def start(self) -> None:
        self._sending.start()

    def stop(self) -> None:
        self._sending.stop()
        self.queue.close()

    @property
    def lag(self) -> int:
        """Lines that the engine has not got yet, as far as we know."""
        return self.queue.sequence - self._next if self._next is not None else self.queue.waiting

    # --- the thread ---

    async def _send_on(self) -> None:
        async with self._link.opened() as ask:
            while not self._sending.stopping:
                self._idle = True
                await self._sending.until_taken(partial(self._send_some, ask))
                self._figures()
                if self._idle:
                    await self._sending.pause(LOOK)

    async def _send_some(self, ask: Ask) -> None:
        """One request, if there is anything to send. Raises SendError."""
        if self._next is None:
            self._take(await self._post(ask, self.queue.sequence, None))
        piece = self.queue.after(self._next or 0, BATCH_BYTES)
        self._idle = piece is None
        if piece is not None:
            await in_halves(piece, partial(self._deliver, ask), _halves, self._refused)

    async def _deliver(self, ask: Ask, piece: Piece) -> None:
        self._take(await self._post(ask, int(piece.columns.sequences[0]), piece))
        self._telemetry.log_forwarded.labels("sent").inc(len(piece.columns))

    def _refused(self, piece: Piece, error: SendError) -> None:
        first = int(piece.columns.sequences[0])
        log.error("the engine refuses a line", sequence=first, error=str(error))
        self._telemetry.log_forwarded.labels("refused").inc()
        self._next = first + 1

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

    def _failed(self, error: SendError) -> None:
        if not self.error:
            log.warning("lines wait for the engine", reason=error.reason, error=str(error))
        self._figures()

    def _figures(self) -> None:
        if self.queue.dropped > self._dropped:
            self._telemetry.log_forwarded.labels("dropped").inc(self.queue.dropped - self._dropped)
            self._dropped = self.queue.dropped


def _halves(piece: Piece) -> tuple[Piece, Piece] | None:
    count = len(piece.columns)
    return (pick(piece, np.arange(count // 2)), pick(piece, np.arange(count // 2, count))) if count > 1 else None


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
