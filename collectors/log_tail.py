"""One growing file read line by line, and proof that it still is the file that was read before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: First bytes of a file that identify it; and last bytes before the position, which a rewritten file will not repeat.
HEAD, TAIL = 512, 64
#: Bytes asked of the file at a time.
CHUNK = 1 << 20


@dataclass(slots=True)
class Raw:
    """Whole lines in the order of the file, as bytes in pieces of about ``CHUNK``; each line has its line end."""

    pieces: list[bytes] = field(default_factory=list)
    cut: int = 0  #: lines that were longer than the limit

    def add(self, whole: bytes, limit: int) -> None:
        """Take lines in; what is longer than ``limit`` is cut."""
        if len(whole) > limit and _longest(whole) > limit:
            lines = whole.split(b"\n")[:-1]
            self.cut += sum(len(line) > limit for line in lines)
            whole = b"".join(line[:limit] + b"\n" for line in lines)
        if whole:
            self.pieces.append(whole)

    def extend(self, more: Raw) -> None:
        self.pieces += more.pieces
        self.cut += more.cut


#: Length and digest of some bytes.
Print = tuple[int, str]


@dataclass(slots=True)
class Mark:
    """How far a file was read, and what stood there."""

    offset: int = 0
    head: bytes = b""  #: the first bytes, never beyond the offset
    tail: bytes = b""  #: the last bytes before the offset
    prints: tuple[Print, Print] | None = None  #: of head and tail, when an earlier process read them

    def holds(self, fd: int) -> bool:
        """True when the file still has what was read of it: it was neither truncated nor rewritten."""
        if os.fstat(fd).st_size < self.offset:
            return False
        if self.prints is not None:
            return self._holds_prints(fd, *self.prints)
        same_end = os.pread(fd, len(self.tail), self.offset - len(self.tail)) == self.tail
        return same_end and os.pread(fd, len(self.head), 0) == self.head

    def _holds_prints(self, fd: int, head: Print, tail: Print) -> bool:
        """The bytes themselves are known once the file has proved to be the same."""
        first, last = os.pread(fd, head[0], 0), os.pread(fd, tail[0], self.offset - tail[0])
        if (print_of(first), print_of(last)) != (head, tail):
            return False
        self.head, self.tail, self.prints = first, last, None
        return True

    def saved(self) -> dict[str, Any]:
        """As plain JSON data, without a byte of the file: there may be secrets in it."""
        head, tail = self.prints or (print_of(self.head), print_of(self.tail))
        return {"offset": self.offset, "head": list(head), "tail": list(tail)}

    def advance(self, data: bytes, used: int) -> None:
        """Behind the first bytes of data, so many of them."""
        self.offset += used
        self.head = (self.head + data[: min(HEAD, used)])[:HEAD] if len(self.head) < HEAD else self.head
        self.tail = (self.tail + data[max(0, used - TAIL) : used])[-TAIL:]

    def copy(self) -> Mark:
        return Mark(self.offset, self.head, self.tail, self.prints)


def print_of(content: bytes) -> Print:
    """By what bytes are known again that must not be kept themselves."""
    return len(content), hashlib.blake2b(content, digest_size=16).hexdigest()


def restored(saved: Mapping[str, Any]) -> Mark:
    """The mark that ``saved`` told of."""
    head, tail = ((int(length), str(digest)) for length, digest in (saved["head"], saved["tail"]))
    return Mark(int(saved["offset"]), prints=(head, tail))


def mark_at(fd: int, offset: int) -> Mark:
    """The mark of a file taken up in its middle."""
    start = max(0, offset - TAIL)
    return Mark(offset, os.pread(fd, min(HEAD, offset), 0), os.pread(fd, offset - start, start))


@dataclass(slots=True)
class Tail:
    """An open file. The position moves behind whole lines only, so that a restart reads a half line again."""

    fd: int
    key: tuple[int, int]  #: device and inode
    max_line: int
    mark: Mark = field(default_factory=Mark)
    skipping: bool = False  #: inside a line that was cut: the rest of it is left out
    idle_since: float | None = None  #: when the file was first seen not to grow, seconds since the epoch
    copied: bool = False  #: made by copy-and-truncate: nobody will write to it

    def read(self, budget: int) -> Raw:
        """Whole lines, up to about ``budget`` bytes of them."""
        lines = Raw()
        while budget > 0:
            data = os.pread(self.fd, max(CHUNK, self.max_line + 1), self.mark.offset)
            if not data or not self.mark.holds(self.fd):
                break  # at the end, or rewritten while it was read: the follower sees to that
            used = self._take(data, lines)
            if not used:
                break
            self.mark.advance(data, used)
            budget -= used
        return lines

    def rest(self) -> Raw:
        """What stands behind the last line end, of a file that nobody will finish."""
        lines = Raw()
        data = os.pread(self.fd, self.max_line + 1, self.mark.offset)
        if data and not self.skipping and self.mark.holds(self.fd):
            self.mark.advance(data, len(data))
            lines.add(data + b"\n", self.max_line)
        return lines

    def restart(self) -> None:
        """The file was emptied: what it holds now is new."""
        self.mark, self.skipping = Mark(), False

    def close(self) -> None:
        os.close(self.fd)

    def _take(self, data: bytes, lines: Raw) -> int:
        """Bytes used of ``data``: all whole lines, and a line without end once it is over the limit."""
        end = data.rfind(b"\n") + 1
        begin = 0
        if end and self.skipping:
            begin = data.find(b"\n") + 1
            self.skipping = False
        lines.add(data[begin:end], self.max_line)
        if len(data) - end > self.max_line:
            if not self.skipping:
                lines.add(data[end:] + b"\n", self.max_line)
            self.skipping = True
            return len(data)
        if self.skipping and not end:
            return len(data)
        return end


def _longest(whole: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == 10)
    return int(max(ends[0], np.diff(ends).max(initial=1) - 1))
