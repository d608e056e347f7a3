"""The loop closes: a primary is killed behind a real HAProxy, and real processes switch, verify and tell."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.robots import SECRET, TOKEN, Robots, robots
from support.servers import free_port, haproxy
from support.up import Up, running

CONFIG = """
global
    stats socket {{socket}} mode 600 level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 2s
    timeout server 2s
    retries 0
frontend in
    bind 127.0.0.1:{{port}}
    default_backend shop
frontend figures
    bind 127.0.0.1:{figures}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
backend shop
    server web1 127.0.0.1:{web1}
    server web2 127.0.0.1:{web2} disabled
backend rehearsal
    server web1 127.0.0.1:{web1}
    server web2 127.0.0.1:{web2} disabled
"""
SERVER = (
    "import sys, http.server\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    protocol_version = 'HTTP/1.1'\n"
    "    def do_GET(self):\n"
    "        body = sys.argv[2].encode()\n"
    "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
    "        self.wfile.write(body)\n"
    "    def log_message(self, *a): pass\n"
    "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
)
RULES = """
groups:
  - name: checkout
    interval: 1s
    rules:
      - alert: CheckoutPrimaryDown
        expr: probe_success{copy="primary"} == 0
        labels: {severity: P1, service: checkout}
        annotations: {summary: the primary of checkout is down}
remediations:
  - name: checkout_failover
    when: probe_success{copy="primary"} == 0
    observers:
      passive: rate(haproxy_server_connection_errors_total{proxy="shop",server="web1"}[10s]) > 0
    confirm: 3 of 4
    interval: 1s
    action: haproxy
    target: web
    link: checkout
    mode: MODE
    owner: ada
    service: checkout
    verify: probe_success{copy="front"} == 0
    labels: {service: checkout}
"""


class Client:
    """Somebody who uses the service all the time and counts who answered."""

    def __init__(self, url: str) -> None:
        self.url, self.seen, self.newest = url, Counter[str](), ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.04):
            try:
                with urllib.request.urlopen(self.url, timeout=2) as answer:
                    self.newest = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:  # refused, or cut off in the middle
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                self.newest = "failed"
            self.seen[self.newest] += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)


class Double:
    """The robots on a loop of their own, beside real processes."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.ready, self.ending = threading.Event(), asyncio.Event()
        self.robots = Robots()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(5)

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        async with robots() as self.robots:
            self.ready.set()
            await self.ending.wait()
        await asyncio.sleep(0.1)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.ending.set)
        self.thread.join(5)

    def texts(self, kind: str) -> str:
        return "\n".join(str(request.json) for request in self.robots.accepted if request.kind == kind)


def probe(name: str, port: int, copy: str) -> dict[str, Any]:
    return {
        "kind": "http_probe",
        "name": name,
        "interval": "1s",
        "timeout": 0.8,
        "labels": {"copy": copy},
        "steps": [{"name": "open", "url": f"http://127.0.0.1:{port}/"}],
    }


def sections(double: Double, socket: str, ports: dict[str, int]) -> dict[str, Any]:
    target = {"kind": "haproxy", "socket": socket}
    base = double.robots.base
    channel = {"base_url": base, "allow_hosts": ["127.0.0.1"]}
    return {
        "collect": {
            "host": False,
            "own_logs": False,
            "sources": [
                probe("web1", ports["web1"], "primary"),
                probe("web2", ports["web2"], "backup"),
                probe("front", ports["front"], "front"),
                {
                    "kind": "openmetrics",
                    "name": "proxy",
                    "interval": "1s",
                    "url": f"http://127.0.0.1:{ports['figures']}/metrics",
                },
            ],
        },
        "rules": {"packs": [], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
        "notify": {
            "channels": [
                {
                    "name": "ding",
                    "kind": "dingtalk",
                    "url": f"{base}/robot/send?access_token={TOKEN}",
                    "secret": SECRET,
                    "language": "zh-CN",
                    **channel,
                },
                {
                    "name": "wecom",
                    "kind": "wecom",
                    "url": f"{base}/cgi-bin/webhook/send?key={TOKEN}",
                    "language": "en",
                    **channel,
                },
            ]
        },
        "remediation": {
            "observe_after_gap": "2s",
            "targets": [
                {"name": "web", "backend": "shop", "test_target": "trial", **target},
                {
                    "name": "trial",
                    "backend": "rehearsal",
                    "test_parameters": {"ready": ["web2"], "drain": ["web1"]},
                    **target,
                },
            ],
            "links": [
                {
                    "name": "checkout",
                    "service": "checkout",
                    "target": "web",
                    "primary": "web1",
                    "backup": "web2",
                    "primary_probe": 'probe_success{copy="primary"}',
                    "backup_probe": 'probe_success{copy="backup"}',
                    "hold": "4s",
                    "dwell": "60s",
                    "cooldown": "10s",
                }
            ],
        },
    }


@contextmanager
def web(port: int, name: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), name], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def estate(folder: Path, mode: str) -> Iterator[tuple[Up, Client, Double, subprocess.Popen[bytes], Any]]:
    """Two copies behind HAProxy, a client, the robots, and Watchkeeper as a user starts it."""
    ports = {"web1": free_port(), "web2": free_port(), "figures": free_port()}
    (folder / "rules").mkdir()
    (folder / "rules" / "checkout.yaml").write_text(RULES.replace("MODE", mode))
    double = Double()
    with (
        web(ports["web1"], "primary") as primary,
        web(ports["web2"], "backup") as backup,
        haproxy(CONFIG.format(**ports), folder) as proxy,
    ):
        ports["front"] = proxy.port
        client = Client(proxy.url)
        try:
            with running(folder, **sections(double, str(folder / "haproxy" / "api.sock"), ports)) as up:
                up.sign_in()
                up.ask("POST", "/api/wk/rules/checkout_failover/rehearse", {})
                up.until("primary serves", lambda: client.newest == "primary")
                up.until("probes", lambda: settled(up))
                yield up, client, double, primary, backup
        finally:
            client.stop()
            double.stop()


def settled(up: Up) -> bool:
    """Every probe has been good for a while, so that evidence exists before anything breaks."""
    found = up.ask("GET", "/api/v1/query?query=count(count_over_time(probe_success[10s])%20%3E=%205)")
    rows = found["data"]["result"]
    return bool(rows) and rows[0]["value"][1] == "3"


def actions(up: Up) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = up.ask("GET", "/api/wk/actions")["actions"]
    return found


@pytest.mark.servers
def test_a_killed_primary_is_left_for_the_backup_and_everybody_is_told(tmp_path: Path) -> None:
    with estate(tmp_path, "auto") as (up, client, double, primary, _backup):
        primary.kill()
        killed = time.monotonic()
        up.until("switched", lambda: client.newest == "backup", 40)
        print(f"kill to traffic on the backup: {time.monotonic() - killed:.1f} s")
        done = up.until("verified", lambda: [row for row in actions(up) if row["state"] == "succeeded"], 60)
        assert len(actions(up)) == 1
        assert done[0]["plan"]["desired"] == {"web1": {"state": "drain"}, "web2": {"state": "ready"}}
        (incident,) = up.ask("GET", "/api/wk/incidents")["incidents"]
        assert incident["severity"] == "P1"
        assert done[0]["incident_id"] == incident["id"]
        chain = up.ask("GET", f"/api/wk/explain/{done[0]['id']}")["chain"]
        states = [row["new_state"] for row in chain if row["kind"] == "action"]
        wanted = ["proposed", "armed", "intent_committed", "executing", "verifying", "succeeded"]
        assert [state for state in states if state in wanted] == wanted
        up.until("messages", lambda: "checkout_failover" in double.texts("wecom"), 20)
        assert "the primary of checkout is down" in double.texts("dingtalk")
        assert "the primary of checkout is down" in double.texts("wecom")
        up.until("told in the end", lambda: "Action succeeded" in double.texts("wecom"), 20)
        assert "操作成功" in double.texts("dingtalk")
        assert client.seen["backup"] > 0
        assert up.ask("GET", "/api/wk/audit")["intact"]


@pytest.mark.servers
def test_in_dry_run_the_plan_is_the_same_and_nothing_is_touched(tmp_path: Path) -> None:
    with estate(tmp_path, "dry_run") as (up, client, _double, primary, _backup):
        primary.kill()
        (row,) = up.until("planned", lambda: [row for row in actions(up) if row["state"] == "dry_run"], 40)
        assert row["plan"]["desired"] == {"web1": {"state": "drain"}, "web2": {"state": "ready"}}
        assert client.seen["backup"] == 0


@pytest.mark.servers
def test_when_both_copies_are_dead_nothing_is_switched(tmp_path: Path) -> None:
    with estate(tmp_path, "auto") as (up, client, double, primary, backup):
        primary.kill()
        backup.kill()
        up.until("told", lambda: "the primary of checkout is down" in double.texts("wecom"), 30)
        up.until("refused", lambda: any(row["state"] == "suppressed" for row in actions(up)), 40)
        assert all(row["state"] in ("suppressed", "cleared", "confirming", "observed") for row in actions(up))
        assert client.seen["backup"] == 0
