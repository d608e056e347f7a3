"""Programs run by their list of arguments: never a shell, a bare environment, an end in time, bounded answers."""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.errors import ActionError

from . import said

#: All that a program finds in its environment unless the target declares more.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
MAX_OUTPUT = 1 << 20
#: Programs that make commands of their arguments.
SHELLS = frozenset(
    {"sh", "bash", "rbash", "dash", "ash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish", "busybox", "pwsh"}
)
#: Characters of what a program said that are repeated in a reason.
TOLD = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """``code``: exit status, negative for a signal."""

    code: int
    out: str
    err: str

    def told(self) -> str:
        """The end of what it said, for people."""
        text = " ".join((self.err.strip() or self.out.strip()).split())
        return f"exit={self.code}:{text[-TOLD:]}"


def run(
    argv: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None, effect: bool = False
) -> Finished:
    """Runs it to its end. ``effect``: what did not end by itself may have changed something.

    Raises ActionError when the program may not be run, does not end in time or says too much.
    """
    check_program(argv[0])
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments from the configuration
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **(environment or {})},
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise said.unreachable(argv[0], error) from None
    try:
        out, err = _read(process, argv[0], time.monotonic() + timeout)
    except ActionError as error:
        raise ActionError(str(error), unknown=effect) from None
    finally:
        _end(process)
    return Finished(code=process.returncode, out=out.decode(errors="replace"), err=err.decode(errors="replace"))


def is_shell(path: str) -> bool:
    """By its name, and by that of the file it leads to."""
    return not SHELLS.isdisjoint((Path(path).name, Path(path).resolve().name))


def check_program(path: str) -> None:
    """Absolute, a file, no shell, and nobody but its owner may change it."""
    if not Path(path).is_absolute():
        raise said.refused("actuator", path, "the program needs its whole path")
    if is_shell(path):
        raise said.refused("actuator", path, "a shell makes commands of its arguments: write a program of your own")
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise said.unreachable(path, error.strerror or error) from None
    if not stat.S_ISREG(mode) or not os.access(path, os.X_OK):
        raise said.refused("actuator", path, "this is no program")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise said.refused("actuator", path, "others may change this program")


def _read(process: subprocess.Popen[bytes], name: str, ends: float) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    parts: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as waiting:
        for descriptor in parts:
            waiting.register(descriptor, selectors.EVENT_READ)
        while waiting.get_map():
            left = ends - time.monotonic()
            if left <= 0:
                raise said.not_reached(name, "it did not end in time")
            for key, _ in waiting.select(left):
                piece = os.read(key.fd, 1 << 16)
                parts[key.fd] += piece
                if not piece:
                    waiting.unregister(key.fd)
                if sum(map(len, parts.values())) > MAX_OUTPUT:
                    raise said.unreadable(name, "it says too much")
    try:
        process.wait(max(ends - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        raise said.not_reached(name, "it did not end in time") from None
    return bytes(parts[process.stdout.fileno()]), bytes(parts[process.stderr.fileno()])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that it started is left behind either."""
    with suppress(ProcessLookupError, PermissionError):  # it is gone, and so are its children
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
