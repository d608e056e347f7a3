"""The suite's own order, and what it says of its pace at the end; see ``support/pace.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pace

#: Tests of whole processes, which count no lines.
WHOLE = ("journey", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most recorded seconds first, so that none of them is left alone at the end."""
    found = [pace.below_tests(item.path) for item in items]
    place = pace.places(found, pace.recorded(pace.LONGEST.read_text(encoding="utf-8")))
    items.sort(key=lambda item: place[pace.below_tests(item.path)])


@pytest.fixture(autouse=True, scope="module")
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lines are counted in units and contracts, but in those of them that repeat what others run once."""
    if whole(request.path) or request.node.get_closest_marker("uncounted"):
        with pace.uncounted():
            yield
    else:
        yield


def whole(path: Path) -> bool:
    return pace.below_tests(path).startswith(WHOLE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seconds: dict[str, float] = {}
    for rows in terminalreporter.stats.values():
        for row in rows:
            if isinstance(row, pytest.TestReport):
                path = row.nodeid.partition("::")[0].removeprefix("tests/")
                seconds[path] = seconds.get(path, 0.0) + row.duration
    found = pace.lines(seconds)
    if found:
        terminalreporter.section("longest files, as tests/longest.txt has them")
        terminalreporter.write_line("\n".join(found))
