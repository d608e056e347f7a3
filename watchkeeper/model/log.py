"""Lines of a log, as read: many in one buffer, because an object a line costs more than reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import IntArray, Labels

CodeArray = NDArray[np.uint8]

#: Severities by their code; the first means that a line states none.
SEVERITIES = ("", "debug", "info", "warning", "error", "critical")
SEVERITY_CODES = {word: code for code, word in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogBatch:
    """Lines with the same labels, in the order they were read."""

    labels: Labels
    data: bytes  #: UTF-8; behind each line stands one line end, and a line of several lines holds more
    ends: IntArray  #: where in ``data`` each line ends, its line end not counted
    times: IntArray  #: ms since the epoch: when it was read, or the time the line itself states
    severity: CodeArray  #: places in ``SEVERITIES``

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def starts(self) -> IntArray:
        """Where in ``data`` each line begins."""
        return starts(self.ends)

    def texts(self) -> list[str]:
        """The lines, one by one."""
        pairs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.data[start:end].decode("utf-8", "replace") for start, end in pairs]

    def pick(self, rows: IntArray) -> LogBatch:
        """Those lines, in that order."""
        pairs = zip(self.starts[rows].tolist(), self.ends[rows].tolist(), strict=True)
        data = b"".join([self.data[start : end + 1] for start, end in pairs])
        ends = np.cumsum(self.ends[rows] - self.starts[rows] + 1) - 1
        return LogBatch(labels=self.labels, data=data, ends=ends, times=self.times[rows], severity=self.severity[rows])

    @classmethod
    def of(
        cls, labels: Labels, texts: Sequence[str], times: Any, severity: CodeArray | Sequence[int] | None = None
    ) -> LogBatch:
        """From text; ``times`` is one time in ms, or one for each line."""
        raw = [text.encode("utf-8", "replace") for text in texts]
        ends = np.cumsum([len(line) + 1 for line in raw], dtype=np.int64) - 1
        codes = np.zeros(len(raw), np.uint8) if severity is None else np.asarray(severity, np.uint8)
        stamps = np.broadcast_to(np.asarray(times, np.int64), len(raw)).copy()
        return cls(labels=labels, data=b"".join(line + b"\n" for line in raw), ends=ends, times=stamps, severity=codes)


def starts(ends: IntArray) -> IntArray:
    """Where lines begin that end at ``ends``, each followed by one line end."""
    found = np.empty(len(ends), np.int64)
    found[:1] = 0
    found[1:] = ends[:-1] + 1
    return found
