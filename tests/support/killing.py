"""A machine that breaks and is mended by a webhook, under a Watchkeeper whose processes are killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.books import EVER
from support.up import Up

from watchkeeper.app.paths import DataDir
from watchkeeper.store.state import State, sqlite_url

CHILDREN = ("engine", "dashboard", "actuator")
#: Scrapes are durable within a second; a kill may cost what is younger.
DURABLE_SECONDS = 1.5
#: Seconds the machine takes for one order: long enough to be killed in.
ORDER_SECONDS = 0.3
RULES = """
groups: []
remediations:
  - name: mend
    when: machine_broken == 1
    observers: {users: users_hurt > 0}
    confirm: 2 of 3
    interval: 1s
    action: webhook
    target: machine
    parameters: {state: {mode: well}}
    mode: auto
    owner: ada
    service: machine
    verify: machine_broken == 1
    hold: 1s
    cooldown: 1s
"""


@dataclass
class Machine:
    """Serves its metrics and its state, and takes orders; every order is counted by its idempotency key."""

    port: int = 0
    scrapes: int = 0
    state: dict[str, Any] = field(default_factory=lambda: {"mode": "well", "times": 0})
    trial: dict[str, Any] = field(default_factory=lambda: {"mode": "idle"})
    orders: list[str] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        return bool(self.state["mode"] == "broken")

    def damage(self) -> None:
        self.state = {"mode": "broken", "times": self.state["times"] + 1}

    def metrics(self) -> bytes:
        self.scrapes += 1
        bad = int(self.broken)
        return f"scrapes_total {self.scrapes}\nmachine_broken {bad}\nusers_hurt {bad}\n".encode()

    def order(self, path: str, body: Any) -> None:
        if path == "/trial":
            self.trial |= body["desired"]
            return
        self.orders.append(body["idempotency_key"])
        time.sleep(ORDER_SECONDS)
        self.state = {**self.state, **body["desired"]}

    def told(self, path: str) -> bytes:
        if path == "/metrics":
            return self.metrics()
        state = self.trial if path == "/trial" else self.state
        return json.dumps({"state": state, "capacity": {"total": 10, "healthy": 10}}).encode()


@contextmanager
def machine() -> Iterator[Machine]:
    made = Machine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(made.told(self.path))

        def do_POST(self) -> None:
            made.order(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # whoever asked was killed

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def sections(port: int) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    source = {
        "kind": "openmetrics",
        "name": "machine",
        "url": f"{base}/metrics",
        "interval": "1s",
        "service": "machine",
    }
    hook = {"kind": "webhook", "risk": "A1", "allow_private": True}
    trial = {"name": "trial", "url": f"{base}/trial", "state_url": f"{base}/trial", **hook}
    return {
        "collect": {"host": False, "own_logs": False, "sources": [source]},
        "rules": {"packs": ["self"], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
        "remediation": {
            "targets": [
                {
                    "name": "machine",
                    "url": f"{base}/orders",
                    "state_url": f"{base}/state",
                    "test_target": "trial",
                    **hook,
                },
                {**trial, "test_parameters": {"state": {"mode": "tried"}}},
            ],
            **dict.fromkeys(("cooldown", "retry_after", "observe_after_gap", "foreign_hold", "read_every"), "1s"),
            "default_severity": "P0",
            "flap_changes": 100_000,
            "budgets": {"failovers": 100_000, "actions": 100_000, "per_day": 100_000},
            "breakers": {"rule_failures": 100_000, "global_failures": 100_000, "rollback_failures": 100_000},
        },
    }


def child(up: Up, name: str) -> int:
    """The process id of one of the three."""
    for pid in up.pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if b"watchkeeper" in words and name.encode() in words:
            return pid
    raise AssertionError(f"{name} does not run")


def kept(up: Up, at: float) -> list[Any]:
    """The samples that were stored until ``at``, with their times."""
    query = urllib.parse.urlencode({"query": "scrapes_total[10m]", "time": at})
    rows = up.ask("GET", f"/api/v1/query?{query}")["data"]["result"]
    return [value for row in rows for value in row["values"]]


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def back(up: Up) -> None:
    """All three answer again."""
    up.wait("engine again", f"{up.engine}/-/ready", 90)
    up.wait("dashboard again", f"{up.dashboard}/-/healthy", 90)
    up.until("actuator again", lambda: listens(up.data / "actuator" / "actuator.sock"), 90)


def one_round(up: Up, made: Machine, chance: random.Random, *, patient: bool) -> None:
    """Break the machine, kill all three at random moments of the mending, then the parent; all must come back.

    ``patient``: the parent is killed when it has started them again, and not while it still looks for them.
    """
    up.until("samples", lambda: len(kept(up, time.time())) > 2)
    made.damage()
    time.sleep(chance.uniform(0, 5))
    at = time.time() - DURABLE_SECONDS
    before = kept(up, at)
    for name in chance.sample(CHILDREN, 3):
        os.kill(child(up, name), signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.1))
    if patient:
        back(up)
        assert kept(up, at) == before
    up.kill_and_start_again()
    back(up)
    assert kept(up, at) == before
    mended(up, made)


def mended(up: Up, made: Machine) -> None:
    """Whatever was in the middle ends, and the machine is well."""
    over = {"cleared", "suppressed", "rejected", "expired", "aborted", "succeeded", "rolled_back", "escalated"}

    def well() -> bool:
        states = {row["state"] for row in up.ask("GET", "/api/wk/actions?limit=200")["actions"]}
        return not made.broken and states <= over

    up.until("the machine is mended", well, 120)


def assert_once(made: Machine) -> None:
    """No order came twice."""
    orders = Counter(made.orders)
    assert max(orders.values(), default=0) <= 1, orders


def assert_effects(data: Path, made: Machine) -> None:
    """Of an engine that has ended: every order is an intent that was committed, none came twice, none was made up."""
    with closing(State(sqlite_url(DataDir(data).state))) as state, state.read() as unit:
        intents = {intent.idempotency_key: intent for intent in unit.actions.intents_since(EVER)}
    assert_once(made)
    orders = set(made.orders)
    assert orders
    assert orders <= intents.keys()
    own = {key: dict(row.outcome or {}) for key, row in intents.items() if row.target == "machine"}
    assert {key for key, outcome in own.items() if outcome.get("state") == "done"} <= orders
