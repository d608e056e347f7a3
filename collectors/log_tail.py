"""One growing file read line by line, and proof that it still is the file that was read before."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

#: First bytes of a file that identify it; and last bytes before the position, which a rewritten file will not repeat.
HEAD, TAIL = 512, 64
#: Bytes asked of the file at a time.
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class RawLine:
    text: bytes  #: without the line end
    cut: bool = False  #: the line was longer than the limit


@dataclass(slots=True)
class Mark:
    """How far a file was read, and what stood there."""

    offset: int = 0
    head: bytes = b""  #: the first bytes, never beyond the offset
    tail: bytes = b""  #: the last bytes before the offset

    def holds(self, fd: int) -> bool:
        """True when the file still has what was read of it: it was neither truncated nor rewritten."""
        if os.fstat(fd).st_size < self.offset:
            return False
        same_end = os.pread(fd, len(self.tail), self.offset - len(self.tail)) == self.tail
        return same_end and os.pread(fd, len(self.head), 0) == self.head

    def advance(self, consumed: bytes) -> None:
        self.offset += len(consumed)
        self.head = (self.head + consumed[:HEAD])[:HEAD] if len(self.head) < HEAD else self.head
        self.tail = (self.tail + consumed[-TAIL:])[-TAIL:]

    def copy(self) -> Mark:
        return Mark(self.offset, self.head, self.tail)


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

    def read(self, budget: int) -> list[RawLine]:
        """Whole lines, up to about ``budget`` bytes of them."""
        lines: list[RawLine] = []
        while budget > 0:
            data = os.pread(self.fd, max(CHUNK, self.max_line + 1), self.mark.offset)
            if not data or not self.mark.holds(self.fd):
                break  # at the end, or rewritten while it was read: the follower sees to that
            used = self._take(data, lines)
            if not used:
                break
            self.mark.advance(data[:used])
            budget -= used
        return lines

    def rest(self) -> list[RawLine]:
        """What stands behind the last line end, of a file that nobody will finish."""
        data = os.pread(self.fd, self.max_line + 1, self.mark.offset)
        if not data or self.skipping or not self.mark.holds(self.fd):
            return []
        self.mark.advance(data)
        return [_line(data, self.max_line)]

    def restart(self) -> None:
        """The file was emptied: what it holds now is new."""
        self.mark, self.skipping = Mark(), False

    def close(self) -> None:
        os.close(self.fd)

    def _take(self, data: bytes, lines: list[RawLine]) -> int:
        """Bytes used of ``data``: all whole lines, and a line without end once it is over the limit."""
        end = data.rfind(b"\n") + 1
        whole = data[:end].split(b"\n")[:-1] if end else []
        if whole and self.skipping:
            del whole[0]
            self.skipping = False
        lines.extend(_line(text, self.max_line) for text in whole)
        if len(data) - end > self.max_line:
            if not self.skipping:
                lines.append(_line(data[end:], self.max_line))
            self.skipping = True
            return len(data)
        if self.skipping and not end:
            return len(data)
        return end


def _line(text: bytes, limit: int) -> RawLine:
    if len(text) > limit:
        return RawLine(text[:limit], cut=True)
    return RawLine(text.removesuffix(b"\r"))
