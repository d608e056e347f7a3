"""Remote write out: what a server refuses, what it cannot take now, and what goes out at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.engines import engine

from watchkeeper.app.compose import check
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.errors import ConfigError
from watchkeeper.model import STALE_NAN, Labels, Layout, Tick, labels
from watchkeeper.wire import remote_write, snappy

GOOD, BAD = labels("good"), labels("bad")


class Server:
    """Takes remote write as a real server does, refuses requests with the series ``bad``, answers ``say`` first."""

    def __init__(self) -> None:
        self.say: list[int] = []  #: statuses of the next answers
        self.taken: list[tuple[Labels, int, float]] = []
        self.headers: list[dict[str, str]] = []
        self.written = ""  #: samples that a refused request left there, where the server says so
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status = outer.say.pop(0) if outer.say else outer.take(body)
                self.send_response(status)
                self.send_header("content-length", "0")
                if outer.written:
                    self.send_header("X-Prometheus-Remote-Write-Samples-Written", outer.written)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/write"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, body: bytes) -> int:
        written = remote_write.decode(snappy.unpack(body, 1 << 24), {})
        series = [remote_write.labels_of(block) for block in written.fresh]
        if any(("__name__", "bad") in one for one in series):
            return 400
        for code, at, value in zip(
            written.codes.tolist(), written.times.tolist(), written.values.tolist(), strict=True
        ):
            self.taken.append((series[-1 - code], at, value))
        return 204

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def house(folder: Path, server: Server, **options: Any) -> Any:
    return engine(folder, remote_write=[{"name": "one", "url": server.url, **options}])


def keep(found: Engine, *values: float, after: int = 0, series: tuple[Labels, ...] = (GOOD, BAD)) -> None:
    layout = Layout(series[: len(values)])
    found.samples.append(
        Tick(target="t", time_ms=to_ms(found.clock.now()) + after, layout=layout, values=np.array(values))
    )
    found.samples.sync()


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count(found: Engine, outcome: str) -> float:
    return float(found.telemetry.forwarded.labels("one", outcome)._value.get())


def test_what_a_server_refuses_stands_alone_and_the_rest_arrives(tmp_path: Path, server: Server) -> None:
    with house(tmp_path, server) as found:
        found.forwarders[0].start()
        keep(found, 1.0)
        until(lambda: count(found, "sent") == 1)
        keep(found, 2.0, 3.0, after=1000)
        until(lambda: count(found, "refused") == 1)
        assert [value for _, _, value in server.taken] == [1.0, 2.0]
        assert server.headers[0]["x-prometheus-remote-write-version"] == "0.1.0"
        assert found.forwarders[0].source.rejected == {"refused": 1}


def test_a_server_that_says_how_much_it_kept_is_not_asked_again(tmp_path: Path, server: Server) -> None:
    with house(tmp_path, server) as found:
        found.forwarders[0].start()
        keep(found, 1.0)
        until(lambda: count(found, "sent") == 1)
        server.written = "1"
        keep(found, 2.0, 3.0, after=1000)
        until(lambda: count(found, "refused") == 1)
        assert (count(found, "sent"), len(server.headers)) == (2, 2)


def test_a_server_that_cannot_now_is_asked_until_it_can(tmp_path: Path, server: Server) -> None:
    server.say = [503, 429, 401]
    with house(tmp_path, server, token="secret", headers={"X-Scope-OrgID": "shop"}) as found:
        found.forwarders[0].start()
        keep(found, 1.0)
        until(lambda: count(found, "sent") == 1)
        reasons = ("http_503", "http_429", "http_401")
        assert [found.telemetry.forward_failures.labels("one", reason)._value.get() for reason in reasons] == [1, 1, 1]
        assert (found.forwarders[0].error, len(server.taken)) == ("", 1)
        assert (server.headers[0]["authorization"], server.headers[0]["x-scope-orgid"]) == ("Bearer secret", "shop")


def test_series_are_relabelled_and_the_unwanted_stay(tmp_path: Path, server: Server) -> None:
    rules = [{"source_labels": ["__name__"], "regex": "bad", "action": "drop"}]
    with house(tmp_path, server, write_relabel_configs=rules, external_labels={"site": "a"}) as found:
        found.forwarders[0].start()
        keep(found, 1.0, 2.0)
        until(lambda: count(found, "unwanted") == 1 and count(found, "sent") == 1)
        assert [series for series, _, _ in server.taken] == [labels("good", site="a")]


def test_an_end_is_told_once_and_life_after_it_again(tmp_path: Path, server: Server) -> None:
    with house(tmp_path, server) as found:
        found.forwarders[0].start()
        for after, value in enumerate((1.0, STALE_NAN, STALE_NAN, 2.0, STALE_NAN)):
            keep(found, value, after=after)
        until(lambda: len(server.taken) >= 4)
        told = [value for _, _, value in server.taken]
        assert (
            np.array(told).view(np.uint64).tolist()
            == np.array([1.0, STALE_NAN, 2.0, STALE_NAN]).view(np.uint64).tolist()
        )


def test_what_was_sent_is_not_sent_again_after_a_restart(tmp_path: Path, server: Server) -> None:
    with house(tmp_path, server) as found:
        found.forwarders[0].start()
        keep(found, 1.0)
        until(lambda: count(found, "sent") == 1)
    with house(tmp_path, server) as found:
        keep(found, 2.0, after=5)
        found.forwarders[0].start()
        until(lambda: count(found, "sent") == 1)
    assert [value for _, _, value in server.taken] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("write_relabel_configs: [{action: hashmod}]", "hashmod"),
        ("ca: nonsense", "certificates cannot be used"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, option: str, said: str) -> None:
    file = tmp_path / "watchkeeper.yaml"
    file.write_text(f"remote_write:\n  - name: one\n    url: http://127.0.0.1:1/write\n    {option}\n")
    with pytest.raises(ConfigError, match=said) as raised:
        check(file)
    assert "remote_write.one" in str(raised.value)
