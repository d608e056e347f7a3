"""Templates of a file of log lines: learned from the whole file, then told line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from detectors.templates import TemplateMiner

#: Characters that are read and told at a time.
CHUNK = 1 << 22


def learned(source: Path) -> TemplateMiner:
    """A miner that has seen every line of the file."""
    miner = TemplateMiner()
    for lines in chunks(source):
        miner.learn(lines)
    miner.settle()
    return miner


def write_labels(miner: TemplateMiner, source: Path, target: Path) -> int:
    """CSV ``event_id,template``, a row a line of the file in its order; lines written."""
    count = 0
    with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        out.write("event_id,template\n")
        for lines in chunks(source):
            distinct = list(dict.fromkeys(lines))
            rows = {line: _row(*label) for line, label in zip(distinct, miner.label(distinct), strict=True)}
            out.write("".join(map(rows.__getitem__, lines)))
            count += len(lines)
    return count


def chunks(source: Path) -> Iterator[list[str]]:
    """The lines of a file without their ends, many at a time."""
    with source.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        rest = ""
        while text := lines.read(CHUNK):
            *read, rest = (rest + text).split("\n")
            yield [line.rstrip("\r") for line in read] if "\r" in text else read
        if rest:
            yield [rest]


@lru_cache(10_000)
def _row(name: str, template: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow((name, template))
    return text.getvalue()
