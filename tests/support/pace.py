"""How the suite runs: its longest files first, and journeys as fast as users have them.

``longest.txt`` has a line for every file that takes long: its seconds and its path. Every run prints what it measured
in the same form.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import coverage

TESTS = Path(__file__).parents[1]
LONGEST = TESTS / "longest.txt"
#: A file below this holds up nobody when it comes last.
LONG_SECONDS = 8.0
#: By this coverage asks the processes that a test starts to count their lines too.
ASKED = "COVERAGE_PROCESS_CONFIG"


def recorded(text: str) -> dict[str, float]:
    """Seconds by path below ``tests/``."""
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return {path: float(seconds) for seconds, path in rows}


def below_tests(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def places(paths: Iterable[str], seconds: Mapping[str, float]) -> dict[str, int]:
    """Where in the run each file stands: by recorded seconds, those without any as they came."""
    ordered = sorted(dict.fromkeys(paths), key=lambda path: -seconds.get(path, 0.0))
    return {path: place for place, path in enumerate(ordered)}


def lines(measured: Mapping[str, float]) -> list[str]:
    """What ``longest.txt`` should say."""
    ordered = sorted(measured.items(), key=lambda item: -item[1])
    return [f"{seconds:.0f} {path}" for path, seconds in ordered if seconds >= LONG_SECONDS]


def stop_counting() -> list[coverage.Coverage]:
    """What counted, innermost first: a worker has two, one of the process, one of its own."""
    stopped = []
    while (counting := coverage.Coverage.current()) is not None:
        counting.stop()
        stopped.append(counting)
    return stopped


def count_again(stopped: Iterable[coverage.Coverage]) -> None:
    for counting in reversed(list(stopped)):
        counting.start()


@contextmanager
def uncounted() -> Iterator[None]:
    """No lines are counted meanwhile, neither here nor in processes that are started.

    Counting makes every line cost twice what it costs users; whole trees of processes would be late by it, and their
    lines are those that units have counted.
    """
    asked, stopped = os.environ.pop(ASKED, None), stop_counting()
    try:
        yield
    finally:
        if asked is not None:
            os.environ[ASKED] = asked
        count_again(stopped)
