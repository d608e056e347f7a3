"""Series of the running engine by a PromQL question, over a span that one answer need not hold."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np

from watchkeeper.app.client import Client
from watchkeeper.app.series_files import FileError
from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matrix
from watchkeeper.promql.durations import duration_ms

#: Steps that are asked for at once.
AT_ONCE = 5000
#: Series and steps at most.
SERIES, STEPS = 500, 100_000
#: What looks like a name of a file and not like a question.
FILE_LIKE = re.compile(r"[\w.~-]*/[^({\s]*|[^({]+\.(csv|parquet|ya?ml|txt|json|gz)", re.IGNORECASE)


def is_query(text: str) -> bool:
    """Whether it is meant as PromQL: no such file, and not the name of one."""
    return not Path(text).exists() and not FILE_LIKE.fullmatch(text)


def span_of(since: str, step: str) -> tuple[int, int]:
    """(milliseconds of the span, of a step). Raises FileError where they are none, or too many steps."""
    try:
        span, every = duration_ms(since), duration_ms(step)
    except QueryError as error:
        raise FileError(f"--since {since} --step {step}: {error}; write 7d, 12h or 30s") from None
    if span < every or every <= 0:
        raise FileError(f"--since {since} is shorter than one --step of {step}")
    if span // every > STEPS:
        raise FileError(f"--since {since} is {span // every} steps of {step}, more than {STEPS}; take a longer --step")
    return span, every


def ask(client: Client, expr: str, since: str, step: str) -> Matrix:
    """The question's answer on a grid up to now. Raises FileError where nothing is stored, ClientError."""
    span, every = span_of(since, step)
    end = int(time.time() * 1000) // every * every
    times = np.arange(end - span // every * every, end + 1, every, dtype=np.int64)
    rows: dict[Labels, np.ndarray] = {}
    for at in range(0, len(times), AT_ONCE):
        part = times[at : at + AT_ONCE]
        answer = client.get(
            "/api/v1/query_range", query=expr, start=part[0] / 1000, end=part[-1] / 1000, step=every / 1000
        )
        if answer["data"]["resultType"] != "matrix":
            raise FileError(f"{expr}: answers a {answer['data']['resultType']}, not series over time")
        for one in answer["data"]["result"]:
            series = tuple(sorted(one["metric"].items()))
            if series not in rows and len(rows) >= SERIES:
                raise FileError(f"{expr}: answers more than {SERIES} series; name fewer")
            into = rows.setdefault(series, np.full(len(times), np.nan))
            found = np.array([[float(when), float(value)] for when, value in one["values"]])
            into[np.rint((found[:, 0] * 1000 - times[0]) / every).astype(np.int64)] = found[:, 1]
    if not rows:
        raise FileError(f"{expr}: nothing is stored of it in the last {since}")
    values = np.stack(list(rows.values()))
    return _from_the_first(Matrix(series=tuple(rows), times=times, values=values, present=~np.isnan(values)))


def _from_the_first(whole: Matrix) -> Matrix:
    """Without the steps before anything was stored."""
    first = int(np.argmax(whole.present.any(axis=0)))
    return Matrix(
        series=whole.series,
        times=whole.times[first:],
        values=np.ascontiguousarray(whole.values[:, first:]),
        present=np.ascontiguousarray(whole.present[:, first:]),
    )
