"""SIGHUP at the parent: said on once somebody listens; a closed terminal is the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper.app.children import Child
from watchkeeper.app.hangup import Hangup

#: Says that it was told, and goes on.
LISTENER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGHUP, lambda *_: print('told', flush=True))\n"
    "print('listening', flush=True)\n"
    "while True: time.sleep(0.05)\n"
)


@pytest.fixture
def engine() -> Iterator[Child]:
    process = subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    yield Child("engine", [], process=process)
    process.kill()
    process.wait()
    process.stdout.close()


def ready(file: Path, pid: int) -> None:
    file.write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": pid}))


def test_a_hangup_waits_for_the_engine_and_is_said_once(engine: Child, tmp_path: Path) -> None:
    file, stopping = tmp_path / "engine.json", list[int]()
    hangup = Hangup(file, terminal=False)
    assert not hangup.forward([engine])
    hangup.take(signal.SIGHUP, stopping)
    assert not hangup.forward([engine]), "it has not said that it is ready"
    file.write_text("")
    assert not hangup.forward([engine]), "it is just writing it"
    assert engine.process is not None
    ready(file, engine.process.pid + 1)
    assert not hangup.forward([engine]), "that was the one before"
    ready(file, engine.process.pid)
    assert hangup.forward([Child("dashboard", []), engine])
    assert engine.process.stdout is not None
    assert engine.process.stdout.readline() == b"told\n"
    assert not hangup.forward([engine])
    assert stopping == []


def test_a_dead_engine_is_not_told_and_the_next_one_is(engine: Child, tmp_path: Path) -> None:
    assert engine.process is not None
    ready(tmp_path / "engine.json", engine.process.pid)
    hangup = Hangup(tmp_path / "engine.json", terminal=False, waiting=True)
    engine.process.kill()
    engine.process.wait()
    assert not hangup.forward([engine])
    assert not hangup.forward([Child("engine", [])])
    assert hangup.waiting


def test_a_signal_that_comes_while_listening_is_taken(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    hangup, stopping = Hangup(tmp_path / "engine.json", terminal=False), list[int]()
    try:
        hangup.listen(stopping)
        os.kill(os.getpid(), signal.SIGHUP)
        deadline = time.monotonic() + 5
        while not hangup.waiting and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert hangup.waiting
    assert stopping == []


def test_a_closed_terminal_stops_what_was_started_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        hangup, stopping = Hangup(tmp_path / "engine.json"), list[int]()
        assert hangup.terminal
        hangup.take(signal.SIGHUP, stopping)
        assert (hangup.waiting, stopping) == (True, [])
        os.close(ours)
        hangup.take(signal.SIGHUP, stopping)
    assert stopping == [signal.SIGHUP]
