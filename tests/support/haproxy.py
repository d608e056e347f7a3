"""HAProxy in front of real HTTP servers of the test, with its Runtime API on a UNIX socket."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.servers import Running, haproxy

from remediation.actions.haproxy import Haproxy
from watchkeeper.model import Target

#: As far as the servers of ``shop``; without ``timeout check`` a check may take no longer than ``inter``, and all
#: servers of a busy machine are down.
HEAD = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 2s
    timeout server 2s
    timeout check 2s
frontend in
    bind 127.0.0.1:{port}
    default_backend shop
backend shop
"""
CONFIG = (
    HEAD
    + """    balance roundrobin
    option httpchk GET /
    default-server inter 100ms fall 2 rise 2
"""
)


class Server(ThreadingHTTPServer):
    """Its line is as long as that of a real server: five would be full of HAProxy's checks on a busy machine."""

    request_queue_size = 128


class Backend:
    """A tiny HTTP server that answers with its name, or with 500 while ``broken``."""

    def __init__(self, name: str) -> None:
        self.name, self.broken = name, False
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = backend.name.encode()
                self.send_response(500 if backend.broken else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)


@dataclass
class Proxy:
    """HAProxy with its backends; ``target`` is what the configuration of remediation says about it."""

    running: Running
    backends: dict[str, Backend]
    socket: str

    @property
    def target(self) -> dict[str, Any]:
        return {"name": "web", "kind": "haproxy", "socket": self.socket, "backend": "shop"}

    def get(self) -> str:
        """Who answered, or the status of an error."""
        try:
            with urllib.request.urlopen(self.running.url, timeout=3) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)

    def asked(self, times: int) -> Counter[str]:
        return Counter(self.get() for _ in range(times))


@contextmanager
def proxy(tmp: Path, *names: str) -> Iterator[Proxy]:
    """HAProxy with one server for each name, all of them up."""
    backends = {name: Backend(name) for name in names or ("web1", "web2")}
    lines = "".join(f"    server {name} 127.0.0.1:{each.port} check weight 100\n" for name, each in backends.items())
    try:
        with haproxy(CONFIG + lines, tmp) as running:
            made = Proxy(running, backends, str(tmp / "haproxy" / "api.sock"))
            wait_until(lambda: set(backends) <= set(made.asked(2 * len(backends))))
            target = Target(kind="haproxy", name="web")  # and until HAProxy has looked at each of them
            wait_until(lambda: Haproxy().read(target, made.target).capacity["healthy"] == len(backends))
            yield made
    finally:
        for backend in backends.values():
            backend.close()


def wait_until(true: Any, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)
