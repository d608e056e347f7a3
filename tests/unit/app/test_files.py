"""Commands that compute on files: what they write, and how they name the place of a mistake."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchkeeper.app.cli import app
from watchkeeper.app.files import forecast_path, promql_conformance
from watchkeeper.app.series_files import FileError

STEP = 300


def series_text(spike: int = -1, length: int = 400) -> str:
    rows = [f"{1_700_000_000 + at * STEP},{math.sin(at) + (50.0 if at == spike else 0.0):.4f}" for at in range(length)]
    return "\n".join(["timestamp,value", *rows, ""])


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(folder: Path, text: str | bytes, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- forecast --------------------------------------------------------------------------------------------------------


def days(length: int = 60, value: Callable[[int], str] = lambda at: f"{at % 7}") -> str:
    begin = datetime(2026, 1, 1)  # noqa: DTZ001 - dates of the file are the user's
    lines = [f"shop,{begin + timedelta(days=at):%Y-%m-%d},{value(at)}" for at in range(length)]
    return "\n".join(["unique_id,ds,y", *lines, ""])


def test_forecast_writes_quantiles_that_do_not_cross_for_the_days_that_follow(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    forecast_path(written(tmp_path, days()), out, 7)
    rows = rows_of(out)
    assert [row["ds"][:10] for row in rows] == [f"2026-03-{day:02d}" for day in range(2, 9)]
    for row in rows:
        order = [float(row[name]) for name in ("lo95", "lo80", "mean", "hi80", "hi95")]
        assert order == sorted(order)
    assert float(rows[4]["mean"]) == pytest.approx(1.0, abs=1.5)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (days(3, lambda at: "x" if at == 1 else "1"), r"in\.csv:3: .*'x'"),
        ("unique_id,ds,y\na,someday,1\n", r"in\.csv:2: .*someday"),
        ("unique_id,ds,y\na,,1\n", r"in\.csv:2: has no date"),
        ("unique_id,y\na,1\n", r"in\.csv: the header lacks ds"),
        ("unique_id,ds,y\n", r"in\.csv: has no rows"),
        ("", r"in\.csv: the header lacks unique_id, ds, y"),
    ],
)
def test_a_mistake_in_the_history_is_named_with_file_and_row(text: str, place: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=place):
        forecast_path(written(tmp_path, text), tmp_path / "out.csv", 3)
    assert not (tmp_path / "out.csv").exists()


def test_a_forecast_needs_a_file_and_a_horizon(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent\.csv: No such file"):
        forecast_path(tmp_path / "absent.csv", tmp_path / "out.csv", 3)
    with pytest.raises(FileError, match="--horizon must be at least 1"):
        forecast_path(written(tmp_path, days()), tmp_path / "out.csv", 0)


# --- conformance -----------------------------------------------------------------------------------------------------

SCRIPT = "load 1m\n  m 1 2 3\n\neval instant at 2m m\n  m {}\n"


def test_promqltest_counts_what_passes_and_fails(tmp_path: Path) -> None:
    written(tmp_path, SCRIPT.format(3), "good.test")
    said: list[str] = []
    assert promql_conformance([tmp_path], said.append, verbose=False) == 0
    assert any("good.test" in line for line in said)
    bad = written(tmp_path, SCRIPT.format(4), "bad.test")
    said.clear()
    assert promql_conformance([bad], said.append, verbose=False) == 1
    assert any("bad.test" in line for line in said)


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent\.test: there is no such script"):
        promql_conformance([tmp_path / "absent.test"], print, verbose=False)
    with pytest.raises(FileError, match="there is no such script"):
        promql_conformance([tmp_path], print, verbose=False)


def test_the_commands_do_the_same(tmp_path: Path) -> None:
    run = CliRunner().invoke
    series, history = written(tmp_path, series_text()), written(tmp_path, days(), "days.csv")
    script = written(tmp_path, SCRIPT.format(4), "bad.test")
    assert run(app, ["detect", str(series), "--out", str(tmp_path / "d.csv")]).exit_code == 0
    assert len(rows_of(tmp_path / "d.csv")) == 400
    arguments = ["forecast", str(history), "--out", str(tmp_path / "f.csv"), "--horizon", "3"]
    assert run(app, arguments).exit_code == 0
    assert len(rows_of(tmp_path / "f.csv")) == 3
    assert run(app, ["promqltest", str(script)]).exit_code == 1
