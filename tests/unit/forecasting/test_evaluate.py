"""The CSV form of a forecast."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from forecasting.evaluate import HEADER, forecast_csv


def series(name: str, count: int, *, start: str = "2026-01-01", lower: str = "", upper: str = "") -> list[str]:
    first = np.datetime64(f"{start}T00:00:00")
    return [
        f"{name},{str(first + np.timedelta64(hour, 'h')).replace('T', ' ')},"
        f"{50 + 45 * np.sin(hour * 2 * np.pi / 24):.4f},{lower},{upper}"
        for hour in range(count)
    ]


def answer(lines: list[str], horizon: int = 6) -> list[dict[str, str]]:
    text = forecast_csv("\n".join(["unique_id,ds,y,lower,upper", *lines]) + "\n", horizon)
    return list(csv.DictReader(io.StringIO(text)))


def test_every_series_gets_every_step_with_ordered_columns() -> None:
    rows = answer([*series("a", 100), *series("b", 80, start="2026-02-01")])
    assert [row["unique_id"] for row in rows] == ["a"] * 6 + ["b"] * 6
    assert rows[0]["ds"] == "2026-01-05 04:00:00"
    assert list(rows[0]) == list(HEADER)
    for row in rows:
        cells = [float(row[name]) for name in ("lo95", "lo80", "mean", "hi80", "hi95")]
        assert cells == sorted(cells)


def test_bounds_of_a_series_hold() -> None:
    rows = answer(series("a", 100, lower="20", upper="60"), 24)
    assert all(20.0 <= float(row[name]) <= 60.0 for row in rows for name in HEADER[2:])


def test_gaps_are_empty_cells_and_rows_may_come_in_any_order() -> None:
    lines = series("a", 100)
    holed = [line if at % 10 else line.rsplit(",", 3)[0] + ",,," for at, line in enumerate(lines)]
    assert answer(list(reversed(holed))) == answer(holed)
    assert float(answer(holed)[0]["mean"]) == pytest.approx(float(answer(lines)[0]["mean"]), abs=3.0)


def test_few_points_repeat_the_last_and_none_leave_the_cells_empty() -> None:
    assert [row["mean"] for row in answer(["a,2026-01-01,4,,", "a,2026-01-02,5,,"], 2)] == ["5", "5"]
    assert [row["mean"] for row in answer(["a,2026-01-01,7,,"], 2)] == ["7", "7"]
    assert [row["mean"] for row in answer(["a,2026-01-01,,,", "a,2026-01-02,,,"], 1)] == [""]


def test_an_empty_file_is_answered_with_the_header_alone() -> None:
    assert answer([]) == []


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="ds"):
        forecast_csv("unique_id,y\na,1\n", 3)
