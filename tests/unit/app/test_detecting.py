"""``watchkeeper detect``: what it reads, what it writes, and how it names the place of a mistake."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from watchkeeper.app.asking_series import is_query, span_of
from watchkeeper.app.cli import app
from watchkeeper.app.detecting import How, detect_path
from watchkeeper.app.series_files import FileError, ordered, read_table
from watchkeeper.errors import ConfigError

STEP, BEGIN = 300, 1_700_000_000
SPIKE = 350
PLAIN = How()


def values(length: int = 400, spike: int = SPIKE) -> list[float]:
    return [round(math.sin(at) + (50.0 if at == spike else 0.0), 4) for at in range(length)]


def text_of(stamps: Sequence[object], rows: Sequence[object], head: str = "timestamp,value", between: str = ",") -> str:
    return "\n".join([head, *(f"{when}{between}{row}" for when, row in zip(stamps, rows, strict=True)), ""])


STAMPS = [BEGIN + at * STEP for at in range(400)]


def written(folder: Path, text: str | bytes, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scored(source: Path, how: How = PLAIN, *, said: list[str] | None = None) -> list[dict[str, str]]:
    out, heard = source.parent / "out.csv", list[str]() if said is None else said
    detect_path(source, out, how, heard.append, print)
    return rows_of(out)


def alarms(rows: Sequence[dict[str, str]]) -> list[int]:
    return [at for at, row in enumerate(rows) if row["is_anomaly"] == "1"]


def iso(form: str) -> Callable[[int], str]:
    return lambda second: datetime.fromtimestamp(second, UTC).strftime(form)


def test_it_writes_one_row_for_each_and_finds_the_spike(tmp_path: Path) -> None:
    rows = scored(written(tmp_path, text_of(STAMPS, values())), How(interval=STEP))
    assert [row["timestamp"] for row in rows] == [str(one) for one in STAMPS]
    assert alarms(rows) == [SPIKE]
    assert rows[0]["score"] == "", "the first sample cannot be judged, and 0 would be a guess"


@pytest.mark.parametrize(
    "stamp",
    [
        lambda second: second * 1000,
        lambda second: second * 1_000_000_000,
        iso("%Y-%m-%dT%H:%M:%S+00:00"),
        iso("%Y-%m-%dT%H:%M:%SZ"),
        iso("%Y-%m-%d %H:%M:%S"),
        iso("%Y/%m/%d %H:%M:%S"),
    ],
)
def test_times_may_be_written_in_any_usual_way_and_come_back_as_they_were(
    tmp_path: Path, stamp: Callable[[int], object]
) -> None:
    usual = scored(written(tmp_path, text_of(STAMPS, values())))
    stamps = [stamp(one) for one in STAMPS]
    rows = scored(written(tmp_path, text_of(stamps, values())))
    assert [row["timestamp"] for row in rows] == [str(one) for one in stamps]
    assert [row["score"] for row in rows] == [row["score"] for row in usual]


def test_rows_out_of_order_and_times_that_come_twice_are_told_and_scored_in_the_order_of_time(tmp_path: Path) -> None:
    usual = scored(written(tmp_path, text_of(STAMPS, values())))
    order = np.random.default_rng(1).permutation(400)
    places = [*order.tolist(), int(order[0])]
    said: list[str] = []
    mixed = text_of([STAMPS[at] for at in places], [values()[at] for at in places])
    rows = scored(written(tmp_path, mixed), said=said)
    assert [row["score"] for row in rows] == [usual[at]["score"] for at in places]
    assert any("scored in the order of time" in one for one in said)
    assert any("1 time stamps occur again" in one for one in said)


def test_a_file_without_header_loses_no_row_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    rows = scored(written(tmp_path, text_of(STAMPS, values()).partition("\n")[2]), said=said)
    assert len(rows) == 400
    assert any("there is no header" in one for one in said)


@pytest.mark.parametrize(("between", "decimal"), [(";", ","), ("\t", ".")])
def test_spreadsheets_of_other_places_are_read(tmp_path: Path, between: str, decimal: str) -> None:
    cells = [str(one).replace(".", decimal) for one in values()]
    text = text_of(STAMPS, cells, f"time{between}cpu", between)
    table = read_table(written(tmp_path, text))
    assert table.values[:, 0].tolist() == values()


def test_labels_are_no_metric_and_columns_may_be_chosen(tmp_path: Path) -> None:
    rows = [f"web-1,{one},{int(at == SPIKE)}" for at, one in enumerate(values())]
    path = written(tmp_path, text_of(STAMPS, rows, "ts,host,cpu,label"))
    with pytest.raises(FileError, match="--columns"):
        read_table(path)
    table = read_table(path, ["cpu"])
    assert (table.columns, table.values.shape) == (["cpu"], (400, 1))
    assert np.flatnonzero(table.label).tolist() == [SPIKE]
    with pytest.raises(FileError, match="has no column 'mem'; it has ts, host, cpu, label"):
        read_table(path, ["mem"])


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ms"), pa.timestamp("us", tz="UTC")])
def test_parquet_says_the_same_as_csv(tmp_path: Path, kind: pa.DataType) -> None:
    usual = scored(written(tmp_path, text_of(STAMPS, values())))
    unit = {"timestamp[ms]": 1000, "timestamp[us, tz=UTC]": 1_000_000}.get(str(kind), 1)
    table = pa.table(
        {"timestamp": pa.array([one * unit for one in STAMPS], pa.int64()).cast(kind), "value": values(),
         "label": pa.array([0] * 400, pa.uint8())}
    )  # fmt: skip
    path = tmp_path / "in.parquet"
    pq.write_table(table, path)
    assert [row["score"] for row in scored(path)] == [row["score"] for row in usual]
    detect_path(path, tmp_path / "out.parquet", How(), print, print)
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["timestamp", "score", "is_anomaly"]


def test_a_folder_is_scored_series_by_series_with_its_own_interval(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    written(folder, text_of(STAMPS, values()), "a.csv")
    written(folder, text_of(STAMPS, values(spike=-1)), "b.csv")
    pq.write_table(pa.table({"timestamp": STAMPS, "value": values()}), folder / "c.parquet")
    written(folder, "file,interval,warmup\na.csv,300,10\nb.csv,,\n", "meta.csv")
    detect_path(folder, out, How(), print, print)
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "b.csv", "c.parquet"]
    assert (alarms(rows_of(out / "a.csv")), alarms(rows_of(out / "b.csv"))) == ([SPIKE], [])


def test_rows_of_the_warm_up_ring_no_alarm(tmp_path: Path) -> None:
    path = written(tmp_path, text_of(STAMPS, values()))
    assert alarms(scored(path, How(warmup=SPIKE))) == [SPIKE]
    assert alarms(scored(path, How(warmup=SPIKE + 1))) == []


@pytest.mark.parametrize("kind", ["ewma", "robust_zscore", "rate_of_change"])
def test_another_detector_may_be_asked_with_options(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, text_of(STAMPS, values()))
    assert SPIKE in alarms(scored(path, How(detector=kind)))
    with pytest.raises(ConfigError, match="wndow"):
        scored(path, How(detector=kind, options={"wndow": 3}))


def test_without_out_the_alarms_are_printed(tmp_path: Path) -> None:
    path = written(tmp_path, text_of(STAMPS, values()))
    said = CliRunner().invoke(app, ["detect", str(path)]).output
    assert "400 samples" in said
    assert f"{STAMPS[SPIKE]}  score" in said


def test_several_columns_are_one_thing_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "\ufefftimestamp,a,b\r\n1,2,\r\n\r\n2,3,4\r\n"))
    assert ordered(table).times.tolist() == [1.0, 2.0]
    assert table.values.shape == (2, 2)
    assert math.isnan(table.values[0, 1])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("timestamp,value\n1,2\n2,x\n", r"in\.csv:3: a cell is not a number .*'x'"),
        ("timestamp,value\n1,2\n\n2,3,4\n", r"in\.csv:4: has 3 cells where the header has 2"),
        ("timestamp,value\n,2\n", r"in\.csv:2: has no timestamp"),
        ("timestamp,value\n1,2\nsoon,2\n", r"in\.csv:3: 'soon' is no time"),
        ("timestamp,value\n1,2\n2026-01-01,2\n", r"in\.csv: some times are numbers and some are dates"),
        ("timestamp,value\nnan,2\n", r"in\.csv:2: 'nan' is no time"),
        ("timestamp,value\n", r"in\.csv: needs a header and at least one row"),
        ("", r"in\.csv: needs a header"),
        (b"timestamp,value\n1,\xff\n", r"in\.csv: is not UTF-8 text"),
    ],
)
def test_a_mistake_in_a_series_is_named_with_file_and_row(text: str | bytes, place: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=place):
        scored(written(tmp_path, text))
    assert not (tmp_path / "out.csv").exists()


def test_what_is_no_parquet_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"in\.parquet: is no Parquet file"):
        scored(written(tmp_path, "timestamp,value\n1,2\n", "in.parquet"))


@pytest.mark.parametrize("meta", ["file,interval,warmup\na.csv,fast,0\n", "name,interval,warmup\na.csv,1,0\n"])
def test_a_mistake_in_meta_is_named_with_file_and_row(meta: str, tmp_path: Path) -> None:
    written(tmp_path, text_of(STAMPS, values()), "a.csv")
    written(tmp_path, meta, "meta.csv")
    with pytest.raises(FileError, match=r"meta\.csv:2: needs file,interval,warmup"):
        detect_path(tmp_path, tmp_path / "out", How(), print, print)


def test_nothing_to_score_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("empty", "absent.csv"):
        with pytest.raises(FileError, match="there is nothing to score"):
            detect_path(tmp_path / source, tmp_path / "out", How(), print, print)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up", True),
        ('rate(http_requests_total{path="/api"}[5m])', True),
        ("a / b", True),
        ("missing.csv", False),
        ("folder/missing.parquet", False),
        ("./folder/", False),
        ("rules.yaml", False),
    ],
)
def test_a_question_is_told_from_the_name_of_a_file(text: str, expected: bool) -> None:
    assert is_query(text) is expected


@pytest.mark.parametrize(("since", "step"), [("soon", "1m"), ("1m", "1h"), ("1y", "1s")])
def test_a_span_that_cannot_be_is_refused_with_what_to_write(since: str, step: str) -> None:
    with pytest.raises(FileError, match="--since"):
        span_of(since, step)
