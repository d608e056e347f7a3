"""Service levels through a composed engine: stored samples, a manual clock, series that rules can ask for."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from support.engines import build, clock_of

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.reload import reload
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.errors import ConfigError
from watchkeeper.model import Layout, Tick, labels
from watchkeeper.promql import Vector

#: Monday, 2 March 2026, noon in Shanghai: March began 36 hours ago there.
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
#: One second past the time that samples get to arrive.
LATER = timedelta(seconds=21)
SHOP: dict[str, Any] = {"name": "shop", "service": "web", "query": "probe_success", "owner": "ada"}


def house(folder: Path, *items: dict[str, Any], now: datetime = NOON, **more: Any) -> Engine:
    return build(
        folder, objectives={"items": list(items), **more}, rules={"packs": ["slo"]}, clock=ManualClock(now)
    )  # fmt: skip


def store(found: Engine, name: str, start: datetime, values: list[float], step: timedelta = MINUTE, **own: str) -> None:
    """Samples at ``start``, one step later and so on; NaN is none."""
    layout = Layout((labels(name, own),))
    for index, value in enumerate(values):
        if not math.isnan(value):
            at = to_ms(start + index * step)
            found.samples.append(Tick(target=f"{name}{own}", time_ms=at, layout=layout, values=np.array([value])))


def ask(found: Engine, expr: str) -> dict[str, float]:
    """Values by the label ``window``."""
    result = found.promql.instant(expr, to_ms(found.clock.now()))
    assert isinstance(result, Vector)
    return {
        dict(series).get("window", ""): value
        for series, value in zip(result.series, result.values.tolist(), strict=True)
    }


async def step(found: Engine) -> None:
    await found.objectives.step(found.clock.now())


async def test_bad_minutes_stand_beside_what_the_month_and_the_contract_allow(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - 10 * HOUR, [1.0] * 541 + [0.0] * 10 + [1.0] * 50)
    await step(found)
    month = found.objectives.judged["shop"].windows["month"]
    assert month.counts.bad == 600
    assert month.used == 10.0
    assert (str(month.computed), str(month.contract)) == ("44.64", "43.8")  # March has 31 days, the contract 730 h
    assert month.left == pytest.approx(33.8)
    assert month.counts.known == 600 * 60
    assert month.unknown == pytest.approx((36 - 10) * 3600)
    assert month.status == "so_far"  # most of the month lies before measuring began
    assert ask(found, 'watchkeeper_error_budget_remaining_ratio{objective="shop",tier="core"}')["month"] == (
        pytest.approx(33.8 / 43.8)
    )
    assert ask(found, "watchkeeper_slo_attained_ratio")["month"] == pytest.approx(1 - 10 / 600)
    assert ask(found, "watchkeeper_slo_target_ratio") == {"": 0.999}
    await stop(found)


async def test_an_outage_burns_in_both_windows_and_fires_the_shipped_rule(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - 2 * HOUR, [1.0] * 116 + [0.0] * 5)
    await step(found)
    rates = ask(found, "watchkeeper_burn_rate")
    assert rates["5m"] == pytest.approx(1000.0)
    assert rates["1h"] == pytest.approx(5 / 60 / 0.001)
    assert {"6h", "3d"} & rates.keys() == set()  # two hours do not speak for six
    rules = {rule.name: rule.expr for _, rule in found.judging.book.alert_rules()}
    assert ask(found, rules["SloBudgetBurnsFast"]) == {"1h": pytest.approx(5 / 60 / 0.001)}
    assert ask(found, rules["SloBudgetBurns"]) == {}  # not for six hours yet
    await stop(found)


async def test_time_without_samples_is_neither_good_nor_bad(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - 4 * HOUR, [1.0] * 60)
    store(found, "probe_success", NOON - HOUR, [1.0] * 61)
    await step(found)
    rolling = found.objectives.judged["shop"].windows["30d"]
    assert rolling.counts.bad == 0
    # a sample speaks for five minutes, as in PromQL: 3 h between them, less those
    assert rolling.counts.known == pytest.approx((4 * 60 - 120 + 5) * 60, abs=61)
    assert rolling.attained == 1.0
    assert rolling.unknown_ratio > 0.99
    await stop(found)


async def test_a_minute_is_counted_once_and_a_restart_goes_on(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [0.0] * 61)
    await step(found)
    await step(found)
    bad = found.objectives.judged["shop"].windows["month"].counts.bad
    assert bad == 3600
    await stop(found)
    again = build(tmp_path, objectives={"items": [SHOP]}, clock=ManualClock(NOON + LATER + 5 * MINUTE))
    store(again, "probe_success", NOON + MINUTE, [0.0] * 5)
    await step(again)
    judged = again.objectives.judged["shop"]
    assert judged.windows["month"].counts.bad == 3600 + 300
    assert judged.burns["1h"] == pytest.approx(1000.0)
    await stop(again)


async def test_a_new_query_is_counted_anew_and_a_new_target_is_not(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [0.0] * 61)
    store(found, "other", NOON - HOUR, [1.0] * 61)
    await step(found)
    await stop(found)
    stricter = house(tmp_path, {**SHOP, "target": 99.99}, now=NOON + LATER)
    await step(stricter)
    assert stricter.objectives.judged["shop"].windows["month"].counts.bad == 3600
    assert str(stricter.objectives.judged["shop"].windows["month"].allowed) == "4.464"
    await stop(stricter)
    other = house(tmp_path, {**SHOP, "query": "other"}, now=NOON + LATER)
    await step(other)
    assert other.objectives.judged["shop"].windows["month"].counts.bad == 0
    await stop(other)


async def test_an_idle_minute_costs_one_short_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - 10 * HOUR, [1.0] * 602)
    await step(found)
    asked = []
    real = found.exact.range

    def watched(expr: str, start_ms: int, end_ms: int, step_ms: int) -> Any:
        asked.append((end_ms - start_ms) // step_ms + 1)
        return real(expr, start_ms, end_ms, step_ms)

    monkeypatch.setattr(found.objectives.engine, "exact", type("P", (), {"range": staticmethod(watched)})())
    clock_of(found).advance(MINUTE)
    await step(found)
    assert asked == [1]
    await stop(found)


async def test_requests_are_counted_by_events(tmp_path: Path) -> None:
    ratio = {"name": "api", "kind": "ratio", "good": "ok", "total": "every", "tier": "support"}
    found = house(tmp_path, ratio, now=NOON + LATER)
    store(found, "every", NOON - HOUR, [10.0] * 31 + [0.0] * 30)
    store(found, "ok", NOON - HOUR, [10.0] * 1 + [9.5] * 30 + [0.0] * 30)
    await step(found)
    month = found.objectives.judged["api"].windows["month"]
    assert month.counts.events == 30 * 600
    assert month.attained == pytest.approx(0.95)
    assert month.counts.known == 3600  # nobody asked for half an hour: known, and nothing bad about it
    assert month.used == pytest.approx(60 * 0.05)
    assert found.objectives.judged["api"].burns["1h"] == pytest.approx(5.0)
    await stop(found)


async def test_a_mean_above_its_limit_is_a_bad_minute_and_an_unknown_one_is_unknown(tmp_path: Path) -> None:
    slow = {"name": "mean", "kind": "threshold", "query": "rt > -1", "at_most": 2.0, "combine": "best"}
    found = house(tmp_path, slow, {**slow, "name": "all", "combine": "worst"}, now=NOON + LATER)
    store(found, "rt", NOON - HOUR, [1.9] * 31 + [2.1] * 30, host="a")
    store(found, "rt", NOON - HOUR, [2.5] * 61, host="b")
    await step(found)
    judged = found.objectives.judged
    assert judged["mean"].windows["month"].counts.bad == 30 * 60
    assert judged["all"].windows["month"].counts.bad == 60 * 60
    await stop(found)


async def test_planned_maintenance_does_not_count(tmp_path: Path) -> None:
    window = {"start": "2026-03-02T11:00:00+08:00", "end": "2026-03-02T11:30:00+08:00", "reason": "upgrade"}
    found = house(tmp_path, {**SHOP, "maintenance": [window], "exclude": "freeze"}, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [0.0] * 61)
    store(found, "freeze", NOON - 20 * MINUTE, [0.0] * 11 + [1.0] * 10)
    await step(found)
    month = found.objectives.judged["shop"].windows["month"]
    assert (month.counts.excluded, month.counts.bad) == (40 * 60, 20 * 60)
    assert month.computed == (31 * 1440 - 40) * Decimal("0.001")
    await stop(found)


async def test_a_query_that_cannot_be_answered_is_said_and_never_healthy(tmp_path: Path) -> None:
    twice = {**SHOP, "query": "probe_success + on (job) group_left many"}
    found = house(tmp_path, twice, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [1.0] * 61, job="x")
    for host in "ab":
        store(found, "many", NOON - HOUR, [1.0] * 61, job="x", host=host)
    await step(found)
    judged = found.objectives.judged["shop"]
    assert judged.account.error
    assert ask(found, "watchkeeper_slo_counted") == {"": 0.0}
    assert ask(found, "watchkeeper_slo_attained_ratio") == {}
    await stop(found)


def test_a_query_that_is_no_promql_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"objectives\.items\[0\]\.query \(shop\)"):
        house(tmp_path, {**SHOP, "query": "sum("})


async def test_without_objectives_this_machine_has_one(tmp_path: Path) -> None:
    found = build(tmp_path, clock=ManualClock(NOON + LATER), collect={"host": True})
    store(found, "up", NOON - HOUR, [1.0] * 61, job="node")
    await step(found)
    assert found.objectives.judged["own-host"].windows["month"].counts.good == 3600
    await stop(found)
    silent = build(tmp_path, clock=ManualClock(NOON + LATER), objectives={"own_host": False})
    await step(silent)
    assert silent.objectives.standing() == []
    await stop(silent)


def client(found: Engine) -> TestClient:
    """An operator at the API."""
    token, _ = create_system_token(found.state, "test", Role.OPERATOR, now=found.clock.now())
    return TestClient(create(found), headers={"authorization": f"Bearer {token}"})


async def test_the_api_says_how_every_promise_stands(tmp_path: Path) -> None:
    composite = {"name": "platform", "target": 99.99, "of": ["shop"]}
    shop = {**SHOP, "baseline": 70, "due": "2026-12-31"}
    found = house(tmp_path, shop, now=NOON + LATER, composites=[composite])
    store(found, "probe_success", NOON - 36 * HOUR, [1.0] * 2151 + [0.0] * 10)
    await step(found)
    with client(found) as api:
        body = api.get("/api/wk/slo").json()
        (row,) = body["rows"]
        month = row["windows"][0]
        assert (row["target"], month["computed"], month["contract"]) == ("99.9", "44.64", "43.8")
        assert (month["window"], month["status"], month["used"]) == ("month", "met", 10.0)
        assert month["left"] == pytest.approx(33.8)
        assert month["unknown_ratio"] == pytest.approx(0.0)
        assert row["burns"]["5m"] == pytest.approx(1000.0)
        assert row["burns"]["3d"] == pytest.approx(10 / 2160 / 0.001)  # just half of it is known
        assert row["age_seconds"] == 21.0
        assert row["budget_points"][-1][1] == pytest.approx(33.8 / 43.8)
        assert len(row["burn_points"]) > 100
        assert row["progress"] == pytest.approx(((1 - 10 / 2160) * 100 - 70) / 29.9)
        assert body["composites"] == [
            {"name": "platform", "of": ["shop"], "target": "99.99", "attainable": "99.9", "needed": "99.99",
             "contradicts": True}
        ]  # fmt: skip
        assert body["response"]["rows"] == []
    await stop(found)


async def test_the_calculator_over_the_api(tmp_path: Path) -> None:
    found = house(tmp_path)
    with client(found) as api:
        answer = api.get("/api/wk/slo/composite", params={"count": 20, "each": "99.9", "target": "99.99"}).json()
        assert answer["attainable"].startswith("98.0188")
        assert (answer["needed"], answer["contradicts"]) == ("99.9995", True)
        for each in ("100", "many", "NaN"):
            refused = api.get("/api/wk/slo/composite", params={"count": 2, "each": each, "target": "99"})
            assert refused.status_code == 400, each
        assert api.get("/api/wk/slo/composite", params={"count": 0, "each": "99", "target": "99"}).status_code == 422
    await stop(found)


async def test_reports_are_made_kept_and_taken_away(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [1.0] * 61)
    await step(found)
    with client(found) as api:
        made = api.post("/api/wk/reports/sla", json={"language": "en"})
        assert made.status_code == 201
        kept = api.get(f"/api/wk/reports/{made.json()['id']}.csv").content.decode("utf-8-sig")
        assert "shop" in kept
        assert "43.8" in kept
        now = api.get("/api/wk/slo/report.csv", params={"language": "en"})
        assert now.content.decode("utf-8-sig") == kept
        assert 'filename="sla-2026-03-02.csv"' in now.headers["content-disposition"]
        assert "服务等级" in api.get("/api/wk/slo/report.html").text
        assert api.get("/api/wk/slo/report.pdf").status_code == 404
        assert TestClient(create(found)).get("/api/wk/slo").status_code == 401
    await stop(found)


async def test_silence_of_the_counter_is_unknown_and_not_the_last_good_news(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    store(found, "probe_success", NOON - HOUR, [1.0] * 61)
    await step(found)
    later = clock_of(found).advance(2 * HOUR)
    account = found.objectives.accounts["shop"]
    stale = found.objectives.judge(found.config.objectives.items[0], account, later)
    assert math.isnan(stale.burns["5m"])
    assert stale.windows["month"].unknown > found.objectives.judged["shop"].windows["month"].unknown + 6000
    await stop(found)


async def test_switched_off_nothing_is_counted(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, enabled=False)
    await step(found)
    assert found.objectives.standing() == []
    await stop(found)


async def test_a_reload_takes_new_objectives_and_refuses_broken_ones(tmp_path: Path) -> None:
    found = house(tmp_path, SHOP, now=NOON + LATER)
    file = tmp_path / "watchkeeper.yaml"
    written = file.read_text(encoding="utf-8")
    file.write_text(written.replace("query: probe_success", "query: sum("), encoding="utf-8")
    assert "objectives.items[0].query (shop)" in await reload(found)
    assert found.config.objectives.items[0].query == "probe_success"
    file.write_text(written.replace("name: shop", "name: market"), encoding="utf-8")
    assert await reload(found) == ""
    await step(found)
    assert list(found.objectives.judged) == ["market"]
    await stop(found)
