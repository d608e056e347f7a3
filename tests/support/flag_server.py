"""A flag service over real HTTP: one document, an ETag for each version, PUT only with the right If-Match."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.driven import Driven, silence


class Flags:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {"mode": "full", "banner": "hello"}
        self.version, self.writes, self.url = 1, 0, ""
        self.before_put: Callable[[], None] = lambda: None

    @property
    def tag(self) -> str:
        return f'"{self.version}"'

    def write(self, document: dict[str, Any]) -> None:
        self.document, self.version = document, self.version + 1

    @property
    def target(self) -> dict[str, Any]:
        switches = {"mode": ["full", "cached", "template"]}
        return {"name": "planner", "kind": "feature_flag", "url": self.url, "switches": switches}


@contextmanager
def flags() -> Iterator[Flags]:
    made = Flags()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200)

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.before_put()
            if self.headers.get("If-Match") != made.tag:
                return self._say(412)
            made.writes += 1
            made.write(body)
            return self._say(200)

        def _say(self, status: int) -> None:
            text = json.dumps(made.document).encode()
            self.send_response(status)
            self.send_header("ETag", made.tag)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/flags"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def driven(folder: Path) -> Iterator[Driven]:
    del folder
    with flags() as made, silence() as port:
        yield Driven(
            settings=made.target,
            parameters={"state": {"mode": "cached"}},
            effects=lambda: made.writes,
            hang={"url": f"http://127.0.0.1:{port}/", "timeout_seconds": 0.1},
        )
