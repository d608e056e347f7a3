"""A whole Watchkeeper on free loopback ports in a folder of its own: for journeys, browser tests and benchmarks."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from support.books import assert_books_of
from support.kept import kept_where

from watchkeeper.pinned import pinned

PASSWORD = "correct horse battery"
READY_SECONDS = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Patience:
    """A deadline that does not run while the whole machine stands still, as guests do when their host is busy."""

    #: More than this passes between two looks only when nobody could look.
    LOOK = 6.0

    def __init__(self, seconds: float) -> None:
        self._left, self._at = seconds, time.monotonic()

    def over(self) -> bool:
        now = time.monotonic()
        self._left, self._at = self._left - min(now - self._at, self.LOOK), now
        return self._left <= 0


@dataclass
class Up:
    """``watchkeeper up`` as a user starts it, with an account and a session."""

    folder: Path
    config: dict[str, Any]
    process: subprocess.Popen[bytes]
    started: float
    session: str = ""
    csrf: str = ""
    marks: dict[str, float] = field(default_factory=dict)  #: name -> seconds since start

    @property
    def engine(self) -> str:
        """By loopback, where an engine on all addresses is found too."""
        section = self.config["engine"]
        scheme = "https" if section.get("tls") else "http"
        return f"{scheme}://{section['listen'].replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]')}"

    @property
    def trust(self) -> ssl.SSLContext | None:
        """What the engine's TLS is checked by."""
        tls = self.config["engine"].get("tls")
        return pinned(Path(tls["certificate"])) if tls else None

    @property
    def dashboard(self) -> str:
        return f"http://{self.config['dashboard']['listen']}"

    @property
    def data(self) -> Path:
        return Path(self.config["data"])

    def pids(self) -> list[int]:
        """The parent and everything below it."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(child) for child in task.read_text().split()]
        return found

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The engine's API with this user's session."""
        headers = {"Content-Type": "application/json"}
        if self.session:
            headers |= {"Authorization": f"Session {self.session}", "X-CSRF-Token": self.csrf}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.engine + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.trust) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None

    def text(self, path: str) -> str:
        """An answer of the engine that is no JSON."""
        request = urllib.request.Request(self.engine + path, headers={"Authorization": f"Session {self.session}"})
        with urllib.request.urlopen(request, timeout=30, context=self.trust) as response:
            return str(response.read().decode())

    def wait(self, what: str, url: str, seconds: float = READY_SECONDS) -> None:
        """Until the address answers 200; the time is kept in ``marks``."""
        patience = Patience(seconds)
        while True:
            try:
                trust = self.trust if url.startswith("https") else None
                with urllib.request.urlopen(url, timeout=5, context=trust) as response:
                    if response.status == 200:
                        break
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None or patience.over():
                raise AssertionError(f"{what} did not get ready: {self.logs()}")
            time.sleep(0.05)
        self.marks[what] = time.monotonic() - self.started

    def until(self, what: str, look: Any, seconds: float = READY_SECONDS) -> Any:
        """Until ``look()`` answers something true, which is returned."""
        patience = Patience(seconds)
        while True:
            found = look()
            if found:
                self.marks[what] = time.monotonic() - self.started
                return found
            if patience.over():
                raise AssertionError(f"{what} did not happen within {seconds:g} s: {self.logs()}")
            time.sleep(0.1)

    def sign_in(self, name: str = "lin") -> None:
        """Make the first account with the printed secret, and a session for it."""
        secret = (self.data / "setup-secret").read_text().strip()
        account = {"secret": secret, "name": name, "password": PASSWORD, "language": "en", "time_zone": "Asia/Shanghai"}
        self.ask("POST", "/api/wk/setup", account)
        found = self.ask("POST", "/api/wk/login", {"name": name, "password": PASSWORD, "source": "test"})
        self.session, self.csrf = found["session"], found["csrf"]

    def assert_samples(self) -> None:
        """Received = stored + deduplicated + rejected by reason + in flight, where somebody may ask and is answered."""
        if not self.session or self.process.poll() is not None:
            return

        def balanced() -> bool:
            book = self.ask("GET", "/api/wk/status")["ledgers"]["samples"]
            settled = book["stored"] + book["deduplicated"] + sum(book["rejected"].values()) + book["in_flight"]
            return bool(book["received"] == settled)

        self.until("samples to balance", balanced, 10)

    def logs(self) -> str:
        text = [f"{file.name}: {file.read_text()[-3000:]}" for file in (self.data / "log").glob("*.log")]
        return "\n".join([(self.folder / "up.out").read_text()[-2000:], *text])

    def kill_and_start_again(self) -> None:
        """The parent is killed, all it started are gone, and it is started anew."""
        pids = self.pids()
        self.process.kill()
        self.process.wait()
        self.until("all are gone", lambda: not any(alive(pid) for pid in pids), 60)
        self.process, self.started = _start(self.folder), time.monotonic()

    def stop(self) -> int:
        """Ctrl-C, which a terminal gives to the whole group: `make` and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return int(self.process.returncode)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def base_config(folder: Path, **sections: Any) -> dict[str, Any]:
    """The smallest configuration that disturbs nobody: own folder, free ports, no discovery."""
    config: dict[str, Any] = {
        "data": str(folder / "data"),
        "language": "en",
        "discover": False,
        "engine": {"listen": f"127.0.0.1:{free_port()}"},
        "dashboard": {"listen": f"127.0.0.1:{free_port()}"},
    }
    for name, section in kept_where(sections).items():
        config[name] = {**config.get(name, {}), **section} if isinstance(section, dict) else section
    return config


def _start(folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    with (folder / "up.out").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "watchkeeper", "up", "--config", str(folder / "watchkeeper.yaml")],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )


@contextmanager
def running(folder: Path, *, environment: Mapping[str, str] | None = None, **sections: Any) -> Iterator[Up]:
    """Start it, wait for API and sign-in page, stop it at the end."""
    config = base_config(folder, **sections)
    file = folder / "watchkeeper.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True))
    up = Up(folder, config, _start(folder, environment), time.monotonic())
    try:
        up.wait("engine", f"{up.engine}/-/ready")
        up.wait("sign-in page", f"{up.dashboard}/-/healthy")
        yield up
        up.assert_samples()
    finally:
        up.stop()
    assert_books_of(up.data, config.get("store", {}).get("state", {}).get("url", ""))
