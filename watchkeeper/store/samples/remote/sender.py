"""Requests from the spool to the server, in order, until it has them for good.

What cannot be known is tried again; what the server refuses for what it is goes out in pieces, so that only the
refused samples are counted as refused. A server that took a request may still forget it when it falls (VictoriaMetrics
keeps the newest seconds in memory): requests stay in the spool until their mark has been read back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchkeeper.outbound import Response
from watchkeeper.store.samples.remote.outbox import MARK, Outbox
from watchkeeper.store.samples.remote.pieces import Pieces
from watchkeeper.store.samples.remote.server import Server, ServerError
from watchkeeper.store.samples.remote.spool import Request, Spool
from watchkeeper.wire.remote_write import CONTENT_TYPE, VERSION

logger = structlog.get_logger(__name__)

HEADERS = {
    "content-type": CONTENT_TYPE,
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": VERSION,
}
#: Statuses that speak of this request's samples; everything else speaks of the server, or of our configuration.
OF_THE_SAMPLES = (400, 409, 413, 415, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds; the defaults suit VictoriaMetrics, which shows and keeps samples latest of all."""

    flush: float = 0.5  #: between two looks at what is pending
    first_retry: float = 0.25
    last_retry: float = 10.0
    check: float = 5.0  #: between two readings of the marks
    shown: float = 15.0  #: a server shows what it took so long ago
    margin: float = 10.0  #: with a forgotten request go those taken so long before it
    keep: float = 30.0  #: shown, and taken so long ago: it has it for good


class Sender:
    """One thread. ``stop`` leaves what is unsent to the next start."""

    def __init__(self, server: Server, spool: Spool, outbox: Outbox, now_ms: Callable[[], int], pace: Pace) -> None:
        self._server, self._spool, self._outbox, self._now, self._pace = server, spool, outbox, now_ms, pace
        self.refused = Counter[str]()  #: samples by the first words of the server's reason
        self.already = 0  #: samples that were there when they came
        self.resent = 0  #: samples sent again because the server forgot them
        self.unconfirmed = 0  #: samples the server took twice and never showed
        self.failing_since: float | None = None  #: monotonic
        self._suspects = set[int]()
        self._wait, self._retry_at, self._check_at = pace.first_retry, 0.0, 0.0
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchkeeper-samples-send", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Do not wait for the next look: somebody wants it sent now."""
        self._retry_at = 0.0
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """End within that time, unless the server keeps it waiting."""
        self._stop.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._outbox.flush(self._now())
            self._send_all()
            if time.monotonic() >= self._check_at and self._spool.taken and self.failing_since is None:
                self._confirm()
            self._wake.wait(self._pace.flush)
            self._wake.clear()
        self._outbox.flush(self._now())

    # --- sending ---

    def _send_all(self) -> None:
        while not self._stop.is_set() and time.monotonic() >= self._retry_at:
            found = self._spool.first()
            if found is None:
                return
            try:
                self._send(*found)
            except ServerError as error:
                self._failed(found[0], error)
                return
            self._wait, self.failing_since = self._pace.first_retry, None

    def _failed(self, request: Request, error: ServerError) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            logger.warning("sample server failing", reason=error.reason, error=str(error))
        self._spool.tried(request)
        self._retry_at = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, self._pace.last_retry)

    def _send(self, request: Request, body: bytes) -> None:
        """Raises ServerError when nobody knows what became of it, or the server is not in order."""
        sent, refusal = request.samples, self._post(body)
        if refusal:
            pieces = Pieces.of(body).without(self._outbox.mark)
            if request.tried and pieces.shown(self._server):
                self.already += request.samples
                sent = 0
            else:
                sent -= self._piecewise(pieces, refusal)
                self._post(self._outbox.marked(request.number, self._now()))
        self._spool.take(request, sent=sent, at=time.monotonic())

    def _post(self, body: bytes) -> str:
        """Empty when the server took it; its reason when the samples are what it does not want. Raises ServerError."""
        answer = self._server.write(body, HEADERS)
        if answer.status in (200, 202, 204) and not _is_page(answer):
            return ""
        said = answer.body[:200].decode("utf-8", "replace").strip()
        if answer.status in OF_THE_SAMPLES:
            return said or f"HTTP {answer.status}"
        raise self._server.failed(f"remote write: HTTP {answer.status}: {said}", f"http_{answer.status}")

    def _piecewise(self, pieces: Pieces, refusal: str) -> int:
        """Send everything the server takes of it; returns how many samples it refused. Raises ServerError."""
        if len(pieces) == 1:
            self.refused[_kind_of(refusal)] += 1
            return 1
        refused = 0
        for half in pieces.halves():
            again = self._post(half.packed())
            if again:
                refused += self._piecewise(half, again)
        return refused

    # --- reading back ---

    def _confirm(self) -> None:
        """Compare what was taken with the marks the server shows."""
        now = time.monotonic()
        self._check_at = now + self._pace.check
        try:
            shown = self._marks()
        except ServerError:
            return  # counted; the next look asks again
        missing = [one for one in self._spool.taken if one.sent_at < now - self._pace.shown and one.number not in shown]
        hopeless = [one for one in missing if one.number in self._suspects]
        if hopeless:
            self.unconfirmed += sum(one.samples for one in hopeless)
            logger.error("the sample server does not show what it takes", marks=len(hopeless))
        elif missing:
            edge = missing[0].sent_at - self._pace.margin
            again = {one.number for one in self._spool.taken if one.sent_at >= edge}
            self._suspects = {one.number for one in missing}
            self.resent += self._spool.again(lambda one: one.number in again)
            logger.warning("the sample server forgot what it took", requests=len(again))
            return
        else:
            self._suspects.clear()
        self._spool.settle(now - self._pace.keep)

    def _marks(self) -> set[int]:
        """Numbers of the requests that the server shows."""
        latest = max(self._now(), self._outbox.mark_ms)
        oldest = min((one.first_ms for one in self._spool.taken), default=latest)  # no mark is older than its samples
        query = f'{MARK}{{spool="{self._outbox.name}"}}[{max(latest - oldest, 0) + 1000}ms]'
        data = self._server.ask("/api/v1/query", [("query", query), ("time", f"{latest / 1000:.3f}"), ("nocache", "1")])
        try:
            return {round(float(value)) for row in data["result"] for _, value in row["values"]}
        except (KeyError, TypeError, ValueError):
            raise ServerError("an answer that is no matrix of samples", reason="not_prometheus") from None


def _is_page(answer: Response) -> bool:
    """A page for people, of a proxy that wants a sign-in for example: nothing was written."""
    return "html" in answer.headers.get("content-type", "") or answer.body.lstrip()[:1] == b"<"


def _kind_of(refusal: str) -> str:
    """A bounded word for a server's reason."""
    known = {"out of order": "out_of_order", "duplicate": "duplicate", "out of bounds": "too_old", "too old": "too_old"}
    lowered = refusal.lower()
    return next((word for text, word in known.items() if text in lowered), "other")
