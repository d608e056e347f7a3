"""The server as threads ask it: Prometheus's query API, every failure one word and one sentence."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from watchkeeper.errors import OutboundError, StoreError
from watchkeeper.outbound import Outbound, Response

#: Largest answer that is read.
MAX_BYTES = 256 << 20
#: Questions longer than this are posted: servers and proxies refuse long addresses.
LONGEST_URL = 4000
#: Error types of Prometheus's API, and VictoriaMetrics's, that a smaller question may mend.
TOO_MUCH = ("execution", "timeout", "422", "503")

Answer = TypeVar("Answer")


class ServerError(StoreError):
    """The server did not answer, or not as it should. ``reason`` is one bounded word.

    unreachable, timeout, tls, too_large, refused (it understood and says no), http_401 ... (any other status),
    not_prometheus (HTML, garbage), closed.
    """

    def __init__(self, message: str, *, reason: str, kind: str = "") -> None:
        self.reason = reason
        self.kind = kind  #: Prometheus's errorType, where the server said one
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the server is and what it wants to see."""

    url: str  #: its query API is below ``/api/v1``
    write_url: str = ""  #: where it takes remote write; empty: ``/api/v1/write`` below ``url``
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0  #: seconds for one request
    tls: ssl.SSLContext | None = None

    @property
    def writes(self) -> str:
        return self.write_url or f"{self.url.rstrip('/')}/api/v1/write"


class Server:
    """Safe to share between threads; close it when done."""

    def __init__(self, address: Address, *, max_bytes: int = MAX_BYTES) -> None:
        self.address, self._max_bytes = address, max_bytes
        self._base = address.url.rstrip("/")
        self._outbound = Outbound(allow_private=True, verify=address.tls, max_connections=16)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="watchkeeper-samples-server", daemon=True)
        self._thread.start()
        self._under_way: set[Future[Any]] = set()
        self._closed = False
        self.failures = Counter[str]()  #: by reason
        self.last_error = ""  #: empty while the last answer was good

    def ask(self, path: str, parameters: list[tuple[str, str]]) -> Any:
        """``data`` of an answer of the query API. Raises ServerError."""
        query = urlencode(parameters)
        url = f"{self._base}{path}"
        if len(url) + len(query) < LONGEST_URL:
            answer = self._exchange("GET", f"{url}?{query}" if query else url)
        else:
            form = {"content-type": "application/x-www-form-urlencoded"}
            answer = self._exchange("POST", url, content=query.encode(), headers=form)
        return self._data(answer)

    def write(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """What the server says to one remote-write request, whatever the status. Raises ServerError."""
        return self._exchange("POST", self.address.writes, content=body, headers=headers)

    def _exchange(
        self, method: str, url: str, *, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        sent = {**self.address.headers, **(headers or {})}
        try:
            return self._run(
                self._outbound.request(
                    method, url, headers=sent, content=content, timeout=self.address.timeout, max_bytes=self._max_bytes
                )
            )
        except OutboundError as error:
            reason = error.reason if error.reason in ("timeout", "tls", "too_large") else "unreachable"
            raise self.failed(str(error), reason) from None

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if self._closed:
            work.close()
            raise ServerError("the sample store is closed", reason="closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._under_way.add(future)
        try:
            return future.result()
        except CancelledError:
            raise ServerError("the sample store is closed", reason="closed") from None
        finally:
            self._under_way.discard(future)

    def _data(self, answer: Response) -> Any:
        try:
            body = json.loads(answer.body)
            status, said = body["status"], body
        except (ValueError, KeyError, TypeError):
            reason = f"http_{answer.status}" if answer.status >= 300 else "not_prometheus"
            raise self.failed(f"HTTP {answer.status} without a Prometheus answer", reason) from None
        if status == "success" and "data" in said:
            self.last_error = ""
            return said["data"]
        text, kind = str(said.get("error", "no reason given")), str(said.get("errorType", ""))
        if answer.status >= 500 and answer.status != 503:
            raise self.failed(f"HTTP {answer.status}: {text}", f"http_{answer.status}")
        self.last_error = ""  # it is there and answers: the question was at fault
        raise ServerError(text, reason="refused", kind=kind)

    def failed(self, text: str, reason: str) -> ServerError:
        self.failures[reason] += 1
        self.last_error = f"{reason}: {text}"
        return ServerError(f"sample server {self._base}: {text}", reason=reason)

    def close(self) -> None:
        """Whoever waits for an answer hears that the store is closed."""
        if self._closed:
            return
        self._closed = True
        for future in list(self._under_way):
            future.cancel()
        asyncio.run_coroutine_threadsafe(self._outbound.aclose(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()
