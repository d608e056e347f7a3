"""What the services of the demo share: HTTP on loopback, request metrics, and logs that stay small."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from watchkeeper.app.children import die_with_parent

#: Seconds; the upper ones let a 95th percentile of 15 s be seen.
BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0)
#: Bytes of one log file, and of what is taken in with one request.
LOG_BYTES, BODY_BYTES = 4 << 20, 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    query: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body or b"{}")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b"ok"
    kind: str = "text/plain; charset=utf-8"

    @classmethod
    def of(cls, found: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(found).encode(), "application/json")


Handler = Callable[[Request], Answer]


class Service:
    """Routes and metrics of one service; ``/health`` and ``/metrics`` are there already and are not counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.routes: dict[str, Handler] = {}
        self.traffic = [0, 0]  #: bytes taken in, bytes sent
        self.seconds, self.answered, self.errors = 0.0, 0, 0  #: sums over all requests
        self._requests = Counter("http_requests", "Requests by outcome.", ("path", "status"), registry=self.registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer.", ("path",), buckets=BUCKETS, registry=self.registry
        )

    def route(self, path: str, handler: Handler) -> None:
        """Its series begin at 0, so that the first error is an increase."""
        self.routes[path] = handler
        self._seconds.labels(path)
        for status in ("200", "500"):
            self._requests.labels(path, status)

    def answer(self, request: Request) -> Answer:
        if request.path == "/health":
            return Answer(body=self.name.encode())
        if request.path == "/metrics":
            return Answer(body=generate_latest(self.registry), kind=CONTENT_TYPE_LATEST)
        handler = self.routes.get(request.path)
        if handler is None:
            return Answer(404, b"no such path")
        began = time.perf_counter()
        found = handler(request)
        took = time.perf_counter() - began
        self._requests.labels(request.path, str(found.status)).inc()
        self._seconds.labels(request.path).observe(took)
        self.seconds, self.answered = self.seconds + took, self.answered + 1
        self.errors += found.status >= 500
        return found

    def server(self, port: int) -> ThreadingHTTPServer:
        """Bound to loopback, not yet serving."""
        service = self

        class Handle(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                size = min(int(self.headers.get("content-length") or 0), BODY_BYTES)
                found = service.answer(Request(path, query, self.rfile.read(size)))
                service.traffic[0] += size + len(self.requestline)
                service.traffic[1] += len(found.body)
                self.send_response(found.status)
                self.send_header("content-type", found.kind)
                self.send_header("content-length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            do_POST = do_GET  # noqa: N815 - the name http.server asks for

            def log_message(self, *_: object) -> None:
                return None

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Whoever asked has hung up; that is its own business."""

        return Quiet(("127.0.0.1", port), Handle)

    def run(self, port: int) -> None:
        """Serve until the process ends; it ends with its parent."""
        die_with_parent()
        with self.server(port) as server:
            server.serve_forever()


class JsonLines(logging.Formatter):
    """One JSON object a line, as services that run in containers write."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(found, ensure_ascii=False)


def log_to(file: Path, name: str, *, plain: bool = False) -> logging.Logger:
    """A log of this service alone: JSON lines, or plain ones as older programs write them."""
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    plainly = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(plainly if plain else JsonLines())
    found = logging.getLogger(f"demo.{name}")
    for old in found.handlers:
        old.close()
    found.handlers, found.propagate = [handler], False
    found.setLevel(logging.INFO)
    return found


def fields(**found: object) -> Mapping[str, object]:
    """What a JSON line says beside its message."""
    return {"fields": found}
