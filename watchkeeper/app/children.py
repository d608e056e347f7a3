"""Child processes under one parent: started together, restarted with back-off, stopped together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1
#: Seconds before a dead child is started again: 1, 2, 4 ... up to this.
MAX_BACKOFF = 30.0
#: A child that lived this long has earned a fresh start of the back-off.
STABLE_SECONDS = 60.0
STOP_SECONDS = 10.0
#: One thread of linear algebra and few malloc arenas: what a machine's guest should take.
LEAN = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def die_with_parent() -> None:
    """Called first thing in a child: the kernel ends it when the parent is gone, however that died."""
    parent = os.environ.get("WATCHKEEPER_PARENT")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before we asked
        sys.exit(0)


@dataclass(slots=True)
class Child:
    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff: float = 1.0
    restart_at: float | None = None
    exits: list[int] = field(default_factory=list)

    def start(self) -> None:
        environment = {**LEAN, **os.environ, "WATCHKEEPER_PARENT": str(os.getpid())}
        self.started_at, self.restart_at = time.monotonic(), None
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own programme
                self.argv, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError:  # no memory or no process number left: the others must not fall with it
            self.restart_at = self.started_at + self.backoff
            self.backoff = min(self.backoff * 2, MAX_BACKOFF)

    def look(self, now: float) -> int | None:
        """The exit code when the child has just died; it will be started again at ``restart_at``."""
        if self.process is None or self.process.poll() is None:
            return None
        code = self.process.returncode
        self.exits.append(code)
        if now - self.started_at > STABLE_SECONDS:
            self.backoff = 1.0
        self.process, self.restart_at = None, now + self.backoff
        self.backoff = min(self.backoff * 2, MAX_BACKOFF)
        return code

    def due(self, now: float) -> bool:
        return self.process is None and self.restart_at is not None and now >= self.restart_at


def stop_all(children: Sequence[Child]) -> None:
    """SIGTERM to all at once, SIGKILL to those that do not listen."""
    alive = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in alive:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
