"""Single lines with labels of their own, made batches; and counters of them by severity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watchkeeper.model import SEVERITIES, SEVERITY_CODES, LogBatch, labels

from .base import Reading

#: Label sets of one collection at most; lines beyond keep the target's labels only: names come from strangers.
MOST_STREAMS = 500
#: Severities of syslog (RFC 5424) as codes of ``SEVERITIES``.
SYSLOG = (5, 5, 5, 4, 3, 2, 2, 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One line as a source told it."""

    time_ms: int
    severity: int  #: code of ``SEVERITIES``
    own: tuple[tuple[str, str], ...]  #: labels of its own
    text: str


def sane(time_ms: int) -> int:
    """The time as it is. Raises ValueError for what is none: before 1970, or past the year 5138."""
    if not 0 <= time_ms < 10**14:
        raise ValueError(f"{time_ms} ms is no time")
    return time_ms


def severity_code(word: str) -> int:
    """Of a severity as others write it; 0 when it is none."""
    from .log_severity import WORDS

    lowered = word.strip().lower()
    for name, (plain, chinese) in WORDS.items():
        if lowered in plain or lowered in chinese:
            return SEVERITY_CODES[name]
    return 0


def batches(rows: Iterable[Row], target: Mapping[str, str]) -> list[LogBatch]:
    """One batch for each label set, lines in the order they came."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        key = row.own if row.own in groups or len(groups) < MOST_STREAMS else ()
        groups.setdefault(key, []).append(row)
    return [
        LogBatch.of(
            labels(None, {**dict(own), **target}),
            [row.text for row in group],
            [row.time_ms for row in group],
            [row.severity for row in group],
        )
        for own, group in groups.items()
    ]


class Counts:
    """Lines by severity, since the collector was made."""

    def __init__(self) -> None:
        self._counts = [0] * len(SEVERITIES)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._counts[row.severity] += 1

    def readings(self) -> list[Reading]:
        return [
            ("watchkeeper_log_lines_total", (("severity", word or "none"),), float(count))
            for word, count in zip(SEVERITIES, self._counts, strict=True)
        ]
