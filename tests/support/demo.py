"""`watchkeeper demo` as a visitor starts it, asked over its API, and everything it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.books import assert_books_of

from watchkeeper.app.client import Client, ClientError

#: Starts the command as if servers were only where PATH says.
HIDING = (
    "import watchkeeper.app.demo.estate as estate\n"
    "from watchkeeper.app.cli import main\n"
    "estate.EXTRA_PATH = ()\n"
    "main()\n"
)


@dataclass
class Demo:
    folder: Path
    process: subprocess.Popen[bytes]
    out: Path

    @property
    def client(self) -> Client:
        return Client.of(self.folder / "data")

    def get(self, path: str, **query: str | int | float) -> Any:
        return self.client.get(path, **query)

    def command(self, *words: str) -> str:
        """``watchkeeper demo ...`` in another terminal."""
        argv = [sys.executable, "-m", "watchkeeper", "demo", "--data", str(self.folder), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def value(self, query: str) -> float | None:
        rows = self.get("/api/v1/query", query=query)["data"]["result"]
        return float(rows[0]["value"][1]) if rows else None

    def fault(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(row for row in self.get("/api/wk/demo")["faults"] if row["name"] == name)
        return found

    def actions(self, rule: str) -> list[dict[str, Any]]:
        return [row for row in self.get("/api/wk/actions")["actions"] if row["rule"] == rule]

    def until(self, what: str, look: Callable[[], Any], seconds: float) -> Any:
        """Until ``look()`` answers something true, which is returned."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = look()
            except ClientError:  # not ready yet
                found = None
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen within {seconds:g} s: {self.logs()}")
            time.sleep(0.25)

    def logs(self) -> str:
        files = [self.out, *sorted((self.folder / "data" / "log").glob("*.log"))]
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-2000:]}" for file in files if file.exists())

    def said(self) -> str:
        return self.out.read_text(encoding="utf-8")

    def left(self) -> list[str]:
        """Command lines of processes that speak of this folder, or were started by them."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:  # it has just ended
                continue
            if os.fsencode(str(self.folder)) in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(40)


@contextmanager
def demo(folder: Path, *, argv: Sequence[str] = ("-m", "watchkeeper"), path: str | None = None) -> Iterator[Demo]:
    """Started and greeted: the account is there and every way back is rehearsed."""
    out = folder.with_suffix(".out")
    environment = {**os.environ, **({} if path is None else {"PATH": path})}
    with out.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *argv, "demo", "--data", str(folder), "--language", "en"],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    found = Demo(folder, process, out)
    try:
        found.until("greeting", lambda: "Ctrl-C stops everything" in found.said(), 90)
        yield found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    assert_books_of(folder / "data")
