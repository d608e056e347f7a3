"""A Prometheus-compatible server that does what the test says: in front of a real one, or alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Said:
    status: int
    body: bytes = b""
    kind: str = "text/plain"


@dataclass
class Moody:
    """Passes requests on to ``behind`` unless ``mood`` says something else. ``seen`` are (method, path, headers)."""

    behind: str
    port: int
    mood: Said | str | None = None  #: an answer, or "hang", or "cut"
    only: str = ""  #: the mood is for paths that contain this
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)  #: ends every "hang"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def moody(behind: str = "") -> Iterator[Moody]:
    """``behind``: the real server's root."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            found.seen.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
            mood = found.mood if found.only in self.path else None
            if mood == "hang":
                found.released.wait()
                mood = "cut"
            if mood == "cut":
                self.close_connection = True
                return
            self._say(mood if isinstance(mood, Said) else self._pass_on(body))

        def _pass_on(self, body: bytes) -> Said:
            place = urlsplit(found.behind)
            inner = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
            headers = {
                key: value for key, value in self.headers.items() if key.lower() not in ("host", "accept-encoding")
            }
            try:
                inner.request(self.command, self.path, body=body, headers=headers)
                answer = inner.getresponse()
                return Said(answer.status, answer.read(), answer.headers.get("content-type", "text/plain"))
            finally:
                inner.close()

        def _say(self, said: Said) -> None:
            self.send_response(said.status)
            self.send_header("content-type", said.kind)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Moody(behind, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
