"""Key figures by period: exact, restated when late rows come, with every forecast kept as it was made."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from support.states import NOON

from watchkeeper.store.state import KpiForecast, State
from watchkeeper.store.state.retention import prune

DAY = timedelta(days=1)


def test_money_comes_back_to_the_cent(state: State) -> None:
    with state.begin() as unit:
        unit.kpis.put("revenue", "day", {NOON: Decimal("90071992547409.93"), NOON + DAY: None}, NOON + DAY, at=NOON)
    with state.read() as unit:
        rows = unit.kpis.values("revenue", "day")
    assert [(row.start, row.value, row.finished) for row in rows] == [
        (NOON, Decimal("90071992547409.93"), True),
        (NOON + DAY, None, False),
    ]


def test_late_rows_restate_a_finished_period_and_the_current_one_just_grows(state: State) -> None:
    with state.begin() as unit:
        assert unit.kpis.put("orders", "day", {NOON: Decimal(5), NOON + DAY: Decimal(1)}, NOON + DAY, at=NOON) == 0
        assert unit.kpis.put("orders", "day", {NOON: Decimal(5), NOON + DAY: Decimal(2)}, NOON + DAY, at=NOON) == 0
        assert unit.kpis.put("orders", "day", {NOON + DAY: Decimal(9)}, NOON + 2 * DAY, at=NOON) == 0
        assert unit.kpis.put("orders", "day", {NOON: Decimal(7), NOON + DAY: Decimal(9)}, NOON + 2 * DAY, at=NOON) == 1
        rows = unit.kpis.values("orders", "day")
        assert [(row.value, row.revisions, row.finished) for row in rows] == [
            (Decimal(7), 1, True),
            (Decimal(9), 0, True),
        ]
        assert [row.start for row in unit.kpis.values("orders", "day", NOON + DAY)] == [NOON + DAY]


def test_figures_and_periods_do_not_mix(state: State) -> None:
    with state.begin() as unit:
        unit.kpis.put("orders", "day", {NOON: Decimal(5)}, NOON, at=NOON)
        unit.kpis.put("orders", "hour", {NOON: Decimal(1)}, NOON, at=NOON)
        assert unit.kpis.put("other", "day", {}, NOON, at=NOON) == 0
        assert [row.value for row in unit.kpis.values("orders", "hour")] == [1]
        assert unit.kpis.values("other", "day") == []


def forecast(step: int, made_at: object = NOON) -> KpiForecast:
    return KpiForecast(made_at=made_at, target=NOON + step * DAY, step=step, quantiles={"0.5": 1.5 * step},  # type: ignore[arg-type]
                       naive=None, scale=2.0, method="combined")  # fmt: skip


def test_forecasts_are_kept_as_made_and_dropped_when_long_over(state: State) -> None:
    with state.begin() as unit:
        assert unit.kpis.last_made("orders", "day") is None
        unit.kpis.keep_forecast("orders", "day", [forecast(1), forecast(2)])
        unit.kpis.keep_forecast("orders", "day", [forecast(2, NOON + DAY)])
        assert unit.kpis.last_made("orders", "day") == NOON + DAY
        assert unit.kpis.made_count("orders", "day") == 2
        rows = unit.kpis.forecasts("orders", "day", since=NOON, until=NOON + 2 * DAY)
        assert [(row.step, row.quantiles, row.naive, row.scale) for row in rows] == [(1, {"0.5": 1.5}, None, 2.0)]
        assert prune(unit, NOON + 2 * DAY)["kpi_forecasts"] == 1
        assert unit.kpis.made_count("orders", "day") == 2
