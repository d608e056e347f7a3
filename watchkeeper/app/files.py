"""Arithmetic on files for the command line: read, compute in one batch, write."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from watchkeeper.app.series_files import FileError, read_text


def forecast_path(source: Path, out: Path, horizon: int) -> None:
    """Forecast every series of a file in one batch."""
    from forecasting.evaluate import forecast_csv

    if horizon < 1:
        raise FileError("--horizon must be at least 1")
    text = read_text(source)
    _check_forecast(source, text)
    out.write_text(forecast_csv(text, horizon), encoding="utf-8")


def _check_forecast(path: Path, text: str) -> None:
    """Every row has a series, a date and a number or nothing. Raises FileError."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    lacking = [name for name in ("unique_id", "ds", "y") if name not in (reader.fieldnames or ())]
    if lacking:
        raise FileError(f"{path}: the header lacks {', '.join(lacking)}")
    for row in reader:
        try:
            _check_row(row)
        except ValueError as error:
            raise FileError(f"{path}:{reader.line_num}: {error}") from None
    if reader.line_num < 2:
        raise FileError(f"{path}: has no rows")


def _check_row(row: dict[str, str | None]) -> None:
    if not row["ds"] or np.isnat(np.datetime64(row["ds"], "ms")):
        raise ValueError("has no date in the column ds")
    for name in ("y", "lower", "upper"):
        float(row.get(name) or "nan")


def promql_conformance(files: list[Path], say: Callable[[str], None], *, verbose: bool) -> int:
    """Run conformance scripts; exit code 1 when one fails."""
    from watchkeeper.promql.conformance import run_files

    paths = [path for given in files for path in (sorted(given.glob("*.test")) if given.is_dir() else [given])]
    absent = [path for path in paths if not path.exists()]
    if absent or not paths:
        raise FileError(f"{absent[0] if absent else files[0]}: there is no such script")
    report = run_files(paths, verbose=verbose)
    for line in [*report.failures, *report.lines()]:
        say(line)
    return 0 if report.all_passed else 1
