"""Forecasts of key figures: made from a real file, kept as made, scored when their days are over."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.engines import build, clock_of, fit_here

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.workers import WorkerError
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.promql import Vector

#: Monday, noon in Shanghai; the file ends on Sunday.
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
FIRST, DAY = date(2026, 1, 5), timedelta(days=1)


def usual(day: date) -> int:
    """A weekly shape on a slow rise: a naive forecast is a week behind it."""
    return 200 + 3 * (day - FIRST).days - (60 if day.weekday() >= 5 else 0)


def write(file: Path, last: date, figure: Callable[[date], int] = usual) -> None:
    days = [FIRST + DAY * index for index in range((last - FIRST).days + 1)]
    file.write_text("date,value\n" + "".join(f"{day},{figure(day)}\n" for day in days))


def house(folder: Path, **kpi: Any) -> Engine:
    source = {"kind": "csv", "file": "signups.csv"}
    business = {"kpis": [{"name": "signups", "owner": "growth", "predict": True, "source": source, **kpi}]}
    found = build(folder, business=business, clock=ManualClock(NOON))
    fit_here(found)
    return found


async def turn(found: Engine, now: datetime) -> dict[str, Any]:
    """Read, forecast and score; the answer for the page."""
    await found.business.step(now)
    await found.predicting.step(now)
    token, _ = create_system_token(found.state, "test", Role.VIEWER, now=now)
    answer = TestClient(create(found)).get("/api/wk/predictions", headers={"Authorization": f"Bearer {token}"})
    row: dict[str, Any] = answer.json()["rows"][0]
    return row


async def test_a_forecast_is_kept_and_scored_by_what_comes(tmp_path: Path) -> None:
    file = tmp_path / "signups.csv"
    write(file, date(2026, 3, 1))
    found = house(tmp_path)
    row = await turn(found, NOON)
    assert row["unknown"] == ""
    assert [each["days"] for each in row["ahead"]] == [7, 30, 90]
    assert len(row["forecast"]) == 90
    assert row["forecast"][0][0] == to_ms(datetime(2026, 3, 1, 16, tzinfo=UTC))  # today, which is not over
    assert all(low95 <= low80 <= mid <= high80 <= high95 for _, low95, low80, mid, high80, high95 in row["forecast"])
    assert math.isclose(row["forecast"][6][3], usual(date(2026, 3, 8)), rel_tol=0.1)
    assert [each["scored"] for each in row["accuracy"]] == [0, 0, 0]
    assert row["accuracy"][0]["mape"] is None  # nothing is due: unknown, not perfect
    assert row["backtest"]["origins"] > 0

    write(file, date(2026, 3, 8))
    row = await turn(found, clock_of(found).advance(7 * DAY))
    assert row["forecasts_made"] == 2
    first = row["accuracy"][0]
    assert first["scored"] == 7
    with found.state.read() as unit:
        kept = list(unit.kpis.forecasts("signups", "day", since=NOON - DAY, until=NOON + 6 * DAY))
    errors = [
        abs(one.quantiles["0.5"] - usual(date(2026, 3, 2) + index * DAY)) / usual(date(2026, 3, 2) + index * DAY)
        for index, one in enumerate(kept[:7])
    ]
    assert math.isclose(first["mape"], sum(errors) / 7)
    assert first["against_naive"] < 1  # the naive forecast is a week of growth behind
    assert [one.naive for one in kept[:7]] == [usual(date(2026, 2, 23) + index * DAY) for index in range(7)]
    assert {one.scale for one in kept[:7]} == {21.0}  # a week of growth
    assert [actual for *_, actual in row["past"]] == [usual(date(2026, 3, 2) + index * DAY) for index in range(7)]
    await stop(found)


async def test_a_restated_day_changes_the_score_of_what_was_said_about_it(tmp_path: Path) -> None:
    file = tmp_path / "signups.csv"
    write(file, date(2026, 3, 1))
    found = house(tmp_path)
    await turn(found, NOON)
    write(file, date(2026, 3, 2))
    before = (await turn(found, clock_of(found).advance(DAY)))["accuracy"][0]
    write(file, date(2026, 3, 2), lambda day: 1000 if day == date(2026, 3, 2) else usual(day))
    after = (await turn(found, clock_of(found).advance(DAY / 4)))["accuracy"][0]
    assert before["scored"] == after["scored"] == 1
    assert after["mape"] > 0.5 > before["mape"]
    await stop(found)


async def test_one_forecast_a_day_and_none_while_the_source_fails(tmp_path: Path) -> None:
    file = tmp_path / "signups.csv"
    write(file, date(2026, 3, 1))
    found = house(tmp_path)
    assert (await turn(found, NOON))["made_at"] == "2026-03-02T04:00:00Z"
    assert (await turn(found, clock_of(found).advance(timedelta(hours=2))))["made_at"] == "2026-03-02T04:00:00Z"
    file.unlink()
    row = await turn(found, clock_of(found).advance(2 * DAY))
    assert row["made_at"] == "2026-03-02T04:00:00Z"
    assert "cannot be read" in row["error"]
    assert row["age_seconds"] == 50 * 3600
    await stop(found)


async def test_too_little_history_is_said_and_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "signups.csv").write_text("date,value\n2026-02-27,1\n2026-02-28,2\n2026-03-01,3\n")
    found = house(tmp_path)
    row = await turn(found, NOON)
    assert row["unknown"] == "not enough history: 3 of 14 points"
    assert row["forecast"] == []
    with found.state.read() as unit:
        assert unit.kpis.made_count("signups", "day") == 0
    await stop(found)


async def test_months_are_forecast_as_months(tmp_path: Path) -> None:
    rows = [f"{2023 + index // 12}-{index % 12 + 1:02},{100 + index}" for index in range(38)]  # until February 2026
    (tmp_path / "signups.csv").write_text("date,value\n" + "\n".join(rows))
    found = house(tmp_path, period="month")
    row = await turn(found, NOON)
    assert row["unknown"] == ""
    starts = [datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=8) for at, *_ in row["forecast"]]
    assert [f"{start:%Y-%m-%d}" for start in starts] == ["2026-03-01", "2026-04-01", "2026-05-01"]
    await stop(found)


async def test_hours_are_forecast_for_a_month_and_scored_over_one(tmp_path: Path) -> None:
    start = datetime(2026, 2, 1)  # noqa: DTZ001 - the file is written on the wall clock of Shanghai
    hours = [start + timedelta(hours=index) for index in range(29 * 24 + 12)]
    lines = [f"{hour:%Y-%m-%d %H:%M:%S},{100 + 5 * (hour.hour > 8)}" for hour in hours]
    (tmp_path / "signups.csv").write_text("date,value\n" + "\n".join(lines))
    source = {"kind": "csv", "file": "signups.csv", "time_zone": "Asia/Shanghai"}
    found = house(tmp_path, period="hour", source=source)
    row = await turn(found, NOON)
    assert len(row["forecast"]) == 720
    assert [each["expected"] is None for each in row["ahead"]] == [False, False, True]  # 90 days are too far for hours
    later = NOON + timedelta(hours=2)
    hours = [start + timedelta(hours=index) for index in range(29 * 24 + 14)]
    lines = [f"{hour:%Y-%m-%d %H:%M:%S},{100 + 5 * (hour.hour > 8)}" for hour in hours]
    (tmp_path / "signups.csv").write_text("date,value\n" + "\n".join(lines))
    row = await turn(found, clock_of(found).advance(later - NOON))
    assert row["accuracy"][0]["scored"] == 2
    assert row["accuracy"][0]["mape"] < 0.05
    await stop(found)


async def test_a_share_is_never_forecast_over_one(tmp_path: Path) -> None:
    write(tmp_path / "signups.csv", date(2026, 3, 1), lambda day: 1)
    found = house(tmp_path, unit="ratio")
    row = await turn(found, NOON)
    assert max(high95 for *_, high95 in row["forecast"]) == 1.0
    await stop(found)


async def test_forecasts_are_series_too(tmp_path: Path) -> None:
    write(tmp_path / "signups.csv", date(2026, 3, 1))
    found = house(tmp_path)
    row = await turn(found, NOON)
    await found.predicting.publish(NOON)
    asked = found.promql.instant('watchkeeper_kpi_forecast{kpi="signups",horizon="30d",quantile="0.5"}', to_ms(NOON))
    assert isinstance(asked, Vector)
    assert asked.values.tolist() == [row["ahead"][1]["expected"]]
    await stop(found)


async def test_a_worker_that_dies_over_one_figure_leaves_the_step_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "signups.csv", date(2026, 3, 1))
    found = house(tmp_path)

    async def dies(*_: object) -> None:
        raise WorkerError("a worker died")

    monkeypatch.setattr(found.workers, "run", dies)
    assert (await turn(found, NOON))["unknown"] == "not_made_yet"
    await stop(found)
