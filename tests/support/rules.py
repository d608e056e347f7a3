"""Builders for rule and incident tests: series in memory, queries over them, a real state database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.states import hurry, made_already

from watchkeeper.clock import from_ms, to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Labels
from watchkeeper.ports import Query
from watchkeeper.promql import Engine, MemoryReader, Scalar, Vector, selectors
from watchkeeper.store.state import State, sqlite_url

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ask = Query


def query_over(reader: MemoryReader) -> Ask:
    """PromQL over the reader's samples."""
    engine = Engine(reader)

    def query(expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        answer = engine.instant(expr, to_ms(at))
        if isinstance(answer, Scalar):
            return [((), answer.value)]
        assert isinstance(answer, Vector)
        return list(zip(answer.series, answer.values.tolist(), strict=True))

    return query


def newest_over(reader: MemoryReader) -> Callable[[str, datetime], datetime | None]:
    """Time of the newest sample of the expression's selectors in the last hour."""

    def newest(expr: str, at: datetime) -> datetime | None:
        end = to_ms(at)
        found = [
            int(matrix.times[-1])
            for matchers, _, _ in selectors(expr)
            for matrix in reader.select(matchers, end - 3_600_000, end)
        ]
        return from_ms(max(found)) if found else None

    return newest


def failing(expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
    """A query that never answers."""
    raise QueryError("query timed out", kind="timeout")


def state_at(path: Path) -> State:
    """A real SQLite state database with every table, which does not wait for the disk."""
    made_already(path)
    state = State(sqlite_url(path))
    hurry(state)
    return state


def at(seconds: float) -> datetime:
    """Seconds after the start of time, where test series begin."""
    return EPOCH + timedelta(seconds=seconds)
