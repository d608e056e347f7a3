"""The command line's client: one engine, one token, and an error for whatever else answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from watchkeeper.app.client import Client, ClientError
from watchkeeper.app.paths import DataDir

Answer = tuple[int, bytes]


class Double:
    """A loopback server that answers by path and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.url = ""


@contextmanager
def double() -> Iterator[Double]:
    made = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            made.asked.append((self.command, self.path, self.headers.get("authorization"), body))
            status, answer = made.answers.get(self.path.partition("?")[0], (404, b'{"error": "not found"}'))
            self.send_response(status)
            if status == 302:
                self.send_header("location", answer.decode())
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - the name http.server asks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def engine() -> Iterator[Double]:
    with double() as made:
        yield made


def announced(folder: Path, url: str, token: str = "secret") -> Path:
    data = DataDir(folder).create()
    data.engine_ready.write_text(json.dumps({"url": url}))
    data.cli_token.write_text(f"{token}\n")
    return folder


def test_it_finds_the_engine_of_a_data_directory_and_shows_its_token(engine: Double, tmp_path: Path) -> None:
    engine.answers["/api/v1/query"] = (200, b'{"data": 1}')
    client = Client.of(announced(tmp_path, engine.url + "/"))
    assert client.get("/api/v1/query", query='up{a="b"}', time=1) == {"data": 1}
    assert engine.asked == [("GET", "/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=1", "Bearer secret", b"")]


def test_the_data_directory_may_come_from_the_environment(
    engine: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHKEEPER_DATA", str(announced(tmp_path, engine.url)))
    assert Client.of(None).url == engine.url


def test_what_is_posted_arrives_as_json(engine: Double) -> None:
    engine.answers["/api/wk/notify/test"] = (200, b'{"state": "sent"}')
    assert Client(engine.url, "t").post("/api/wk/notify/test", {"channel": "钉钉"}) == {"state": "sent"}
    assert json.loads(engine.asked[0][3]) == {"channel": "钉钉"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, b'{"error": "not allowed"}'), "not allowed"),
        ((422, b'{"detail": "wrong"}'), "wrong"),
        ((500, b"oops"), "HTTP 500"),
        ((500, b'["oops"]'), "HTTP 500: .*oops"),
        ((200, b"<html>"), "is not an engine"),
    ],
)
def test_an_answer_that_is_no_is_told_in_the_engines_words(engine: Double, answer: Answer, said: str) -> None:
    engine.answers["/x"] = answer
    with pytest.raises(ClientError, match=said):
        Client(engine.url, "t").get("/x")


def test_the_token_follows_no_redirect_and_passes_no_proxy(engine: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    with double() as other:
        other.answers["/x"] = (200, b"{}")
        engine.answers["/x"] = (302, f"{other.url}/x".encode())
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ClientError, match="HTTP 302"):
            Client(engine.url, "t").get("/x")
        assert other.asked == []


def test_an_engine_that_has_gone_is_said(engine: Double) -> None:
    with double() as short:
        gone = short.url
    with pytest.raises(ClientError, match=f"the engine at {gone} does not answer"):
        Client(gone, "t").get("/x")


@pytest.mark.parametrize("about", [None, "{", "[]", "{}", '{"url": "http://x"}'])
def test_without_a_running_engine_it_says_how_to_start_one(about: str | None, tmp_path: Path) -> None:
    data = DataDir(tmp_path).create()
    if about is not None:
        data.engine_ready.write_text(about)
    if about != '{"url": "http://x"}':  # that one lacks the token
        data.cli_token.write_text("t")
    with pytest.raises(ClientError, match=r"no engine is running on .*watchkeeper up"):
        Client.of(tmp_path)
