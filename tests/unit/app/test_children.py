"""Child processes: restarted with back-off, stopped together, gone with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from watchkeeper.app.children import Child, stop_all


def wait_for(what: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_a_dead_child_is_due_again_after_a_growing_wait() -> None:
    child = Child("short", [sys.executable, "-c", "raise SystemExit(3)"])
    waits = []
    for _ in range(3):
        child.start()
        assert child.process is not None
        child.process.wait()
        now = time.monotonic()
        assert child.look(now) == 3
        assert child.restart_at is not None
        waits.append(child.restart_at - now)
        assert not child.due(now)
        assert child.due(now + waits[-1])
    assert waits == [1.0, 2.0, 4.0]


def test_stop_ends_even_a_child_that_does_not_listen(monkeypatch: object) -> None:
    code = "import signal,time; signal.signal(15, lambda *_: None); print('up', flush=True); time.sleep(60)"
    child = Child("deaf", [sys.executable, "-c", code])
    child.start()
    import watchkeeper.app.children as module

    before = module.STOP_SECONDS
    module.STOP_SECONDS = 0.5
    try:
        time.sleep(0.2)
        stop_all([child])
    finally:
        module.STOP_SECONDS = before
    assert child.process is not None
    assert child.process.returncode in (-signal.SIGKILL, -signal.SIGTERM)


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = (
        "from watchkeeper.app.children import die_with_parent; die_with_parent(); import os, pathlib, time;"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        "import sys, time; from watchkeeper.app.children import Child;"
        f"c = Child('c', [sys.executable, '-c', {child!r}]); c.start(); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text() != "")
    finally:
        process.kill()
        process.wait()
    pid = int(pid_file.read_text())

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"

    wait_for(gone)
