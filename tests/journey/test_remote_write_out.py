"""Every sample goes on to other servers; their fall and ours cost none of them, and none comes twice."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.remote_peer import engine_process, token_of
from support.remote_write import V1, first
from support.servers import Running, free_port, need, own_folder, start

from watchkeeper.model import Labels, labels

pytestmark = pytest.mark.servers

ROWS = [labels("pushed_total", row=str(row)) for row in range(40)]
#: Values by row and time in seconds; more than one where a sample came twice.
Samples = dict[tuple[str, float], list[float]]


class Receiver:
    """A server that is started, ended and started again on one port with one folder."""

    def __init__(self, folder: Path, argv: Callable[[Path, int], list[str]], ready: str) -> None:
        self.folder, self.port = folder, free_port()
        self._argv, self._ready = argv, ready
        self.url = f"http://127.0.0.1:{self.port}"
        self.running: Running | None = None

    def start(self) -> None:
        argv = self._argv(self.folder, self.port)
        self.running = start(argv, f"{self.url}{self._ready}", cwd=self.folder, url=self.url, port=self.port)

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.running = None

    def samples(self) -> Samples:
        query = urllib.parse.urlencode({"query": "pushed_total[1h]", "time": time.time() + 60, "nocache": "1"})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=30) as response:
            rows: list[Any] = json.loads(response.read())["data"]["result"]
        found: Samples = {}
        for row in rows:
            assert row["metric"]["site"] == "here"
            for moment, value in row["values"]:
                found.setdefault((row["metric"]["row"], float(moment)), []).append(float(value))
        return found


def prometheus(folder: Path, port: int) -> list[str]:
    (folder / "prometheus.yml").write_text("{}")
    return [
        need("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]


def victoria(folder: Path, port: int) -> list[str]:
    address = f"-httpListenAddr=127.0.0.1:{port}"
    return [need("victoria-metrics"), f"-storageDataPath={folder / 'data'}", address, "-search.latencyOffset=0s"]


def write(engine: Running, token: str, sent: Samples, ticks: int, began: int) -> None:
    """``ticks`` more moments of every row."""
    for _ in range(ticks):
        number = len(sent) // len(ROWS)
        at = began + 1000 * number
        samples: list[tuple[Labels, int, float]] = [(row, at, float(number * 7 % 5)) for row in ROWS]
        headers = {**V1, "authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{engine.url}/api/v1/write", first(*samples), headers)
        urllib.request.urlopen(request, timeout=30).close()
        sent |= {(dict(row)["row"], at / 1000): [value] for row, _, value in samples}


def until_equal(receiver: Receiver, sent: Samples) -> None:
    deadline = time.monotonic() + 60
    while (found := receiver.samples()) != sent:
        assert time.monotonic() < deadline, (len(found), len(sent), [key for key in sent if key not in found][:3])
        time.sleep(0.2)


def test_a_server_that_was_away_while_we_were_killed_gets_everything_once(tmp_path: Path) -> None:
    receivers = {
        "prometheus": Receiver(own_folder(tmp_path, "peer-prometheus"), prometheus, "/-/ready"),
        "victoria": Receiver(own_folder(tmp_path, "peer-victoria"), victoria, "/health"),
    }
    rows = [
        {"name": name, "url": f"{one.url}/api/v1/write", "external_labels": {"site": "here"}}
        for name, one in receivers.items()
    ]
    ours, sent = own_folder(tmp_path, "ours"), Samples()
    began = int(time.time()) * 1000 - 300_000
    try:
        for receiver in receivers.values():
            receiver.start()
        engine = engine_process(ours, remote_write=rows)
        write(engine, token_of(ours), sent, 5, began)
        for receiver in receivers.values():
            until_equal(receiver, sent)
            receiver.stop()
        write(engine, token_of(ours), sent, 20, began)
        engine.kill()
        with engine_process(ours, remote_write=rows) as engine:
            write(engine, token_of(ours), sent, 5, began)
            for receiver in receivers.values():
                receiver.start()
                until_equal(receiver, sent)
    finally:
        for receiver in receivers.values():
            receiver.stop()
