"""The helpers that start real servers, tried on the servers themselves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.servers import (
    answers,
    free_port,
    haproxy,
    listens,
    need,
    node_exporter,
    postgres_server,
    prometheus,
    redis,
    start,
)


def gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_server_is_ready_when_start_returns_and_gone_when_stopped(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with start(argv, url, cwd=tmp_path, url=url, port=port) as server:
        assert answers(url)
        assert listens(port)
    assert gone(server.process.pid)
    assert not listens(port)


def test_a_server_that_ends_at_once_fails_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"ended with 3; it said:\n.*no such luck"):
        start(
            [sys.executable, "-c", "import sys; print('no such luck', flush=True); sys.exit(3)"],
            lambda: False,
            cwd=tmp_path,
        )


def test_a_missing_server_fails_in_ci_and_skips_by_name_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        need("no-such-server")
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        need("no-such-server")


@pytest.mark.servers
def test_every_real_server_starts_and_stops(tmp_path: Path) -> None:
    web = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
    front = "frontend f\n bind 127.0.0.1:{port}\n http-request return status 200\n"
    for server in (
        node_exporter(tmp_path),
        prometheus("global: {scrape_interval: 1s}\n", tmp_path),
        haproxy(f"global\n stats socket {{socket}} mode 600 level admin\n{web}{front}", tmp_path),
        redis(tmp_path),
        postgres_server(tmp_path),
    ):
        with server:
            assert listens(server.port), server.said()
        assert gone(server.process.pid)
