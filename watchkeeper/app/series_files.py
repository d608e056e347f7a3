"""Series out of people's files: CSV as spreadsheets and scripts write it, and Parquet. What is odd is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.app.series_times import UNREADABLE, seconds_of
from watchkeeper.errors import WatchkeeperError

#: Names of the column of times, in small letters; without one it is the first column.
TIMES = ("timestamp", "time", "ts", "ds", "date", "datetime", "@timestamp", "时间", "日期")
#: Columns that say what people think of the rows: never taken for samples.
LABELS = ("label", "is_anomaly", "anomaly")


class FileError(WatchkeeperError):
    """A data file that cannot be used; names file and row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """One file in its own order. ``times`` in seconds since the epoch, ``values`` [row, column], NaN unknown."""

    stamps: Sequence[str]  #: the times as the file writes them
    times: Any
    values: Any
    columns: Sequence[str]
    label: Any = None  #: [row] of True where people called it odd; None: nobody did
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """A table by time, each moment once."""

    times: Any
    values: Any
    place: Any  #: [row of the table] -> row here


def read_table(path: Path, columns: Sequence[str] = ()) -> Table:
    """A file's series; ``columns``: those wanted, else all but times and labels. Raises FileError."""
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    return _parquet(path, columns) if path.suffix == ".parquet" else _csv(path, columns)


def ordered(table: Table) -> Ordered:
    """By time; of rows with the same time the last one counts. Adds to the table's notes what was done."""
    moments, place = np.unique(table.times, return_inverse=True)
    last = np.zeros(len(moments), np.int64)
    last[place] = np.arange(len(place))  # of several, the last assignment stays
    if late := int(np.count_nonzero(np.diff(table.times) < 0)):
        table.notes.append(f"{late} rows are earlier than the row before them; they are scored in the order of time")
    if twice := len(table.times) - len(moments):
        table.notes.append(f"{twice} time stamps occur again; of each the last row counts")
    return Ordered(moments, table.values[last], place)


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv(path: Path, wanted: Sequence[str]) -> Table:
    rows, separator = _rows(path)
    notes: list[str] = []
    if rows and len(rows[0][1]) > 1 and all(_is_cell(cell) for cell in rows[0][1]):
        names = ["timestamp", *(f"value{at}" if at else "value" for at in range(len(rows[0][1]) - 1))]
        rows = [(0, names), *rows]
        notes.append("there is no header: the first row is taken for samples, the first column for times")
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise FileError(f"{path}: needs a header and at least one row of timestamp,value")
    names = [name.strip() for name in rows[0][1]]
    for line, row in rows[1:]:
        if len(row) != len(names):
            raise FileError(f"{path}:{line}: has {len(row)} cells where the header has {len(names)}")
    when, label, chosen = _chosen(path, names, wanted)
    stamps = [row[when].strip() for _, row in rows[1:]]
    values = np.empty((len(stamps), len(chosen)))
    comma = separator == ";"  # where cells are kept apart by semicolons, a comma is a decimal point
    for at, (line, row) in enumerate(rows[1:]):
        try:
            values[at] = [_number(row[one], comma=comma) for one in chosen]
        except ValueError as error:
            raise FileError(
                f"{path}:{line}: a cell is not a number ({error}); name the columns to score with --columns"
            ) from None
    told = None if label is None else np.array([row[label].strip() not in ("", "0", "0.0") for _, row in rows[1:]])
    times = _times(path, stamps, [line for line, _ in rows[1:]])
    return Table(stamps=stamps, times=times, values=values, columns=[names[one] for one in chosen], label=told,
                 notes=notes)  # fmt: skip


def _rows(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """(line, cells) of each row that is not empty, and what stands between cells."""
    text = read_text(path)
    head = text[: text.find("\n")] if "\n" in text else text
    separator = "," if "," in head else next((one for one in (";", "\t") if one in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [(reader.line_num, row) for row in reader if row], separator
    except csv.Error as error:
        raise FileError(f"{path}:{reader.line_num}: is no CSV ({error})") from None


def read_text(path: Path) -> str:
    """Raises FileError where there is none, or not in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None


def _is_cell(cell: str) -> bool:
    """Whether it is a number or a time, as no name of a column is."""
    try:
        float(cell)
    except ValueError:
        return bool(seconds_of([cell]) is not UNREADABLE)
    return True


def _number(cell: str, *, comma: bool) -> float:
    cell = cell.strip()
    return float(cell.replace(",", ".") if comma and cell.count(",") == 1 else cell) if cell else float("nan")


# --- Parquet ---------------------------------------------------------------------------------------------------------


def _parquet(path: Path, wanted: Sequence[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from None
    except pa.ArrowException as error:
        raise FileError(f"{path}: is no Parquet file ({error})") from None
    if not table.num_rows or table.num_columns < 2:
        raise FileError(f"{path}: needs a column of times, one of values, and a row")
    when, label, chosen = _chosen(path, table.column_names, wanted)
    moments = table.column(when)
    if moments.null_count:
        raise FileError(f"{path}: row {int(np.argmax(moments.is_null().to_numpy())) + 1} has no timestamp")
    if pa.types.is_timestamp(moments.type) or pa.types.is_date(moments.type):
        kept = moments.cast(pa.timestamp("ns", tz=getattr(moments.type, "tz", None))).to_pandas()
        stamps = [one.isoformat() for one in kept]
        times = kept.to_numpy("datetime64[ns]").astype(np.int64) / 1e9
    else:
        stamps = [str(one) for one in moments.to_pylist()]
        times = _times(path, stamps, range(1, len(stamps) + 1))
    values = np.column_stack([_column(path, table, one) for one in chosen])
    told = None if label is None else np.nan_to_num(_column(path, table, label)) != 0
    return Table(stamps=stamps, times=times, values=values, columns=[table.column_names[one] for one in chosen],
                 label=told)  # fmt: skip


def _column(path: Path, table: Any, place: int) -> Any:
    import pyarrow as pa

    try:
        return table.column(place).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    except pa.ArrowException:
        name = table.column_names[place]
        raise FileError(f"{path}: column {name} is no numbers; name the columns to score with --columns") from None


# --- both ------------------------------------------------------------------------------------------------------------


def _chosen(path: Path, names: Sequence[str], wanted: Sequence[str]) -> tuple[int, int | None, list[int]]:
    """(column of times, column of labels, columns of values)."""
    small = [name.strip().lower() for name in names]
    when = next((small.index(name) for name in TIMES if name in small), 0)
    label = next((at for at, name in enumerate(small) if name in LABELS and at != when), None)
    if lacking := [name for name in wanted if name not in names]:
        raise FileError(f"{path}: has no column {lacking[0]!r}; it has {', '.join(names)}")
    chosen = [list(names).index(name) for name in wanted]
    chosen = chosen or [at for at in range(len(names)) if at not in (when, label)]
    if not chosen:
        raise FileError(f"{path}: has no column of values beside {names[when]}")
    return when, label, chosen


def _times(path: Path, stamps: Sequence[str], lines: Sequence[int]) -> Any:
    found = seconds_of(stamps)
    if found is not UNREADABLE:
        return found
    for line, stamp in zip(lines, stamps, strict=True):
        if not stamp:
            raise FileError(f"{path}:{line}: has no timestamp")
        if seconds_of([stamp]) is UNREADABLE:
            raise FileError(f"{path}:{line}: {stamp!r} is no time: seconds, milliseconds or 2026-11-30T12:00:00+08:00")
    raise FileError(f"{path}: some times are numbers and some are dates")
