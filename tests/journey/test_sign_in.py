"""Signing in through the real dashboard to a real engine on all addresses, behind a self-made certificate."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from support.certificates import self_made
from support.up import PASSWORD, Up, free_port, running

from watchkeeper.app.client import Client

QUIET: dict[str, Any] = {"collect": {"host": False, "own_logs": False}, "rules": {"packs": []}}
#: Tries that cost no wait.
FREE = 5


class Browser:
    """A visitor with an address of its own: all of 127.0.0.0/8 is this machine."""

    def __init__(self, up: Up, address: str) -> None:
        self.base, self.address, self.cookies = up.dashboard, address, dict[str, str]()

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            urlsplit(self.base).netloc, timeout=30, source_address=(self.address, 0)
        )
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Origin": self.base, "Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("set-cookie") or []:
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def sign_in(self, password: str) -> int:
        page = self.ask("GET", "/login")[1]
        found = re.search(r'name="proof" value="([^"]+)"', page)
        assert found, page
        form = {"name": "lin", "password": password, "proof": found[1], "next": "/", "source": "127.9.9.9"}
        return self.ask("POST", "/login", urlencode(form))[0]


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "[::]"])
def test_a_sign_in_counts_by_the_address_of_the_browser(tmp_path: Path, everywhere: str) -> None:
    cert, key = self_made(tmp_path)
    engine = {"listen": f"{everywhere}:{free_port()}", "tls": {"certificate": str(cert), "key": str(key)}}
    with running(tmp_path, engine=engine, **QUIET) as up:
        up.sign_in()
        assert Client.of(up.data).get("/api/wk/status")["separation"] in ("process", "unknown")
        up.until("actuator", lambda: up.ask("GET", "/api/wk/status")["separation"] == "process")

        guesser = Browser(up, "127.0.0.2")
        assert [guesser.sign_in("wrong") for _ in range(FREE + 1)] == [401] * FREE + [429]
        assert guesser.sign_in(PASSWORD) == 429, "he waits, even with the right one"

        owner = Browser(up, "127.0.0.3")
        assert owner.sign_in(PASSWORD) == 303
        first = owner.cookies["wk"]
        assert owner.ask("GET", "/")[0] == 200

        assert owner.sign_in(PASSWORD) == 303
        assert owner.cookies["wk"] != first
        owner.cookies["wk"], second = first, owner.cookies["wk"]
        assert owner.ask("GET", "/")[0] == 303, "the session before has ended"
        owner.cookies["wk"] = second
        assert owner.ask("GET", "/")[0] == 200
