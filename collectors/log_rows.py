"""Single lines with labels of their own, made batches; and counters of them by severity."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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
    from .log_words import WORDS

    lowered = word.strip().lower()
    for name, (plain, chinese) in WORDS.items():
        if lowered in plain or lowered in chinese:
            return SEVERITY_CODES[name]
    return 0


def batches(rows: Iterable[Row], target: Mapping[str, str]) -> list[LogBatch]:
    """One batch for each label set, lines in the order they came."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_stream(row, groups), []).append(row)
    return [
        LogBatch.of(
            labels(None, {**dict(own), **target}),
            [row.text for row in group],
            [row.time_ms for row in group],
            [row.severity for row in group],
        )
        for own, group in groups.items()
    ]


def _stream(row: Row, known: Collection[tuple[tuple[str, str], ...]]) -> tuple[tuple[str, str], ...]:
    """The row's own labels; none when ``known`` are as many as may be."""
    return row.own if row.own in known or len(known) < MOST_STREAMS else ()


class Counts:
    """Lines by severity, and lines that lost their labels, since the collector was made."""

    def __init__(self) -> None:
        self._counts = [0] * len(SEVERITIES)
        self._unnamed = 0

    def add(self, rows: Iterable[Row]) -> None:
        """The rows of one collection."""
        known: set[tuple[tuple[str, str], ...]] = set()
        for row in rows:
            self._counts[row.severity] += 1
            stream = _stream(row, known)
            known.add(stream)
            self._unnamed += stream != row.own

    def readings(self) -> list[Reading]:
        lines: list[Reading] = [
            ("watchkeeper_log_lines_total", (("severity", word or "none"),), float(count))
            for word, count in zip(SEVERITIES, self._counts, strict=True)
        ]
        return [*lines, ("watchkeeper_log_unnamed_total", (), float(self._unnamed))]
