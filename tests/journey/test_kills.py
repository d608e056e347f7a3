"""Killed at random moments: children come back, nothing that was kept is lost, and nobody outlives the parent."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.up import Up, running

#: Recorded, so that a run can be repeated.
SEED = 20261122
#: Scrapes are durable within a second; a kill may cost what is younger.
DURABLE_SECONDS = 1.5


@contextmanager
def counter() -> Iterator[int]:
    """A target that counts its scrapes; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        scrapes = 0

        def do_GET(self) -> None:
            Handler.scrapes += 1
            body = f"scrapes_total {Handler.scrapes}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def sections(port: int) -> dict[str, Any]:
    source = {"kind": "openmetrics", "name": "counter", "url": f"http://127.0.0.1:{port}/", "interval": "1s"}
    return {
        "collect": {"host": False, "own_logs": False, "sources": [source]},
        "rules": {"packs": ["self"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
    }


def child(up: Up, name: str) -> int:
    """The process id of one of the three."""
    for pid in up.pids():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"watchkeeper" in words and name.encode() in words:
            return pid
    raise AssertionError(f"{name} does not run")


def kept(up: Up, at: float) -> list[Any]:
    """The samples that were stored until ``at``, with their times."""
    query = urllib.parse.urlencode({"query": "scrapes_total[10m]", "time": at})
    rows = up.ask("GET", f"/api/v1/query?{query}")["data"]["result"]
    return [value for row in rows for value in row["values"]]


def kill(up: Up, name: str) -> None:
    pid = child(up, name)
    os.kill(pid, signal.SIGKILL)
    up.until(f"{name} is gone", lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_a_killed_engine_comes_back_with_everything_it_kept(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with counter() as port, running(tmp_path, **sections(port)) as up:
        up.sign_in()
        for _ in range(3):
            up.until("samples", lambda: len(kept(up, time.time())) > 2)
            time.sleep(chance.uniform(0, 1.5))
            at = time.time() - DURABLE_SECONDS
            before = kept(up, at)
            kill(up, "engine")
            up.wait("engine again", f"{up.engine}/-/ready")
            assert kept(up, at) == before
        assert up.ask("GET", "/api/wk/audit")["intact"]
        ledger = up.ask("GET", "/api/wk/collectors")["ledger"]
        settled = ledger["stored"] + ledger["deduplicated"] + sum(ledger["rejected"].values()) + ledger["in_flight"]
        assert ledger["received"] == settled


def test_killed_dashboard_and_actuator_come_back(tmp_path: Path) -> None:
    chance = random.Random(SEED + 1)
    with counter() as port, running(tmp_path, **sections(port)) as up:
        up.sign_in()
        for name in ("dashboard", "actuator", "actuator", "dashboard", "actuator", "dashboard"):
            time.sleep(chance.uniform(0, 0.5))
            kill(up, name)
            if name == "dashboard":
                up.wait("dashboard again", f"{up.dashboard}/-/healthy")
            else:
                up.until("actuator again", lambda: listens(up.data / "actuator" / "actuator.sock"))
        assert up.ask("GET", "/api/wk/status")["version"]


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_nobody_outlives_a_killed_parent(tmp_path: Path) -> None:
    with counter() as port, running(tmp_path, **sections(port)) as up:
        pids = up.pids()
        assert len(pids) >= 4
        up.process.kill()
        up.process.wait()
        up.until("all are gone", lambda: not any(alive(pid) for pid in pids), 15)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.long
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED + 2)
    deadline = time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600"))
    done = 0
    with counter() as port, running(tmp_path, **sections(port)) as up:
        up.sign_in()
        while done < 50 and time.monotonic() < deadline:
            up.until("samples", lambda: len(kept(up, time.time())) > 2)
            time.sleep(chance.uniform(0, 3))
            at = time.time() - DURABLE_SECONDS
            before = kept(up, at)
            kill(up, "engine")
            up.wait("engine again", f"{up.engine}/-/ready", 90)
            assert kept(up, at) == before
            done += 1
    print(json.dumps({"seed": SEED + 2, "kills": done}))
    assert done
