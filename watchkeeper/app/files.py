"""Arithmetic on files for the command line: read, compute in one batch, write."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.errors import WatchkeeperError


class FileError(WatchkeeperError):
    """A data file that cannot be used; names file and row."""


def read_series(path: Path) -> tuple[Any, Any]:
    """(timestamps, values) of ``timestamp,value[,...]``; empty cells are NaN. Raises FileError."""
    rows = _rows(path)
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise FileError(f"{path}: needs a header and at least one row of timestamp,value")
    width = len(rows[0][1])
    cells = np.empty((len(rows) - 1, width))
    for at, (line, row) in enumerate(rows[1:]):
        if len(row) != width:
            raise FileError(f"{path}:{line}: has {len(row)} cells where the header has {width}")
        try:
            cells[at] = [float(cell) if cell.strip() else np.nan for cell in row]
        except ValueError as error:
            raise FileError(f"{path}:{line}: a cell is not a number ({error})") from None
        if not row[0].strip():
            raise FileError(f"{path}:{line}: has no timestamp")
    return cells[:, 0], cells[:, 1] if cells.shape[1] == 2 else cells[:, 1:]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of each row that is not empty."""
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise FileError(f"{path}:{reader.line_num}: is no CSV ({error})") from None


def detect_path(source: Path, out: Path, interval: float, warmup: int) -> None:
    """Score one file, or every series of a directory in one batch (meta.csv: file,interval,warmup)."""
    from detectors.evaluate import score_batch

    if not source.is_dir():
        jobs = [(source, out, {"id": source.stem, "interval_s": interval or None, "warmup": warmup})]
    else:
        out.mkdir(parents=True, exist_ok=True)
        about = _meta(source / "meta.csv")
        files = sorted(path for path in source.glob("*.csv") if path.name != "meta.csv")
        jobs = [(path, out / path.name, {"id": path.stem, **about.get(path.name, {})}) for path in files]
    if not source.exists() or not jobs:
        raise FileError(f"{source}: there is nothing to score")
    series = [(*read_series(path), {"warmup": 0, "interval_s": None, **meta}) for path, _, meta in jobs]
    for (_, target, _), (times, _, _), (score, alarm) in zip(jobs, series, score_batch(series), strict=True):
        with open(target, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["timestamp", "score", "is_anomaly"])
            writer.writerows(
                [f"{when:.10g}", "" if np.isnan(one) else f"{one:.6g}", int(flag)]
                for when, one, flag in zip(times, np.asarray(score), np.asarray(alarm), strict=True)
            )


def _meta(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    found = {}
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    for row in reader:
        try:
            interval, warmup = float(row["interval"] or 0) or None, int(float(row["warmup"] or 0))
            found[row["file"]] = {"interval_s": interval, "warmup": warmup}
        except (KeyError, ValueError) as error:
            raise FileError(f"{path}:{reader.line_num}: needs file,interval,warmup with numbers ({error})") from None
    return found


def forecast_path(source: Path, out: Path, horizon: int) -> None:
    """Forecast every series of a file in one batch."""
    from forecasting.evaluate import forecast_csv

    if horizon < 1:
        raise FileError("--horizon must be at least 1")
    text = _text(source)
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
