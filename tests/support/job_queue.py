"""A queue of jobs in a process of its own: put over HTTP, taken by workers, its depth exported.

    python job_queue.py PORT

POST /put?n=100 adds jobs, /rate?per_second=8 lets them come by themselves, /take hands one out (204: none),
/silent?seconds=10 makes /metrics fail for so long. GET /metrics is what is watched.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PAGE = """# TYPE job_queue_pending_count gauge
job_queue_pending_count {pending}
# TYPE job_queue_oldest_age_seconds gauge
job_queue_oldest_age_seconds {age:.3f}
# TYPE job_queue_put_total counter
job_queue_put_total {put}
# TYPE job_queue_taken_total counter
job_queue_taken_total {taken}
# TYPE job_queue_workers gauge
job_queue_workers {workers}
"""
#: A worker that has not asked for so long is gone.
GONE_SECONDS = 1.5


class Queue:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[float] = deque()
        self._seen: dict[str, float] = {}
        self.put_total = self.taken_total = 0
        self.per_second = 0.0
        self.silent_until = 0.0

    def put(self, count: int) -> None:
        with self._lock:
            self._jobs.extend([time.monotonic()] * count)
            self.put_total += count

    def take(self, worker: str) -> bool:
        with self._lock:
            self._seen[worker] = time.monotonic()
            if not self._jobs:
                return False
            self._jobs.popleft()
            self.taken_total += 1
            return True

    def page(self) -> str:
        now = time.monotonic()
        with self._lock:
            age = now - self._jobs[0] if self._jobs else 0.0
            workers = sum(now - at < GONE_SECONDS for at in self._seen.values())
            return PAGE.format(
                pending=len(self._jobs), age=age, put=self.put_total, taken=self.taken_total, workers=workers
            )

    def feed(self) -> None:
        """Jobs that come by themselves, evenly."""
        owed, last = 0.0, time.monotonic()
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            owed, last = owed + (now - last) * self.per_second, now
            if owed >= 1:
                self.put(int(owed))
                owed -= int(owed)


QUEUE = Queue()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if time.monotonic() < QUEUE.silent_until:
            self.say(500, "")
        else:
            self.say(200, QUEUE.page())

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        given = dict(parse_qsl(url.query))
        if url.path == "/take":
            self.say(200 if QUEUE.take(given["worker"]) else 204, "")
            return
        if url.path == "/put":
            QUEUE.put(int(given["n"]))
        elif url.path == "/rate":
            QUEUE.per_second = float(given["per_second"])
        else:
            QUEUE.silent_until = time.monotonic() + float(given["seconds"])
        self.say(200, "")

    def say(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that is stopped in mid-request is no mistake of the queue."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    threading.Thread(target=QUEUE.feed, daemon=True).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
