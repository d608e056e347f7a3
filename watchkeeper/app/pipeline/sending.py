"""Sending on: what the ways out of this process share. A thread each, patience with the other side, halves of what it
refuses, and how it knows us."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from watchkeeper.errors import OutboundError, WatchkeeperError
from watchkeeper.outbound import Outbound, Response

#: Seconds between two looks at what there is to send, and the bounds of waiting after a failure.
LOOK, FIRST_RETRY, LAST_RETRY = 0.5, 0.25, 30.0
#: Statuses that speak of what was sent; all others speak of the server or of our configuration: it is tried again.
OF_WHAT_WAS_SENT = (400, 409, 413, 415, 422)
#: What a receiver of remote write kept of a request that it refuses in part.
SAMPLES_WRITTEN = "x-prometheus-remote-write-samples-written"

Sent = TypeVar("Sent")


class SendError(WatchkeeperError):
    """The other side has it or not. ``refused``: for what was sent; else it is tried again, after so many seconds.
    ``written``: samples that it kept nevertheless, where it says so: nothing is to be sent again."""

    def __init__(
        self, reason: str, text: str, *, refused: bool = False, after: float | None = None, written: int | None = None
    ) -> None:
        self.reason, self.refused, self.after, self.written = reason, refused, after, written
        super().__init__(text)


class Sending:
    """A thread that sends what there is. ``stop`` leaves what is unsent to the next start."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], failed: Callable[[SendError], None]) -> None:
        """``work`` goes on until ``stopping``; ``failed`` is told of each failure while ``error`` is the one before."""
        self._work, self._failed = work, failed
        self.error = ""  #: why the other side takes nothing now; empty while it does
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        async def work() -> None:
            await self._work()

        asyncio.run(work())

    # --- in the thread ---

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Shorter when it is time to stop."""
        await asyncio.to_thread(self._stop.wait, seconds)

    async def until_taken(self, attempt: Callable[[], Awaitable[None]]) -> bool:
        """Try until it does not raise SendError, with growing waits between; False when it is time to stop."""
        wait = FIRST_RETRY
        while not self.stopping:
            try:
                await attempt()
            except SendError as error:
                self._failed(error)
                self.error = f"{error.reason}: {error}"
                await self.pause(error.after or wait)
                wait = min(2 * wait, LAST_RETRY)
            else:
                self.error = ""
                return True
        return False


async def in_halves(
    whole: Sent,
    send: Callable[[Sent], Awaitable[None]],
    halves: Callable[[Sent], tuple[Sent, Sent] | None],
    refused: Callable[[Sent, SendError], None],
) -> None:
    """What the other side refuses goes out in halves, so that the rest arrives; what has no halves is ``refused``.

    Raises SendError for everything else.
    """
    try:
        await send(whole)
    except SendError as error:
        if not error.refused:
            raise
        parts = halves(whole)
        if parts is None:
            refused(whole, error)
            return
        for part in parts:
            await in_halves(part, send, halves, refused)


async def taken(
    outbound: Outbound,
    method: str,
    url: str,
    *,
    headers: dict[str, str],
    content: bytes,
    timeout: float,
    max_bytes: int = 1 << 20,
) -> Response:
    """The answer of a server that takes it. Raises SendError."""
    try:
        answer = await outbound.request(
            method, url, headers=headers, content=content, timeout=timeout, max_bytes=max_bytes
        )
    except OutboundError as error:
        raise SendError(error.reason, str(error)) from None
    if 200 <= answer.status < 300:
        return answer
    said = answer.body[:300].decode("utf-8", "replace").strip() or f"HTTP {answer.status}"
    refused = answer.status in OF_WHAT_WAS_SENT
    told = answer.headers.get(SAMPLES_WRITTEN, "")
    written = int(told) if answer.status == 400 and told.isdigit() else None
    raise SendError(f"http_{answer.status}", said, refused=refused, after=_retry_after(answer), written=written)


def _retry_after(answer: Response) -> float | None:
    """Seconds that the server asks us to wait."""
    told = answer.headers.get("retry-after", "")
    return min(float(told), LAST_RETRY) if told.isdigit() else None
