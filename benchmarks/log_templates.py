"""How well, and how fast, log lines are told apart: labelled systems, one setting for all of them.

    WATCHKEEPER_TEST_DATA=DATA python -m benchmarks.log_templates [SYSTEM ...]

DATA/logs/<SYSTEM>/truth.csv has a line's text in ``content``, its event in ``event_id``, its template in ``template``
(or ``event_id_corrected``, ``template_corrected``). GA: share of lines whose group is exactly right; FGA: F1 of groups;
PA: share of lines with the exact template; FTA: F1 of templates. k lines/s are of processor time of one core: the
system's lines repeated to a million, and 100,000 lines whose every digit was drawn anew.
"""

from __future__ import annotations

import csv
import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from detectors.templates import parse

#: Mean over systems that must be reached.
BARS = {"GA": 0.92, "FGA": 0.88, "PA": 0.75, "FTA": 0.70, "repeated": 300.0}
REPEATED, DRAWN = 1_000_000, 100_000


def read(file: Path) -> tuple[list[str], list[str], list[str]]:
    """(lines, events, templates)."""
    with file.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    end = "_corrected" if rows[0].get("template_corrected") else ""
    return (
        [row["content"] for row in rows],
        [row[f"event_id{end}"] for row in rows],
        [row[f"template{end}"] for row in rows],
    )


def exactness(lines: Sequence[str], events: Sequence[str], templates: Sequence[str]) -> dict[str, float]:
    """GA, FGA, PA and FTA."""
    found = parse(lines)
    groups, shown = [name for name, _ in found], [" ".join(text.split()) for _, text in found]
    true = [" ".join(text.split()) for text in templates]
    sizes, true_sizes = Counter(groups), Counter(events)
    exact = [
        (a, n) for (a, b), n in Counter(zip(groups, events, strict=True)).items() if n == sizes[a] == true_sizes[b]
    ]
    stands_for = defaultdict(set)
    for ours, theirs in zip(shown, true, strict=True):
        stands_for[ours].add(theirs)
    right = sum(theirs == {ours} for ours, theirs in stands_for.items())
    return {
        "GA": sum(n for _, n in exact) / len(lines),
        "FGA": 2 * len(exact) / (len(sizes) + len(true_sizes)),
        "PA": sum(map(str.__eq__, shown, true)) / len(lines),
        "FTA": 2 * right / (len(stands_for) + len(set(true))),
    }


def speed(lines: Sequence[str]) -> float:
    """Thousand lines a second of processor time."""
    start = time.process_time()
    parse(lines)
    return len(lines) / (time.process_time() - start) / 1e3


def figures(file: Path) -> dict[str, float]:
    """All figures of one system."""
    lines, events, templates = read(file)
    draw = random.Random(1)
    again = [line[:1] + line[1:] for line in lines * (REPEATED // len(lines))]
    anew = [
        re.sub(r"\d", lambda _: str(draw.randrange(10)), line) for line in (lines * (DRAWN // len(lines) + 1))[:DRAWN]
    ]
    return exactness(lines, events, templates) | {"repeated": speed(again), "drawn anew": speed(anew)}


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    folder = Path(os.environ["WATCHKEEPER_TEST_DATA"]) / "logs"
    files = sorted(file for file in folder.glob("*/truth.csv") if not sys.argv[1:] or file.parent.name in sys.argv[1:])
    rows = {file.parent.name: figures(file) for file in files}
    rows["mean"] = {name: sum(row[name] for row in rows.values()) / len(rows) for name in next(iter(rows.values()))}
    print(
        "| system | GA | FGA | PA | FTA | k lines/s, repeated | k lines/s, drawn anew |\n|---|---|---|---|---|---|---|"
    )
    for name, row in rows.items():
        cells = [f"{value:.3f}" if value <= 1 else f"{value:,.0f}" for value in row.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    return int(any(rows["mean"][name] < bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
