"""Small helpers to ask PromQL of series written in a line."""

from __future__ import annotations

from datetime import timedelta

from watchkeeper.promql import Engine, MemoryReader, QueryLimits, RangeMatrix, Scalar, Vector
from watchkeeper.promql.conformance import run_script

MINUTE = 60_000


def engine(text: str = "", *, interval: str = "1m", lookback: timedelta = timedelta(minutes=5)) -> Engine:
    """An engine over series in Prometheus's test notation, one a line."""
    return Engine(MemoryReader().load(interval, text), lookback=lookback, limits=QueryLimits())


def ask(over: Engine | str, expr: str, minute: float = 0) -> dict[tuple[str, ...], float]:
    """The instant answer at a minute, as {(label values but for the name ..., name last if there is one): value}."""
    source = engine(over) if isinstance(over, str) else over
    answer = source.instant(expr, int(minute * MINUTE))
    if isinstance(answer, Scalar):
        return {(): answer.value}
    assert isinstance(answer, Vector)
    return {_short(series): value for series, value in zip(answer.series, answer.values.tolist(), strict=True)}


def _short(series: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    values = [value for name, value in series if name != "__name__"]
    return (*values, *(value for name, value in series if name == "__name__"))


def steps(over: Engine, expr: str, start: int, end: int, step: int = 1) -> RangeMatrix:
    """The range answer over minutes."""
    return over.range(expr, start * MINUTE, end * MINUTE, step * MINUTE)


def verdicts(script: str) -> list[tuple[str, str, str]]:
    """(outcome, place, reason) of every eval of a conformance script that did not pass."""
    found = [(verdict.outcome, verdict.place, verdict.reason) for verdict in run_script(script)]
    return [one for one in found if one[0] != "passed"]
