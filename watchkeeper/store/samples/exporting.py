"""Samples in the forms other tools read: OpenMetrics text, VictoriaMetrics's JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.model import METRIC_NAME, Labels, Matcher, MatchOp, metric_name
from watchkeeper.model.series import FloatArray, IntArray, format_series
from watchkeeper.ports import SampleReader

#: Series read at once where the form asks for whole series: bounds memory.
SPAN_MS = 24 * 3600 * 1000

One = tuple[Labels, IntArray, FloatArray]
Rows = Iterator[One]


def export(reader: SampleReader, file: Path, form: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
    """Write every sample of the range; answers how many. Raises StoreError for a form nobody knows, or a full disk."""
    writer = FORMS.get(form)
    if writer is None:
        raise StoreError(f"there is no form {form!r}: choose one of {', '.join(FORMS)}")
    partial = file.with_name(file.name + ".partial")
    try:
        count = writer(rows(reader, matchers, start_ms, end_ms, by_name=form == "openmetrics"), partial)
        partial.replace(file)
    except OSError as error:
        raise StoreError(f"export to {file} failed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def rows(reader: SampleReader, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, by_name: bool) -> Rows:
    """(labels, times, values) of one series over at most a day at a time.

    OpenMetrics wants all samples of a metric together and each series in time order: ``by_name`` goes metric by metric.
    """
    if not by_name:
        yield from _days(reader, matchers, start_ms, end_ms)
        return
    for name in sorted({metric_name(labels) for labels in reader.series(matchers, start_ms, end_ms)}):
        wanted = [*matchers, Matcher(METRIC_NAME, MatchOp.EQUAL, name)]
        told: dict[Labels, list[tuple[IntArray, FloatArray]]] = defaultdict(list)
        for labels, times, values in _days(reader, wanted, start_ms, end_ms):
            told[labels].append((times, values))
        for labels in sorted(told):
            times, values = (np.concatenate(arrays) for arrays in zip(*told[labels], strict=True))
            order = np.argsort(times, kind="stable")
            yield labels, times[order], values[order]


def _days(reader: SampleReader, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Rows:
    for low in range(start_ms, end_ms + 1, SPAN_MS):
        for matrix in reader.select(matchers, low, min(low + SPAN_MS - 1, end_ms)):
            for row, labels in enumerate(matrix.series):
                there = matrix.present[row]
                yield labels, matrix.times[there], matrix.values[row, there]


def number(value: float) -> str:
    """As Prometheus's text forms write it; reads back to the same bits, NaN's payload aside."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def _openmetrics(found: Rows, file: Path) -> int:
    """What `promtool tsdb create-blocks-from openmetrics` takes. Every metric is of unknown type."""
    count, last = 0, ""
    with file.open("w", encoding="utf-8") as out:
        for labels, times, values in found:
            name = metric_name(labels)
            if name != last:
                out.write(f"# TYPE {name} unknown\n")
                last = name
            text = format_series(labels)
            out.writelines(
                f"{text} {number(value)} {at // 1000}.{at % 1000:03d}\n"
                for at, value in zip(times.tolist(), values.tolist(), strict=True)
            )
            count += len(times)
        out.write("# EOF\n")
    return count


def _jsonl(found: Rows, file: Path) -> int:
    """What VictoriaMetrics's /api/v1/import takes: one line per series and day."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        for labels, times, values in found:
            written = [value if math.isfinite(value) else _special(value) for value in values.tolist()]
            line = {"metric": dict(labels), "values": written, "timestamps": times.tolist()}
            out.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            count += len(times)
    return count


def _special(value: float) -> str | None:
    if math.isnan(value):
        return None
    return "Infinity" if value > 0 else "-Infinity"


def _csv(found: Rows, file: Path) -> int:
    """series,timestamp_ms,value"""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["series", "timestamp_ms", "value"])
        for labels, times, values in found:
            text = format_series(labels)
            writer.writerows(
                (text, at, number(value)) for at, value in zip(times.tolist(), values.tolist(), strict=True)
            )
            count += len(times)
    return count


def _parquet(found: Rows, file: Path) -> int:
    """Columns name, labels (JSON), timestamp_ms, value: for DuckDB, pandas, polars and Spark."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("name", text), ("labels", text), ("timestamp_ms", pa.int64()), ("value", pa.float64())])
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for labels, times, values in found:
            if not len(times):
                continue
            pairs = json.dumps({key: value for key, value in labels if key != METRIC_NAME}, ensure_ascii=False)
            constant = pa.array(np.zeros(len(times), dtype=np.int32))
            columns: list[Any] = [
                pa.DictionaryArray.from_arrays(constant, pa.array([word])) for word in (metric_name(labels), pairs)
            ]
            writer.write_table(pa.table([*columns, pa.array(times), pa.array(values)], schema=schema))
            count += len(times)
    return count


FORMS: dict[str, Callable[[Rows, Path], int]] = {
    "openmetrics": _openmetrics,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
}
