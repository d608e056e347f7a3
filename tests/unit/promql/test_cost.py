"""What a question would cost is what it then costs."""

from __future__ import annotations

import pytest

from watchkeeper.errors import QueryError
from watchkeeper.promql import Engine, MemoryReader, QueryLimits

HOUR = 3_600_000


@pytest.fixture
def reader() -> MemoryReader:
    return MemoryReader().load("15s", 'a_total{i="1"} 0+1x480\na_total{i="2"} 0+2x480\nb 1x480')


def test_series_samples_and_points_of_a_range_question(reader: MemoryReader) -> None:
    found = Engine(reader).cost("sum(rate(a_total[5m])) / b", HOUR, 2 * HOUR, 60_000)
    assert found.steps == 61
    assert [one.series for one in found.selectors] == [2, 1]
    assert found.selectors[0].start_ms == HOUR - 300_000 + 1
    assert found.selectors[0].samples == pytest.approx(2 * 65 * 4, rel=0.05)
    assert found.points == 3 * 61
    assert found.samples == sum(one.samples for one in found.selectors) + found.points
    assert not found.over


def test_an_offset_moves_what_is_read(reader: MemoryReader) -> None:
    (selector,) = Engine(reader).cost("b offset 10m", HOUR, HOUR, 0).selectors
    assert selector.end_ms == HOUR - 600_000
    assert selector.start_ms == HOUR - 900_000 + 1


def test_what_is_told_to_be_over_the_limit_is_refused_when_asked(reader: MemoryReader) -> None:
    tight = Engine(reader, limits=QueryLimits(max_samples=500))
    assert tight.cost("rate(a_total[5m])", HOUR, 2 * HOUR, 60_000).over
    with pytest.raises(QueryError, match="too many samples") as refused:
        tight.range("rate(a_total[5m])", HOUR, 2 * HOUR, 60_000)
    assert refused.value.kind == "execution"
    assert not tight.cost("rate(a_total[1m])", HOUR, HOUR, 0).over
    tight.instant("rate(a_total[1m])", HOUR)


def test_nothing_there_costs_nothing(reader: MemoryReader) -> None:
    found = Engine(reader).cost("nobody + 1", 0, HOUR, 15_000)
    assert (found.samples, found.points, found.selectors[0].series) == (0, 0, 0)


def test_a_broken_question_is_refused(reader: MemoryReader) -> None:
    with pytest.raises(QueryError, match="parse error"):
        Engine(reader).cost("sum(", 0, HOUR, 15_000)
