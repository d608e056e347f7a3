"""Key figures through a composed engine: real databases and files, a manual clock, series that rules can ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine as Database
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient
from support import shop
from support.engines import add_user, build, clock_of, engine
from support.shop import Day
from support.targets import answer, target

from analytics.business import Status
from collectors.kpi_sql import KpiSql
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.config.business import Kpi
from watchkeeper.errors import ConfigError
from watchkeeper.model import Layout, Tick, labels
from watchkeeper.promql import Vector

#: Monday, 2 March 2026, noon in Shanghai: Sunday is the last whole day.
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
DAY = timedelta(days=1)
LONG = "45d"
SUNDAY, BEFORE = date(2026, 3, 1), date(2026, 2, 28)


def shop_at(folder: Path, **odd: Day) -> Database:
    """Forty days of orders until today noon; ``odd`` days by name ``d2026_03_01``."""
    found = create_engine(f"sqlite:///{folder}/shop.db")
    shop.create(found)
    days = {date.fromisoformat(name[1:].replace("_", "-")): day for name, day in odd.items()}
    shop.fill(found, date(2026, 1, 22), date(2026, 3, 2), days)
    return found


def shops(folder: Path, *, history: str = "12d", **more: Any) -> dict[str, Any]:
    """A short history, for reading and scoring a long one takes its time; LONG is enough to know what is usual."""
    own = {"name": "shop", "url": f"sqlite:///{folder}/shop.db", "predict": False, **more}
    return {"history": history, "shops": [own]}


def house(folder: Path, business: dict[str, Any], **more: Any) -> Engine:
    return build(folder, business=business, clock=ManualClock(NOON), **more)


def ask(found: Engine, expr: str) -> dict[str, float]:
    """Values by the label ``kpi``."""
    result = found.promql.instant(expr, to_ms(found.clock.now()))
    assert isinstance(result, Vector)
    return {dict(series)["kpi"]: value for series, value in zip(result.series, result.values.tolist(), strict=True)}


async def test_a_shop_has_history_on_day_one(tmp_path: Path) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path, history=LONG, jobs="jobs"))
    await found.business.step(NOON)
    usual, judged = shop.usual(SUNDAY), found.business.judged
    last = {name: one.last.value for name, one in judged.items() if one.last is not None}
    assert last["shop.orders"] == usual.orders
    assert last["shop.revenue"] == usual.revenue
    assert last["shop.active_users"] == usual.users
    assert last["shop.payment_success"] == 1
    assert last["shop.refund_rate"] == Decimal(1) / (usual.paid + 1)
    assert last["shop.conversion"] == Decimal(usual.paid + 1) / usual.orders
    assert len(judged["shop.orders"].rows) == 40  # yesterday is the 39th, today under way
    assert judged["shop.orders"].verdict.status == Status.GOOD
    assert judged["shop.orders"].usual.lower is not None
    values = ask(found, "watchkeeper_kpi")
    assert values["shop.revenue"] == float(usual.revenue)
    assert math.isclose(ask(found, 'watchkeeper_kpi_reference{against="last_week"}')["shop.orders"],
                        shop.usual(SUNDAY - 7 * DAY).orders)  # fmt: skip
    await stop(found)


async def test_charts_have_the_past_too(tmp_path: Path) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    week = found.promql.range('watchkeeper_kpi{kpi="shop.orders"}', to_ms(NOON - 8 * DAY), to_ms(NOON), 120_000)
    seen = set(week.values[0][week.present[0]].tolist())
    assert seen >= {float(shop.usual(SUNDAY - back * DAY).orders) for back in range(7)}
    assert found.telemetry.ledger()["rejected"] == {}
    await stop(found)


async def test_the_day_under_way_is_shown_and_never_judged(tmp_path: Path) -> None:
    shop_at(tmp_path, d2026_03_02=Day(paid=1, cancelled=0, refunded=0, pending=0, users=1))
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    one = found.business.judged["shop.orders"]
    assert one.current is not None
    assert (one.current.value, one.current.finished) == (Decimal(1), False)
    assert one.verdict.status == Status.LEARNING  # Sunday is what counts, and 12 days are too few to judge it
    assert ask(found, "watchkeeper_kpi_unfinished")["shop.orders"] == 1
    assert ask(found, "watchkeeper_kpi")["shop.orders"] == shop.usual(SUNDAY).orders
    await stop(found)


async def test_a_collapse_of_yesterday_is_amber_and_missed_payments_red(tmp_path: Path) -> None:
    shop_at(tmp_path, d2026_03_01=Day(paid=1, failed=1, cancelled=0, refunded=0, pending=0, users=1))
    found = house(tmp_path, shops(tmp_path, history=LONG))
    await found.business.step(NOON)
    judged = found.business.judged
    assert (judged["shop.orders"].verdict.status, judged["shop.orders"].verdict.reasons) == ("warn", ("unusual",))
    assert (judged["shop.payment_success"].verdict.status) == "bad"
    change = ask(found, 'watchkeeper_kpi_change_ratio{against="last_week"}')["shop.orders"]
    assert change == 2 / shop.usual(SUNDAY - 7 * DAY).orders - 1
    assert ask(found, 'watchkeeper_kpi_status{status="bad"} == 1') == {"shop.payment_success": 1.0}
    await stop(found)


async def test_the_shipped_rules_fire_on_a_real_shop(tmp_path: Path) -> None:
    shop_at(tmp_path, d2026_03_01=Day(paid=0, failed=0, cancelled=0, refunded=0, pending=0))
    found = house(tmp_path, shops(tmp_path), rules={"packs": ["business"]})
    await found.business.step(NOON)
    (rule,) = [rule for _, rule in found.judging.book.alert_rules() if rule.name == "BusinessNoTransactions"]
    assert ask(found, rule.expr) == {"shop.orders": 0.0}
    await stop(found)


async def test_a_share_of_too_few_is_unknown_and_rings_no_rule(tmp_path: Path) -> None:
    shop_at(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plain = house(tmp_path / "a", shops(tmp_path))
    careful = house(tmp_path / "b", shops(tmp_path, least_volume=9999))
    for found in (plain, careful):
        await found.business.step(NOON)
    assert plain.business.judged["shop.payment_success"].verdict.status == Status.GOOD
    judged = careful.business.judged["shop.payment_success"]
    assert (judged.verdict.status, judged.verdict.reasons) == (Status.UNKNOWN, ("few",))
    assert all(row.value is None for row in judged.rows)
    assert ask(careful, 'watchkeeper_kpi{kpi="shop.payment_success"}') == {}
    assert ask(plain, 'watchkeeper_kpi{kpi="shop.payment_success"}') != {}
    for found in (plain, careful):
        await stop(found)


def test_a_least_volume_is_of_ratios_alone() -> None:
    source = {"kind": "promql", "query": "up"}
    with pytest.raises(ValidationError, match="least_volume is of a ratio"):
        Kpi.model_validate({"name": "a", "source": source, "least_volume": 5})


async def test_late_rows_restate_their_day(tmp_path: Path) -> None:
    database = shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    shop.fill(database, BEFORE, BEFORE, {BEFORE: Day(paid=5, cancelled=0, refunded=0, pending=0)})
    await found.business.step(clock_of(found).advance(timedelta(minutes=5)))
    early = {row.start: row for row in found.business.judged["shop.orders"].rows}
    assert early[datetime(2026, 2, 27, 16, tzinfo=UTC)].revisions == 0  # late rows are looked for once an hour
    await found.business.step(clock_of(found).advance(timedelta(minutes=55)))
    rows = {row.start: row for row in found.business.judged["shop.orders"].rows}
    row = rows[datetime(2026, 2, 27, 16, tzinfo=UTC)]
    assert (row.value, row.revisions) == (Decimal(shop.usual(BEFORE).orders + 5), 1)
    await stop(found)


async def test_a_reading_asks_for_the_newest_periods_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    asked: list[int] = []
    real = KpiSql.of_periods

    def counting(self: KpiSql, spans: Any) -> Any:
        asked.append(len(spans))
        return real(self, spans)

    monkeypatch.setattr(KpiSql, "of_periods", counting)
    for minutes in (0, 5, 55, 5):
        await found.business.step(clock_of(found).advance(timedelta(minutes=minutes)))
    figures = len(asked) // 4
    assert [set(asked[turn * figures : (turn + 1) * figures]) for turn in range(4)] == [{13}, {2}, {4}, {2}]
    await stop(found)


async def test_a_day_that_ends_becomes_the_last_whole_one(tmp_path: Path) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    await found.business.step(clock_of(found).advance(timedelta(hours=13)))
    one = found.business.judged["shop.orders"]
    assert one.last is not None
    assert one.last.value == shop.usual(date(2026, 3, 2)).orders
    assert one.last.revisions == 0
    await stop(found)


async def test_one_failing_source_is_unknown_and_takes_nobody_along(tmp_path: Path) -> None:
    shop_at(tmp_path)
    (tmp_path / "figures.csv").write_text("date,value\n2026-03-01,4.7\n")
    kpis = [
        {"name": "broken", "source": {"kind": "sql", "url": f"sqlite:///{tmp_path}/shop.db", "query": "SELECT x"}},
        {"name": "nowhere", "source": {"kind": "http", "url": "http://127.0.0.1:1/", "path": "a"}},
        {"name": "satisfaction", "target": 4.5, "source": {"kind": "csv", "file": "figures.csv"}},
        {"name": "share", "source": {"kind": "ratio", "numerator": "satisfaction", "denominator": "broken"}},
    ]
    found = house(tmp_path, {**shops(tmp_path), "kpis": kpis})
    await found.business.step(NOON)
    judged = found.business.judged
    standing = {name: judged[name].verdict.status for name in ("broken", "nowhere", "share", "satisfaction")}
    assert standing == {"broken": "unknown", "nowhere": "unknown", "share": "unknown", "satisfaction": "good"}
    assert "no such column: x" in judged["broken"].error
    assert judged["share"].error == "no news of broken"
    assert judged["shop.payment_success"].verdict.status == Status.GOOD
    assert ask(found, "watchkeeper_kpi_source_up == 0").keys() == {"broken", "nowhere", "share"}
    assert "broken" not in ask(found, "watchkeeper_kpi")
    await stop(found)


async def test_a_source_that_falls_silent_keeps_its_values_to_be_seen_but_no_verdict(tmp_path: Path) -> None:
    database = shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE orders RENAME TO gone"))
    later = clock_of(found).advance(timedelta(minutes=5))
    await found.business.step(later)
    one = found.business.judged["shop.orders"]
    assert one.verdict.status == Status.UNKNOWN
    assert one.last is not None
    assert one.read_at == NOON
    assert "shop.orders" not in ask(found, "watchkeeper_kpi")  # stale: rules do not see yesterday's number
    assert ask(found, "watchkeeper_kpi_age_seconds")["shop.orders"] == 300
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO orders"))
    await found.business.step(clock_of(found).advance(timedelta(minutes=5)))
    assert found.business.judged["shop.orders"].verdict.status == Status.LEARNING
    await stop(found)


async def test_a_crash_of_a_reader_is_unknown_told_to_the_scheduler_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_at(tmp_path)
    (tmp_path / "figures.csv").write_text("date,value\n2026-03-01,4.7\n")
    kpis = [{"name": "satisfaction", "source": {"kind": "csv", "file": "figures.csv"}}]
    found = house(tmp_path, {**shops(tmp_path), "kpis": kpis})

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("collectors.kpi_csv.read_csv", crash)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        await found.business.step(NOON)
    assert found.business.judged["satisfaction"].verdict.status == Status.UNKNOWN
    assert "a mistake of ours" in found.business.judged["satisfaction"].error
    assert ask(found, "watchkeeper_kpi")["shop.orders"] == shop.usual(SUNDAY).orders
    await stop(found)


async def test_figures_over_http_as_a_list_and_as_what_is_true_now(tmp_path: Path) -> None:
    listed = b'{"days": [{"day": "2026-02-28", "n": 5}, {"day": "2026-03-01", "n": 8}, {"day": "2026-03-05", "n": 99}]}'
    async with target(list=answer(listed), now=answer(b'{"online": 40}')) as served:
        kpis = [
            {"name": "visitors", "source": {"kind": "http", "url": served.url("/list"), "path": "days", "time": "day",
                                            "value": "n"}},
            {"name": "online", "period": "hour",
             "source": {"kind": "http", "url": served.url("/now"), "path": "online", "fold": "max"}},
        ]  # fmt: skip
        found = house(tmp_path, {"kpis": kpis})
        await found.business.step(NOON)
        assert ask(found, "watchkeeper_kpi") == {"visitors": 8.0}  # the plan of 5 March is no actual
        served.pages["/now"] = answer(b'{"online": 25}')
        await found.business.step(clock_of(found).advance(timedelta(minutes=30)))
        assert ask(found, "watchkeeper_kpi_unfinished")["online"] == 40
        await found.business.step(clock_of(found).advance(timedelta(minutes=31)))
        assert ask(found, "watchkeeper_kpi")["online"] == 40
        assert ask(found, "watchkeeper_kpi_unfinished")["online"] == 25
        await stop(found)


async def test_a_figure_from_stored_samples(tmp_path: Path) -> None:
    kpis = [
        {"name": "calls", "period": "hour", "source": {"kind": "promql", "query": "sum(increase(calls_total[1h]))"}},
        {"name": "many", "period": "hour", "source": {"kind": "promql", "query": "calls_total"}},
    ]
    found = house(tmp_path, {"kpis": kpis})
    layout = Layout((labels("calls_total", node="a"), labels("calls_total", node="b")))
    import numpy as np

    for minute in range(180, 0, -1):
        at = NOON - timedelta(minutes=minute)
        values = np.array([(180 - minute) * 10.0, (180 - minute) * 2.0])
        found.samples.append(Tick(target="calls", time_ms=to_ms(at), layout=layout, values=values))
    await found.business.step(NOON)
    assert math.isclose(ask(found, "watchkeeper_kpi")["calls"], 720, rel_tol=0.02)
    assert [round(float(row.value or 0) / 10) for row in found.business.judged["calls"].rows[1:3]] == [72, 72]
    assert "answers 2 series" in found.business.judged["many"].error
    await stop(found)


@pytest.mark.parametrize(
    ("relative", "target_value"),
    [
        ({"change": -0.5, "to": "previous"}, "5"),
        ({"change": 0.2, "to": "last_week"}, "24.0"),
        ({"change": 0.5, "to": "baseline", "baseline": 8}, "12.0"),
        ({"change": 1, "to": "baseline", "baseline_date": "2026-02-22"}, "40"),
        ({"change": 0.2, "to": "last_year"}, None),
    ],
)
async def test_targets_against_another_value(
    tmp_path: Path, relative: dict[str, Any], target_value: str | None
) -> None:
    (tmp_path / "figures.csv").write_text("date,value\n2026-02-22,20\n2026-02-28,10\n2026-03-01,16\n")
    kpi = {"name": "x", "relative": relative, "source": {"kind": "csv", "file": "figures.csv"}}
    found = house(tmp_path, {"kpis": [kpi]})
    await found.business.step(NOON)
    one = found.business.judged["x"]
    assert one.goal.target == (None if target_value is None else Decimal(target_value))
    expected = {"5": "good", "12.0": "good", "24.0": "bad", "40": "bad", None: "learning"}[target_value]
    assert one.verdict.status == expected
    await stop(found)


async def test_a_frozen_baseline_stays_whatever_is_restated_later(tmp_path: Path) -> None:
    file = tmp_path / "figures.csv"
    file.write_text("date,value\n2026-02-22,20\n2026-03-01,16\n")
    relative = {"change": 0, "to": "baseline", "baseline_date": "2026-02-22"}
    found = house(
        tmp_path, {"kpis": [{"name": "x", "relative": relative, "source": {"kind": "csv", "file": str(file)}}]}
    )
    await found.business.step(NOON)
    file.write_text("date,value\n2026-02-22,99\n2026-03-01,16\n")
    await found.business.step(clock_of(found).advance(DAY / 4))
    one = found.business.judged["x"]
    assert one.goal.target == 20
    assert next(row.value for row in one.rows) == 99
    await stop(found)


async def test_rows_that_need_time_to_arrive_are_waited_for(tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text("date,value\n2026-02-28,10\n")
    kpi = {"name": "x", "target": 5, "source": {"kind": "csv", "file": "figures.csv"}}
    found = house(tmp_path, {"kpis": [kpi, {**kpi, "name": "patient", "settle": "1d"}]})
    await found.business.step(NOON)
    judged = found.business.judged
    assert (judged["x"].verdict.status, judged["x"].verdict.reasons) == ("unknown", ("no_value",))
    assert judged["patient"].verdict.status == "good"
    await stop(found)


async def test_figures_taken_out_of_the_configuration_are_gone_at_the_next_reading(tmp_path: Path) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    await found.business.step(NOON)
    file = tmp_path / "watchkeeper.yaml"
    file.write_text(file.read_text().replace("name: shop", "name: store"))
    from watchkeeper.app.reload import reload

    assert await reload(found) == ""
    await found.business.step(clock_of(found).advance(timedelta(minutes=5)))
    assert {name.partition(".")[0] for name in found.business.judged} == {"store"}
    await stop(found)


async def test_a_reload_with_an_address_no_reader_can_use_changes_nothing(tmp_path: Path) -> None:
    shop_at(tmp_path)
    found = house(tmp_path, shops(tmp_path))
    file = tmp_path / "watchkeeper.yaml"
    file.write_text(file.read_text().replace("sqlite:///", "oracle:///"))
    from watchkeeper.app.reload import reload

    assert "business.shop.orders.source.url: url must be of" in await reload(found)
    assert "sqlite" in found.business.kpis[0].source.url.get_secret_value()
    await stop(found)


def test_an_address_no_reader_can_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    kpi = {"name": "x", "source": {"kind": "sql", "url": "oracle://db", "query": "SELECT 1"}}
    with pytest.raises(ConfigError, match=r"business\.x\.source\.url: url must be of"):
        house(tmp_path, {"kpis": [kpi]})


# --- API -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[Engine, TestClient, dict[str, str]]]:
    shop_at(tmp_path)
    business = shops(tmp_path, history=LONG, predict=True, owner="sales")
    with engine(tmp_path, business=business, clock=ManualClock(NOON)) as found:
        token, _ = create_system_token(found.state, "test", Role.OPERATOR, now=found.clock.now())
        add_user(found, "ann", Role.OPERATOR)
        yield found, TestClient(create(found)), {"Authorization": f"Bearer {token}"}


async def test_pages_get_figures_before_and_after_the_first_reading(
    api: tuple[Engine, TestClient, dict[str, str]],
) -> None:
    found, client, headers = api
    before = client.get("/api/wk/business", headers=headers).json()
    assert {row["status"] for row in before["rows"]} == {"unknown"}
    assert before["rows"][0]["reasons"] == ["not_read_yet"]
    await found.business.step(NOON)
    clock_of(found).advance(90)
    rows = {row["name"]: row for row in client.get("/api/wk/business", headers=headers).json()["rows"]}
    row = rows["shop.revenue"]
    assert (row["exact"], row["unit"], row["owner"]) == (str(shop.usual(SUNDAY).revenue), "CNY", "sales")
    assert (row["start"], row["end"]) == ("2026-02-28T16:00:00Z", "2026-03-01T16:00:00Z")
    assert row["age_seconds"] == 90
    assert row["current"]["start"] == "2026-03-01T16:00:00Z"
    assert row["points"][-1] == [to_ms(datetime(2026, 2, 28, 16, tzinfo=UTC)), float(shop.usual(SUNDAY).revenue)]
    assert len(row["band"]) == 19  # of 39 whole days the first 20 taught what is usual
    assert min(low for _, low, _ in row["band"]) >= 0  # money that never was below nothing
    assert client.get("/api/wk/business").status_code == 401


async def test_the_report_is_made_archived_and_downloaded(api: tuple[Engine, TestClient, dict[str, str]]) -> None:
    found, client, headers = api
    await found.business.step(NOON)
    made = client.post("/api/wk/reports/business", headers=headers, json={"language": "zh-CN"})
    assert made.status_code == 201
    report_id = made.json()["id"]
    assert "业务报告" in client.get(f"/api/wk/reports/{report_id}.html", headers=headers).text
    assert "¥" in client.get(f"/api/wk/reports/{report_id}.html", headers=headers).text
    table = client.get(f"/api/wk/reports/{report_id}.csv", headers=headers).content.decode("utf-8-sig")
    assert (
        f"shop.revenue,营收,sales,day,2026-03-01 00:00:00,2026-03-02 00:00:00,{shop.usual(SUNDAY).revenue},CNY" in table
    )
    assert client.get("/api/wk/reports", headers=headers).json()["reports"][0]["kind"] == "business"


async def test_predictions_say_what_is_missing_before_one_was_made(
    api: tuple[Engine, TestClient, dict[str, str]],
) -> None:
    _, client, headers = api
    rows = client.get("/api/wk/predictions", headers=headers).json()["rows"]
    assert [row["name"] for row in rows] == ["shop.orders", "shop.revenue", "shop.active_users"]
    assert {row["unknown"] for row in rows} == {"not_made_yet"}
