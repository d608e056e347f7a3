"""Forecasts of a CSV file's text: unique_id,ds,y[,lower,upper] in, quantile paths out. Reads and writes no file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from watchkeeper.model import Forecast, Matrix, labels
from watchkeeper.model.series import FloatArray, IntArray

from . import candidates
from .base import Bounds, future_times, seasons_of
from .engine import Method, forecast

HEADER = ("unique_id", "ds", "mean", "lo80", "hi80", "lo95", "hi95")
#: Quantiles in the order of the header.
ORDER = (0.5, 0.1, 0.9, 0.025, 0.975)
#: Known samples below which only the last value is repeated.
LEAST = 8
#: Newest samples used, by season: six weeks of hours, two years of days, ten years of weeks.
MOST_HISTORY = {24: 1008, 7: 730, 52: 520}


@dataclass(slots=True)
class Column:
    """One series of the file."""

    moments: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lower: float = -np.inf
    upper: float = np.inf


def forecast_csv(text: str, horizon: int) -> str:
    """The CSV answer: one row a series and step; cells are empty where nothing can be said.

    Raises ValueError when a column is missing or a cell is no number or date.
    """
    columns = _read(text)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for group in _alike(columns).values():
        times = _times(group[0][1].moments)
        for (name, _), rows in zip(group, _paths(group, times, horizon), strict=True):
            for moment, path in zip(_format(future_times(times, horizon)), rows, strict=True):
                writer.writerow([name, moment, *("" if np.isnan(cell) else f"{cell:.10g}" for cell in path)])
    return out.getvalue()


def _read(text: str) -> dict[str, Column]:
    reader = csv.DictReader(io.StringIO(text))
    lacking = {"unique_id", "ds", "y"} - set(reader.fieldnames or ())
    if lacking:
        raise ValueError(f"the file lacks the column {', '.join(sorted(lacking))}")
    columns: dict[str, Column] = {}
    for row in reader:
        column = columns.setdefault(row["unique_id"], Column())
        column.moments.append(row["ds"])
        column.values.append(float(row["y"]) if row["y"] else np.nan)
        if len(column.values) == 1:
            column.lower = float(row.get("lower") or -np.inf)
            column.upper = float(row.get("upper") or np.inf)
    return {name: _in_order(column) for name, column in columns.items()}


def _in_order(column: Column) -> Column:
    """Rows by time; ISO dates sort as text."""
    if all(before < after for before, after in pairwise(column.moments)):
        return column
    ranked = sorted(dict(zip(column.moments, column.values, strict=True)).items())
    return Column([moment for moment, _ in ranked], [value for _, value in ranked], column.lower, column.upper)


def _alike(columns: dict[str, Column]) -> dict[tuple[str, str, int], list[tuple[str, Column]]]:
    """Series with the same time column go through the arithmetic together."""
    groups: dict[tuple[str, str, int], list[tuple[str, Column]]] = {}
    for name, column in columns.items():
        groups.setdefault((column.moments[0], column.moments[-1], len(column.moments)), []).append((name, column))
    return groups


def _times(moments: list[str]) -> IntArray:
    return np.array(moments, dtype="datetime64[ms]").astype(np.int64)


def _format(times: IntArray) -> Iterable[str]:
    return (str(moment).replace("T", " ") for moment in times.astype("datetime64[ms]").astype("datetime64[s]"))


def _paths(group: list[tuple[str, Column]], times: IntArray, horizon: int) -> FloatArray:
    """[series, step, column of the answer]."""
    values = np.array([column.values for _, column in group])
    bounds = Bounds(np.array([column.lower for _, column in group]), np.array([column.upper for _, column in group]))
    matrix = Matrix(
        series=tuple(labels(None, {"unique_id": name}) for name, _ in group),
        times=times,
        values=values,
        present=~np.isnan(values),
    )
    seasons = seasons_of(times)
    method = Method(
        name="combined",
        candidates=candidates.unlike,
        min_history=LEAST,
        most_history=MOST_HISTORY.get(seasons[0], 400) if seasons else 2016,
    )
    answers = forecast(method, matrix, horizon, bounds)
    return np.stack([_path(answer, row, horizon) for answer, row in zip(answers, bounds.clip(values), strict=True)])


def _path(answer: Forecast, history: FloatArray, horizon: int) -> FloatArray:
    if not answer.unknown:
        return np.stack([answer.quantiles[quantile] for quantile in ORDER], axis=1)
    known = history[~np.isnan(history)]
    last = known[-1] if len(known) else np.nan
    return np.full((horizon, len(ORDER)), last)
