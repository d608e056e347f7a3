"""Bills through a composed engine: real files, a manual clock, series that rules can ask for."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import build

from watchkeeper.app.api.cost import cost_body, text
from watchkeeper.app.engine import Engine
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.promql import Vector

#: 11 March 2026, noon in Shanghai.
NOON = datetime(2026, 3, 11, 4, tzinfo=UTC)
HEAD = "日期,产品,金额,团队\n"
SOURCE: dict[str, Any] = {
    "name": "aliyun", "kind": "bill_csv", "files": ["*.csv"], "currency": "CNY",
    "columns": {"date": "日期", "service": "产品", "amount": "金额", "tags": {"team": "团队"}},
}  # fmt: skip


def house(folder: Path, **cost: Any) -> Engine:
    source = {**SOURCE, "files": [str(folder / "*.csv")]}
    return build(folder, cost={"sources": [source], **cost}, clock=ManualClock(NOON))


def lines(first: date, days: int, amount: str, service: str = "ECS") -> str:
    return "".join(f"{first + timedelta(days=at)},{service},{amount},pay\n" for at in range(days))


def write(path: Path, body: str, *, age: int = 0) -> None:
    path.write_text(HEAD + body, encoding="utf-8")
    os.utime(path, (NOON.timestamp() - age, NOON.timestamp() - age))


def total(found: Engine) -> str | None:
    rows = cost_body(found, NOON)["totals"]
    return rows[0]["cost"] if rows else None


def ask(found: Engine, expr: str) -> list[float]:
    result = found.promql.instant(expr, to_ms(found.clock.now()))
    assert isinstance(result, Vector)
    return [float(value) for value in result.values.tolist()]


async def test_the_same_bill_twice_changes_nothing_and_a_corrected_one_replaces_it(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lines(date(2026, 3, 1), 10, "10.01"), age=60)
    found = house(tmp_path)
    await found.costing.step(NOON)
    assert total(found) == "100.10"
    write(tmp_path / "copy.csv", lines(date(2026, 3, 1), 10, "10.01"), age=30)
    await found.costing.step(NOON)
    assert total(found) == "100.10"
    write(tmp_path / "corrected.csv", lines(date(2026, 3, 1), 10, "9.00"))
    await found.costing.step(NOON)
    assert total(found) == "90.00"
    files = cost_body(found, NOON)["sources"][0]["files"]
    assert [sorted(Path(name).name for name in one["superseded_by"].values()) for one in files] == [
        ["corrected.csv"], ["corrected.csv"], [],
    ]  # fmt: skip


async def test_parts_of_a_month_add_up_and_a_copy_counts_once(tmp_path: Path) -> None:
    for name in ("1.csv", "copy.csv"):
        write(tmp_path / name, lines(date(2026, 3, 1), 1, "10"))
    write(tmp_path / "2.csv", lines(date(2026, 3, 2), 1, "5"))
    found = house(tmp_path, sources=[{**SOURCE, "files": [str(tmp_path / "*.csv")], "corrections": "file"}])
    await found.costing.step(NOON)
    assert total(found) == "15.00"


async def test_bad_rows_and_missing_files_are_told_and_lose_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "2026-03-01,ECS,abc,\n" + lines(date(2026, 3, 2), 2, "1.00"))
    sources = [{**SOURCE, "files": [str(tmp_path / "a.csv"), str(tmp_path / "gone.csv")]}]
    found = house(tmp_path, sources=sources)
    await found.costing.step(NOON)
    (source,) = cost_body(found, NOON)["sources"]
    assert (source["files"][0]["rows"], source["files"][0]["bad"][0]["line"]) == (2, 2)
    assert "no file matches" in source["errors"][0]["error"]
    assert ask(found, "watchkeeper_cost_source_up") == [0.0]
    assert ask(found, "watchkeeper_cost_bad_rows") == [1.0]


async def test_a_file_that_became_unreadable_keeps_what_was_known(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lines(date(2026, 3, 1), 1, "7"))
    found = house(tmp_path)
    await found.costing.step(NOON)
    (tmp_path / "a.csv").write_text("nothing,of,use\n1,2,3\n", encoding="utf-8")
    await found.costing.step(NOON)
    assert total(found) == "7.00"
    assert "no column '日期'" in cost_body(found, NOON)["sources"][0]["errors"][0]["error"]


async def test_a_budget_warns_breaches_and_is_unknown_without_rate_or_charges(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lines(date(2026, 3, 1), 10, "26500"))
    budgets = [
        {"name": "a", "amount": 265000, "currency": "CNY", "breach": 1.15},
        {"name": "b", "amount": 100, "currency": "CNY", "tags": {"team": "other"}},
        {"name": "c", "amount": 100, "currency": "USD"},
        {"name": "d", "amount": 1, "currency": "CNY", "period": "once", "since": "2027-01-01", "until": "2027-01-02"},
    ]
    found = house(tmp_path, budgets=budgets)
    await found.costing.step(NOON)
    rows = cost_body(found, NOON)["budgets"]
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("warn", ""), ("good", ""), ("unknown", "no_rate"), ("unknown", "not_yet"),
    ]  # fmt: skip
    assert ask(found, 'watchkeeper_budget_used_ratio{budget="a"}') == [1.0]
    assert ask(found, 'watchkeeper_budget_used_ratio{budget="c"}') == []
    assert ask(found, 'watchkeeper_budget_line_ratio{budget="a",line="breach"}') == [1.15]


async def test_little_history_is_a_run_rate_and_less_is_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lines(date(2026, 3, 1), 10, "10"))
    found = house(tmp_path)
    await found.costing.step(NOON)
    ahead = cost_body(found, NOON)["totals"][0]["forecast"]
    assert (ahead["expected"], ahead["method"], ahead["low80"], ahead["days_left"]) == ("310.00", "run_rate", None, 21)
    write(tmp_path / "a.csv", lines(date(2026, 3, 9), 2, "10"))
    await found.costing.step(NOON)
    assert cost_body(found, NOON)["totals"][0]["forecast"]["unknown"] == "too_little"


async def test_a_long_history_has_an_interval_and_its_odd_day_is_found(tmp_path: Path) -> None:
    first, odd = date(2025, 12, 1), date(2026, 3, 8)
    days = [first + timedelta(days=at) for at in range(100)]
    amounts = {day: "400.00" if day == odd else f"{100 + day.toordinal() * 7 % 10}.50" for day in days}
    write(tmp_path / "a.csv", "".join(f"{day},ECS,{amount},pay\n" for day, amount in amounts.items()))
    section = {"sources": [{**SOURCE, "files": [str(tmp_path / "*.csv")]}]}
    found = build(
        tmp_path, cost=section, clock=ManualClock(NOON), forecasting={"enabled": True}, scoring={"enabled": True}
    )
    await found.costing.step(NOON)
    found.workers.close()
    data = cost_body(found, NOON)
    ahead = data["totals"][0]["forecast"]
    low, expected, high = (Decimal(ahead[name]) for name in ("low80", "expected", "high80"))
    assert Decimal(ahead["known"]) < low < expected < high
    assert (ahead["method"], ahead["days_known"]) == ("combined", 100)
    assert [row["day"] for row in data["anomalies"]] == ["2026-03-08"]


async def test_a_jump_is_named_and_a_host_counts_until_today(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", lines(date(2026, 2, 1), 28, "1") + lines(date(2026, 3, 1), 11, "9", "OSS"))
    host = {"name": "db", "price": "310.00", "currency": "CNY", "since": "2026-03-01"}
    found = house(tmp_path, hosts=[host])
    await found.costing.step(NOON)
    data = cost_body(found, NOON)
    assert [(row["name"], row["kind"], row["change"]) for row in data["drivers"]["service"]] == [
        ("hosts", "new", "110.00"), ("OSS", "new", "99.00"), ("ECS", "gone", "-11.00"),
    ]  # fmt: skip
    assert cost_body(found, NOON, month=date(2026, 2, 1))["totals"][0]["cost"] == "28.00"


def test_amounts_leave_as_text_without_exponent() -> None:
    assert [text(Decimal(value)) for value in ("8.0E-7", "1E+3", "1.5")] == ["0.0000008", "1000.00", "1.50"]


@pytest.mark.parametrize("month", ["2026-3", "x"])
async def test_nothing_is_known_of_a_house_without_bills(tmp_path: Path, month: str) -> None:
    from fastapi import HTTPException

    from watchkeeper.app.api.cost import _month

    found = build(tmp_path, clock=ManualClock(NOON))
    await found.costing.step(NOON)
    data = cost_body(found, NOON)
    assert (data["configured"], data["totals"], data["through"]) == (False, [], None)
    with pytest.raises(HTTPException):
        _month(month)
