"""What the server has not confirmed, on this machine's disk: one file a request, in order, within a bound.

A request is a file before it is sent and until some time after the server took it, because a server that falls may
forget what it has just taken. Names carry what must be known of each: ``number-samples-sequence-first_ms.rw``.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from watchkeeper.errors import StoreError

logger = structlog.get_logger(__name__)

END = ".rw"


@dataclass(frozen=True, slots=True)
class Request:
    """One file. ``sequence`` is the newest tick of the head log that is in it."""

    number: int
    samples: int
    sequence: int
    first_ms: int  #: its oldest sample
    size: int
    tried: bool = False  #: it may have reached the server before
    sent_at: float = 0.0  #: monotonic; when the server took it

    @property
    def name(self) -> str:
        return f"{self.number:012d}-{self.samples}-{self.sequence}-{self.first_ms}{END}"


class Spool:
    """Thread-safe. ``waiting`` are requests to be sent, ``taken`` those the server took a moment ago."""

    def __init__(self, directory: Path, *, most_bytes: int) -> None:
        """Raises StoreError when the directory cannot be used. Everything found in it is sent (again)."""
        self._directory, self._most = directory, most_bytes
        self._changed = threading.Condition()
        self.dropped = 0  #: samples that went unsent because the bound was reached
        self.sent = 0  #: samples the server took
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for half in directory.glob("*.new"):
                half.unlink()
            found = sorted((_parsed(path) for path in directory.glob(f"*{END}")), key=lambda one: one.number)
        except (OSError, ValueError) as error:
            raise StoreError(f"{directory} cannot be used as the spool of samples: {error}") from error
        self.waiting, self.taken = deque(found), deque[Request]()
        self.found = sum(request.samples for request in found)  #: samples an earlier life left
        number, sequence = self._noted()
        self._number = max([number, *(request.number for request in self.waiting)])
        self._sequence = max([sequence, *(request.sequence for request in self.waiting)])

    # --- writing ---

    @property
    def sequence(self) -> int:
        """Every tick of the head log up to here is in the spool, or was."""
        return self._sequence

    @property
    def next_number(self) -> int:
        return self._number + 1

    def put(self, body: bytes, samples: int, *, sequence: int, first_ms: int) -> None:
        """One more request, durable on return. Raises StoreError, and nothing was kept."""
        with self._changed:
            request = Request(self._number + 1, samples, sequence, first_ms, len(body))
            self._write(request.name, body)
            self._number, self._sequence = request.number, max(sequence, self._sequence)
            self.waiting.append(request)
            self._bound()
            self._changed.notify_all()

    def _write(self, name: str, body: bytes) -> None:
        path, new = self._directory / name, self._directory / f"{name}.new"
        try:
            with new.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
            _sync_directory(self._directory)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise StoreError(f"cannot write {path}: {error.strerror}") from error

    def _bound(self) -> None:
        """The oldest go first, what the server took before what it did not."""
        while self.nbytes > self._most and len(self.waiting) + len(self.taken) > 1:
            if self.taken:
                self._unlink(self.taken.popleft())
                continue
            lost = self.waiting.popleft()
            self.dropped += lost.samples
            logger.error("samples.spool_full", dropped=lost.samples, bound_bytes=self._most)
            self._unlink(lost)

    # --- sending ---

    def first(self) -> tuple[Request, bytes] | None:
        """The oldest request that waits, and its body; it stays until ``take``. None when nothing waits."""
        with self._changed:
            while self.waiting:
                try:
                    return self.waiting[0], (self._directory / self.waiting[0].name).read_bytes()
                except OSError as error:
                    lost = self.waiting.popleft()
                    self.dropped += lost.samples
                    logger.error("samples.spool_unreadable", file=lost.name, dropped=lost.samples, error=str(error))
            return None

    def tried(self, request: Request) -> None:
        """Nobody knows whether the server got it."""
        with self._changed:
            if self.waiting and self.waiting[0].number == request.number:
                self.waiting[0] = replace(request, tried=True)

    def take(self, request: Request, *, sent: int, at: float) -> None:
        """The server has answered for it: ``sent`` samples of it are there."""
        with self._changed:
            if self.waiting and self.waiting[0].number == request.number:
                self.waiting.popleft()
                self.taken.append(replace(request, sent_at=at, samples=request.samples))
                self.sent += sent
            self._changed.notify_all()

    def settle(self, before: float) -> None:
        """Forget what the server took before that moment: it has it for good."""
        with self._changed:
            while self.taken and self.taken[0].sent_at < before:
                last = self.taken.popleft()
                if not self.taken and not self.waiting:
                    self._note()
                self._unlink(last)

    def again(self, forgotten: Callable[[Request], bool]) -> int:
        """Send again what the server took but may have forgotten, before everything else; returns how many samples."""
        with self._changed:
            back = [request for request in self.taken if forgotten(request)]
            self.taken = deque(request for request in self.taken if not forgotten(request))
            self.waiting.extendleft(replace(request, tried=True, sent_at=0.0) for request in reversed(back))
            lost = sum(request.samples for request in back)
            self.sent -= lost
            self._changed.notify_all()
            return lost

    def wait(self, seconds: float) -> bool:
        """Until nothing waits to be sent; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting, timeout=seconds)

    # --- figures and files ---

    @property
    def nbytes(self) -> int:
        return sum(request.size for request in (*self.waiting, *self.taken))

    @property
    def waiting_samples(self) -> int:
        with self._changed:
            return sum(request.samples for request in self.waiting)

    @property
    def oldest_ms(self) -> int | None:
        """The oldest sample that waits."""
        with self._changed:
            return min((request.first_ms for request in self.waiting), default=None)

    def _unlink(self, request: Request) -> None:
        try:
            (self._directory / request.name).unlink(missing_ok=True)
        except OSError as error:  # it is sent once more after the next start, and the server knows it then
            logger.warning("samples.spool_left", file=request.name, error=str(error))

    def _note(self) -> None:
        """No file is left to tell how far the log has been taken over: a note does."""
        try:
            self._write("note", f"{self._number} {self._sequence}".encode())
        except StoreError as error:  # the next start sends the newest ticks of the log once more
            logger.warning("samples.spool_note", error=str(error))

    def _noted(self) -> tuple[int, int]:
        try:
            number, sequence = (self._directory / "note").read_text(encoding="ascii").split()
            return int(number), int(sequence)
        except (OSError, ValueError):  # none yet, or half a note of a crash: the same as none
            return 0, 0


def _parsed(path: Path) -> Request:
    number, samples, sequence, first_ms = (int(part) for part in path.name.removesuffix(END).split("-"))
    return Request(number, samples, sequence, first_ms, path.stat().st_size, tried=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
