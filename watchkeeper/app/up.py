"""``watchkeeper up``: engine, dashboard and actuator under one parent, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from watchkeeper.app.children import Child, die_with_parent, stop_all
from watchkeeper.app.hangup import Hangup
from watchkeeper.app.paths import DataDir
from watchkeeper.app.ports import check_free

#: Seconds between two looks at the children.
LOOK = 0.1


def run(config: Path | None, data: DataDir, dashboard_url: str, addresses: Sequence[tuple[str, str, int]] = ()) -> int:
    """Start everything, say where it is, wait. Returns the exit code; ConfigError when an address is taken."""
    die_with_parent()
    lock = data.create().lock("up")
    check_free(addresses)
    data.engine_ready.unlink(missing_ok=True)
    os.environ["WATCHKEEPER_DATA"] = str(data.root)
    children = [Child(name, _argv(name, config)) for name in ("engine", "dashboard", "actuator")]
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopping.append(got))
    hangup = Hangup(data.engine_ready)
    hangup.listen(stopping)
    for child in children:
        child.start()
    greeting = Greeting(data, dashboard_url)
    try:
        while not stopping:
            look(children)
            hangup.forward(children)
            greeting.try_to_say()
            time.sleep(LOOK)
    finally:
        stop_all(children)
        data.engine_ready.unlink(missing_ok=True)
        lock.close()
    say("Watchkeeper has stopped; the next start goes on from here.")
    return 0


def say(text: str, stream: TextIO = sys.stdout) -> None:
    """One message for the person at the terminal."""
    stream.write(text + "\n")
    stream.flush()


def _argv(name: str, config: Path | None) -> list[str]:
    tail = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "watchkeeper", name, *tail]


def look(children: Sequence[Child]) -> None:
    """Notice who has ended, say so, and start again whoever is due."""
    now = time.monotonic()
    for child in children:
        code = child.look(now)
        if code is not None:
            wait = (child.restart_at or now) - now
            say(f"{child.name} ended with code {code}; starting it again in {wait:.0f} s", sys.stderr)
        if child.due(now):
            child.start()
            if child.process is None:
                say(f"{child.name} cannot be started now: no memory or no process number left", sys.stderr)


class Greeting:
    """What a newcomer needs to know, printed once, when it is true."""

    def __init__(self, data: DataDir, dashboard_url: str) -> None:
        self.data, self.url, self.said = data, dashboard_url, False

    def try_to_say(self) -> None:
        if self.said or not self.data.engine_ready.exists() or not _answers(self.url):
            return
        ready, secret = _read(self.data.engine_ready), _read(self.data.setup_secret)
        if not ready:
            return  # the engine has died since; it writes the file again when it is back
        about = json.loads(ready)
        lines = [
            "",
            f"  Dashboard   {self.url}",
            f"  Engine API  {about['url']}",
            f"  Data        {self.data.root}",
            f"  Logs        {self.data.logs}",
        ]
        if secret:
            lines += ["", f"  First account: open {self.url}/setup and give this one-time secret: {secret}"]
        lines += ["", "  Ctrl-C stops everything.", ""]
        say("\n".join(lines))
        self.said = True


def _read(path: Path) -> str:
    """The text of a file that a child may remove at any moment; empty when it is gone."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 443), timeout=0.2):
            return True
    except OSError:
        return False
