"""`watchkeeper store`: the samples on disk, looked after from the command line."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from watchkeeper.app.cli import app
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.errors import StoreError
from watchkeeper.model import Layout, LogBatch, Tick, labels
from watchkeeper.store.logs import LogLines, Question
from watchkeeper.store.samples import EmbeddedStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LAYOUT = Layout((labels("load", job="shop"), labels("heat", job='a "b"\n')))
VALUES = [0.1, -0.0, 1e300, float("inf"), float("nan"), 5.0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a block, a log, and a configuration beside it."""
    clock = ManualClock(NOON)
    store = EmbeddedStore(tmp_path / "data" / "samples", clock=clock)
    for at, value in enumerate(VALUES):
        moment = to_ms(clock.advance(timedelta(hours=1)))
        store.append(Tick(target="t", time_ms=moment, layout=LAYOUT, values=np.array([value, at])))
        store.maintain(clock.now())
    store.close()
    (tmp_path / "wk.yaml").write_text(yaml.safe_dump({"data": str(tmp_path / "data")}))
    return tmp_path


def run(data: Path, *words: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, ["store", *words, "--config", str(data / "wk.yaml")])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_stat_tells_span_series_and_bytes(data: Path) -> None:
    text = run(data, "stat", "--blocks")
    assert "from      2026-03-02T13:00:00.000Z to 2026-03-02T18:00:00.000Z" in text
    assert "series    2 of 1 targets" in text
    assert ".block  2026-03-02T13:00:00.000Z" in text
    found = json.loads(run(data, "stat", "--json"))
    assert found["block_samples"] + found["log_samples"] >= 12
    assert found["metrics"] == [["heat", 1], ["load", 1]]


@pytest.fixture
def lines(data: Path) -> Path:
    """Log lines beside the samples: a sealed segment, and a file that is still open to lines."""
    folder = data / "data" / "lines"
    store = LogLines(folder)
    for number in range(200):
        batch = LogBatch.of((("job", "shop"),), [f"line {number} of {'x' * 200}"], to_ms(NOON) + number)
        store.append("app", [batch], {"n": number}, NOON)
        if number == 99:
            store.maintain(NOON + timedelta(hours=2))
    store.close()
    return folder


def kept(folder: Path) -> set[int]:
    """Numbers of the lines that a store finds there."""
    store = LogLines(folder)
    found = {int(line.text.split()[1]) for line in store.search(Question(limit=1000)).lines}
    assert store.stats()["damaged"] == 0
    store.close()
    return found


def test_log_lines_are_checked_and_told_of_too(data: Path, lines: Path) -> None:
    assert "2 files of log lines" in run(data, "check")
    assert "200 lines, 0 unfinished writes: 0 damaged places" in run(data, "check")
    assert "lines     200 in 2 files" in run(data, "stat")
    found = json.loads(run(data, "stat", "--json"))["lines"]
    assert (found["lines"], found["segments"], list(found["class_bytes"])) == (200, 1, ["default"])
    assert (found["first_ms"], found["last_ms"]) == (to_ms(NOON), to_ms(NOON) + 199)


def test_a_torn_end_of_lines_is_no_damage(data: Path, lines: Path) -> None:
    active = next(lines.glob("*.active"))
    active.write_bytes(active.read_bytes()[:-5])
    assert "1 unfinished writes: 0 damaged places" in run(data, "check")
    assert kept(lines) == set(range(199))


@pytest.mark.parametrize("end", [".lines", ".active"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
def test_flipped_bytes_of_lines_are_found_and_mended_once(data: Path, lines: Path, end: str, place: float) -> None:
    path = next(lines.glob(f"*{end}"))
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * place)] ^= 0xFF
    path.write_bytes(raw)
    assert f"DAMAGED  {path.name} at byte" in run(data, "check", code=1)
    assert "damaged places; see" in run(data, "stat")
    assert "1 files written anew, those before set aside" in run(data, "repair")
    assert (lines / "damaged" / path.name).read_bytes() == bytes(raw)
    assert ": 0 damaged places" in run(data, "check").splitlines()[-1]
    assert "0 files written anew" in run(data, "repair").splitlines()[-1]
    left = set(range(200)) - kept(lines)
    assert left <= (set(range(100)) if end == ".lines" else set(range(100, 200)))
    assert len(left) <= (100 if end == ".lines" else 1), "a frame costs itself: a part of a segment, or one collection"


def test_lines_are_not_mended_under_a_running_engine(data: Path, lines: Path) -> None:
    store = LogLines(lines)
    answer = CliRunner().invoke(app, ["store", "repair", "--config", str(data / "wk.yaml")])
    store.close()
    assert isinstance(answer.exception, StoreError)


def test_check_finds_what_repair_mends(data: Path) -> None:
    assert ": 0 damaged places" in run(data, "check")
    block = min((data / "data" / "samples" / "blocks").glob("*.block"))
    raw = bytearray(block.read_bytes())
    raw[9] ^= 1
    block.write_bytes(raw)
    assert f"DAMAGED  {block.name} at byte 8: samples of column 0 of t are damaged" in run(data, "check", code=1)
    assert "1 files written anew" in run(data, "repair")
    assert ": 0 damaged places" in run(data, "check")


def test_openmetrics_has_every_sample_in_order(data: Path) -> None:
    out = data / "out.txt"
    run(data, "export", str(out), "--match", '{__name__="load"}')
    first = int(to_ms(NOON)) // 1000 + 3600
    written = ["0.1", "-0.0", "1e+300", "+Inf", "NaN", "5.0"]
    lines = [f'load{{job="shop"}} {value} {first + 3600 * at}.000' for at, value in enumerate(written)]
    assert out.read_text().splitlines() == ["# TYPE load unknown", *lines, "# EOF"]


def test_every_form_holds_the_same_samples(data: Path) -> None:
    for form in ("openmetrics", "jsonl", "csv", "parquet"):
        assert "12 samples in" in run(data, "export", str(data / form), "--format", form)
    lines = [json.loads(line) for line in (data / "jsonl").read_text().splitlines()]
    assert {
        name: sum(len(line["values"]) for line in lines if line["metric"]["__name__"] == name)
        for name in ("load", "heat")
    } == {"load": 6, "heat": 6}
    with (data / "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["series"] for row in rows} == {'load{job="shop"}', 'heat{job="a \\"b\\"\\n"}'}
    table = pq.read_table(data / "parquet").to_pydict()
    assert sorted(table["timestamp_ms"]) == sorted(int(row["timestamp_ms"]) for row in rows)
    assert [value for name, value in zip(table["name"], table["value"], strict=True) if name == "heat"] == [
        float(at) for at in range(6)
    ]


def test_a_range_and_a_wrong_word(data: Path) -> None:
    out = data / "out.csv"
    span = ["--start", "2026-03-02T14:00:00Z", "--end", str(to_ms(NOON) / 1000 + 3 * 3600)]
    assert "4 samples in" in run(data, "export", str(out), "--format", "csv", *span)
    before = out.read_bytes()
    for words, said in (
        (["--format", "xml"], "choose one of openmetrics"),
        (["--start", "noon"], "is no time"),
        (["--match", "a + b"], "is not one selector"),
    ):
        answer = CliRunner().invoke(app, ["store", "export", str(out), *words, "--config", str(data / "wk.yaml")])
        assert said in str(answer.exception)
    assert out.read_bytes() == before


def test_a_backup_is_read_where_it_lies(data: Path) -> None:
    assert "from      2026-03-02T13" in run(data, "stat", "--from", str(data / "data"))
    assert "from      2026-03-02T13" in run(data, "stat", "--from", str(data / "data" / "samples"))
