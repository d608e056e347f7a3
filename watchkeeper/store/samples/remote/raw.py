"""Samples as they were written, asked of the server's query API: ``{matchers}[window]`` at one moment.

Every Prometheus-compatible server answers this; remote read, which Prometheus also has, VictoriaMetrics has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matcher, Matrix
from watchkeeper.model.series import FloatArray, IntArray, MatchOp
from watchkeeper.store.samples.remote.server import TOO_MUCH, Server, ServerError

#: A window whose answer is too large is halved, but not below this.
LEAST_MS = 60_000
#: Servers count nanoseconds in 64 bits; a window from 1970 on fits into them until 2255.
LAST_MS = 9_000_000_000_000
#: Each series with its times (milliseconds, ascending) and values; a sample that is an end is NaN.
Rows = dict[Labels, tuple[IntArray, FloatArray]]


def selector(matchers: Sequence[Matcher]) -> str:
    """The matchers as every server takes them. Prometheus wants one that does not fit the empty word."""
    written = [f'{one.name}{one.op}"{escaped(one.value)}"' for one in matchers]
    if not any(one.op is MatchOp.EQUAL and one.value for one in matchers):
        written.append('__name__!=""')
    return "{" + ",".join(written) + "}"


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def read(server: Server, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Rows:
    """Every sample with start <= t <= end. Raises QueryError."""
    start_ms, end_ms = max(start_ms, 0), min(end_ms, LAST_MS)
    if end_ms < start_ms:
        return {}
    try:
        found = _ask(server, matchers, start_ms, end_ms)
    except ServerError as error:
        too_much = error.reason == "too_large" or (error.reason == "refused" and error.kind in TOO_MUCH)
        if not too_much or end_ms - start_ms < 2 * LEAST_MS:
            raise query_error(error) from error
        middle = (start_ms + end_ms) // 2
        return _joined(read(server, matchers, start_ms, middle), read(server, matchers, middle + 1, end_ms))
    return found


def _ask(server: Server, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Rows:
    query = f"{selector(matchers)}[{end_ms - start_ms + 1}ms]"
    asked = [("query", query), ("time", f"{end_ms / 1000:.3f}"), ("nocache", "1")]
    data = server.ask("/api/v1/query", asked)
    try:
        if data["resultType"] != "matrix":
            raise ValueError("no matrix")
        rows = {_labels(row["metric"]): _samples(row["values"]) for row in data["result"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ServerError("an answer that is no matrix of samples", reason="not_prometheus") from None
    return {series: _cut(times, values, start_ms, end_ms) for series, (times, values) in rows.items()}


def _labels(metric: Mapping[str, str]) -> Labels:
    return tuple(sorted(metric.items()))


def _samples(points: Sequence[Any]) -> tuple[IntArray, FloatArray]:
    """Servers write times in seconds with up to three decimals."""
    times = np.rint(np.array([point[0] for point in points], dtype=np.float64) * 1000).astype(np.int64)
    return times, np.array([float(point[1]) for point in points], dtype=np.float64)


def _cut(times: IntArray, values: FloatArray, start_ms: int, end_ms: int) -> tuple[IntArray, FloatArray]:
    """Only what was asked for, each time once: some servers close windows on both sides, some keep repeats."""
    keep = (times >= start_ms) & (times <= end_ms)
    if len(times) > 1:
        keep[1:] &= np.diff(times) > 0
    return (times, values) if keep.all() else (times[keep], values[keep])


def _joined(older: Rows, newer: Rows) -> Rows:
    joined = dict(older)
    for series, (times, values) in newer.items():
        if series in joined:
            before = joined[series]
            times, values = np.concatenate([before[0], times]), np.concatenate([before[1], values])
        joined[series] = (times, values)
    return joined


def matrices(rows: Rows) -> list[Matrix]:
    """Series that share their times share a matrix. A NaN is an end: a server tells staleness so, or not at all."""
    groups: dict[bytes, list[Labels]] = {}
    for series, (times, values) in rows.items():
        if len(times) and not np.isnan(values).all():
            groups.setdefault(times.tobytes(), []).append(series)
    return [_matrix(rows, members) for members in groups.values()]


def _matrix(rows: Rows, members: Iterable[Labels]) -> Matrix:
    series = tuple(members)
    values = np.array([rows[one][1] for one in series], dtype=np.float64)
    return Matrix(series=series, times=rows[series[0]][0], values=values, present=~np.isnan(values))


def query_error(error: ServerError) -> QueryError:
    """What a question hears when the server cannot answer: it is unknown, and why."""
    if error.reason == "refused" and error.kind == "bad_data":
        return QueryError(str(error))
    return QueryError(str(error), kind="timeout" if error.reason == "timeout" else "execution")
