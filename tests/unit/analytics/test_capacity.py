"""Capacity rows, proposals and the throughput model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.capacity import Pool, Throughput, capacity_row, expected_at, headroom, proposal
from watchkeeper.clock import to_ms
from watchkeeper.model import Backtest, Exhaustion, Forecast, labels

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAN = float("nan")
NEVER = Exhaustion(earliest=None, expected=None, latest=None)
TRIED = Backtest(origins=6, mase=0.8, coverage80=0.8, better_than_last_value=True)


def rising(per_day: float, *, start: float = 50.0, days: int = 120, unknown: str = "") -> Forecast:
    path = start + per_day * np.arange(1.0, days + 1)
    spread = {0.025: -8.0, 0.1: -4.0, 0.5: 0.0, 0.9: 4.0, 0.975: 8.0}
    return Forecast(
        series=labels("disk"),
        issued_ms=to_ms(NOW),
        times=np.array([to_ms(NOW + timedelta(days=day)) for day in range(1, days + 1)]),
        quantiles={} if unknown else {quantile: path + by for quantile, by in spread.items()},
        method="combined",
        backtest=TRIED,
        unknown=unknown,
    )


def in_days(*days: int | None) -> Exhaustion:
    moments = [None if day is None else NOW + timedelta(days=day) for day in days]
    return Exhaustion(earliest=moments[0], expected=moments[1], latest=moments[2])


def test_a_row_says_where_the_pool_will_be_and_how_old_its_data_is() -> None:
    row = capacity_row(
        Pool(pool="db", resource="disk", unit="GB", limit=100.0),
        rising(0.5),
        in_days(92, 100, 108),
        newest_value=50.0,
        newest_at=NOW - timedelta(minutes=3),
        now=NOW,
    )
    assert (row.now, row.in_7d, row.in_30d, row.in_90d) == (50.0, 53.5, 65.0, 95.0)
    assert row.data_age_seconds == 180.0
    assert row.backtest_mase == 0.8
    assert row.proposal == "capacity.proposal.plan_expansion"
    assert row.unknown == ""


def test_figures_beyond_the_path_are_unknown_with_the_reason() -> None:
    row = capacity_row(
        Pool(pool="db", resource="disk", unit="GB", limit=100.0),
        rising(0.5, days=40),
        NEVER,
        newest_value=50.0,
        newest_at=NOW,
        now=NOW,
    )
    assert np.isnan(row.in_90d)
    assert row.in_30d == 65.0
    assert row.unknown == "the forecast ends 2026-07-11, before 90 days"


@pytest.mark.parametrize(
    ("limit", "per_day", "start", "exhausted", "newest", "key"),
    [
        (NAN, 0.5, 50.0, NEVER, 50.0, "declare_limit"),
        (100.0, 0.5, 50.0, NEVER, NAN, "unknown"),
        (100.0, 0.5, 99.0, NEVER, 100.0, "full"),
        (100.0, 5.0, 50.0, in_days(9, 10, 11), 50.0, "expand_now"),
        (100.0, 1.0, 50.0, in_days(40, 50, 60), 50.0, "plan_expansion"),
        (100.0, 0.0, 90.0, NEVER, 90.0, "plan_expansion"),
        (100.0, 0.0, 60.0, in_days(80, None, None), 60.0, "watch"),
        (100.0, 0.0, 60.0, NEVER, 60.0, "none"),
        (100.0, 0.0, 10.0, NEVER, 10.0, "shrink"),
    ],
)
def test_the_worst_reason_decides_what_is_proposed(
    limit: float, per_day: float, start: float, exhausted: Exhaustion, newest: float, key: str
) -> None:
    pool = Pool(pool="db", resource="disk", unit="GB", limit=limit)
    found = proposal(pool, rising(per_day, start=start), exhausted, newest_value=newest, now=NOW)
    assert found == f"capacity.proposal.{key}"


def test_without_a_forecast_nothing_is_proposed() -> None:
    pool, forecast = Pool(pool="db", resource="disk", unit="GB", limit=100.0), rising(0.0, unknown="too short")
    row = capacity_row(pool, forecast, NEVER, newest_value=50.0, newest_at=NOW, now=NOW)
    assert (row.proposal, row.unknown) == ("capacity.proposal.unknown", "too short")
    assert np.isnan(row.in_7d)


def test_headroom_plans_with_the_upper_edge_at_lead_time() -> None:
    room = headroom(Pool(pool="db", resource="disk", unit="GB", limit=100.0), rising(1.0), 50.0, NOW)
    assert (room.free, room.ratio) == (50.0, 0.5)
    assert room.planned_need == pytest.approx((50.0 + 14.0 + 4.0) / 0.8)


def test_a_value_between_two_steps_is_drawn_between_them() -> None:
    assert expected_at(rising(1.0), NOW + timedelta(days=3, hours=12)) == pytest.approx(53.5)
    assert np.isnan(expected_at(rising(1.0), NOW - timedelta(days=1)))


def test_a_queue_is_limited_by_its_starts_or_its_workers() -> None:
    assert Throughput(workers=10, starts_per_minute=50.0, seconds_per_job=6.0).most_per_minute == 50.0
    assert Throughput(workers=10, starts_per_minute=50.0, seconds_per_job=60.0).most_per_minute == 10.0


def test_the_wait_of_one_worker_is_the_textbook_one_and_grows_without_end_at_saturation() -> None:
    queue = Throughput(workers=1, starts_per_minute=1e9, seconds_per_job=60.0)
    assert queue.wait_seconds(0.5) == pytest.approx(60.0)  # M/M/1: rho / (mu - lambda)
    assert queue.wait_seconds(1.0) == float("inf")
    assert queue.wait_seconds(0.0) == 0.0
    assert queue.utilisation(0.5) == 0.5


def test_the_wait_of_two_workers_is_erlang_c() -> None:
    queue = Throughput(workers=2, starts_per_minute=1e9, seconds_per_job=60.0)
    assert queue.wait_seconds(1.0) == pytest.approx(20.0)  # C(2, 1) = 1/3, 1/3 * 60 / (2 - 1)
