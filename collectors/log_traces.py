"""Stack traces kept whole: which lines of a log go on with the record before them, by how runtimes write traces.

What is indented belongs to the line above. Java, Python, Go, PHP, Rust and Node write further lines that are not; those
are known by their words. A trace that follows an error's own line is part of that record, any other begins its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import IntArray

#: Lines of one record at most, so that a file that indents everything stays lines.
MOST = 1000
#: What a text holds that has such lines; a text without is not looked at again.
SIGNS = (
    b"\n\t",
    b"\n ",
    b"Traceback (most recent call last)",
    b"\ngoroutine ",
    b"\nStack trace:",
    b"\nstack backtrace:",
)
#: Lines that are looked at before and after one that is indented.
BEFORE, AFTER = 8, 6
_ERROR = re.compile(
    rb"\b(?:ERROR|ERR|FATAL|CRITICAL|CRIT|SEVERE|EMERG|ALERT|PANIC|[Ee]rror|[Ee]xception|[Ff]atal|[Cc]ritical|failed)\b"
)
#: Goes on with whatever stands before it.
_GOES_ON = re.compile(
    rb"Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|Stack trace:$|stack backtrace:|note: run with `RUST_"
)
_OF_PHP = re.compile(rb"#\d+ ")
_TRACEBACK = re.compile(rb"Traceback \(most recent call last\):|  \+ Exception Group Traceback")
#: The line that says what happened: java.io.IOException: reset, ValueError, app.errors.Gone: 7, Error: boom.
_RAISED = re.compile(rb"(?:Exception in thread \S+ |Uncaught )?(?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*(?:: .*|:)?$")
_CHAINED = re.compile(rb"During handling of the above exception|The above exception was the direct cause")
_PANIC = re.compile(rb"panic: |fatal error: |runtime: ")
_OF_PANIC = re.compile(
    rb"goroutine \d+ |\[signal |created by |exit status \d|[\w./*()\[\]{}-]+\(.*\)$|panic\(|\[recovered\]|$"
)
_FRAME = re.compile(rb"\s+at |\s+File \"|\s+from ")


def record_ends(data: bytes, ends: IntArray) -> IntArray:
    """Of the ends of lines those at which a record ends; ``ends`` itself where every line is one."""
    if not len(ends) or not may_hold_traces(data):
        return ends
    starts = np.append(0, ends[:-1] + 1)
    first = np.frombuffer(data, np.uint8)[starts]
    near = np.flatnonzero((first == ord(" ")) | (first == ord("\t")) | (first == ord("#")))
    begin = np.ones(len(ends), np.bool_)
    for low, high in _stretches(near, len(ends)):
        lines = data[int(starts[low]) : int(ends[high - 1])].split(b"\n")
        begin[low:high] = begins(lines)
    return ends if begin.all() else ends[np.append(begin[1:], True)]


def _stretches(near: IntArray, count: int) -> list[tuple[int, int]]:
    """[first, behind the last) of the lines around those; stretches that meet are one."""
    if not len(near):
        return []
    low, high = np.maximum(near - BEFORE, 0), np.minimum(near + AFTER, count)
    apart = np.flatnonzero(low[1:] > high[:-1])
    return list(zip(low[np.append(0, apart + 1)].tolist(), high[np.append(apart, len(near) - 1)].tolist(), strict=True))


def may_hold_traces(data: bytes) -> bool:
    return data[:1] in (b" ", b"\t") or any(sign in data for sign in SIGNS)


def begins(lines: Sequence[bytes]) -> list[bool]:
    """Whether each line begins a record."""
    found, record = list[bool](), _Record()
    for at, line in enumerate(lines):
        follows = lines[at + 1] if at + 1 < len(lines) else b""
        goes_on = record.size > 0 and record.size < MOST and record.goes_on(line, follows)
        if not goes_on:
            record = _Record()
        record.add(line)
        found.append(not goes_on)
    return found


def joined(lines: Sequence[bytes], first: Sequence[bool]) -> list[bytes]:
    """The records that these lines are, where ``first`` says which of them begin one."""
    records: list[list[bytes]] = []
    for line, one in zip(lines, first, strict=True):
        if one or not records:
            records.append([])
        records[-1].append(line)
    return [b"\n".join(each) for each in records]


class _Record:
    """What is known of the record under way."""

    def __init__(self) -> None:
        self.size = 0
        #: python | go | php: whose lines that are not indented go on; raised: a traceback's last line was there;
        #: chained: another traceback follows
        self.kind = ""
        self.error = False  #: its first line speaks of an error
        self.last = b""

    def add(self, line: bytes) -> None:
        if self.size == 0:
            self.error = _ERROR.search(line) is not None
        if _TRACEBACK.match(line):
            self.kind = "python"
        elif self.size == 0 and _PANIC.match(line):
            self.kind = "go"
        elif _CHAINED.match(line):
            self.kind = "chained"
        elif line.endswith(b"Stack trace:"):
            self.kind = "php"
        elif self.kind == "python" and line and not _indented(line):
            self.kind = "raised"
        self.size += 1
        self.last = line

    def goes_on(self, line: bytes, follows: bytes) -> bool:
        if _indented(line) and line.strip():
            return True
        if self.kind == "go":
            return _OF_PANIC.match(line) is not None
        if self.kind == "python":
            return not line or _TRACEBACK.match(line) is not None or _RAISED.match(line) is not None
        if self.kind == "php" and _OF_PHP.match(line):
            return True
        if self.kind == "chained":
            return not line or _TRACEBACK.match(line) is not None
        if self.kind == "raised":  # another may follow, behind an empty line
            return _CHAINED.match(line or follows) is not None
        if _TRACEBACK.match(line):
            return self.error and self.size == 1
        if _GOES_ON.match(line):
            return True
        return self.error and self.size == 1 and _FRAME.match(follows) is not None and _RAISED.match(line) is not None


def _indented(line: bytes) -> bool:
    return line[:1] in (b" ", b"\t")
