"""Figures computed by hand: folding, ratios, targets, colours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from analytics.business import (
    Goal,
    Status,
    Usual,
    change,
    fold,
    into_periods,
    judge,
    ratio,
    relative_target,
    without_prelude,
)

D = Decimal
DAY = datetime(2026, 3, 1, 16, tzinfo=UTC)
WIDE = Usual(expected=100.0, lower=80.0, upper=120.0, score=0.1)


@pytest.mark.parametrize(
    ("how", "value"), [("sum", "6"), ("last", "1"), ("max", "3"), ("min", "1"), ("mean", "2"), ("count", "3")]
)
def test_readings_of_a_period_become_one_value(how: str, value: str) -> None:
    assert fold(how, [D(2), D(3), D(1)]) == D(value)  # type: ignore[arg-type]


def test_ten_million_cents_stay_exact() -> None:
    assert fold("sum", [D("0.1")] * 10) == D("1.0")
    assert fold("sum", [D("90071992547409.93"), D("0.01")]) == D("90071992547409.94")  # beyond what a float holds


def test_points_fall_into_local_days_in_any_order() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    points = [(DAY + timedelta(hours=2), D(5)), (DAY - timedelta(seconds=1), D(1)), (DAY, D(2))]
    assert into_periods(points, "day", zone, "sum") == {DAY - timedelta(days=1): D(1), DAY: D(7)}
    assert into_periods(points, "day", zone, "last")[DAY] == D(5)


def test_a_share_of_nothing_is_not_known() -> None:
    above = {DAY: D(97), DAY + timedelta(days=1): D(0), DAY + timedelta(days=2): None, DAY + timedelta(days=3): D(1)}
    below = {DAY: D(100), DAY + timedelta(days=1): D(0), DAY + timedelta(days=2): D(3)}
    assert ratio(above, below) == {DAY: D("0.97")}


@pytest.mark.parametrize(
    ("value", "reference", "found"),
    [
        ("50", "100", -0.5),
        ("120", "100", 0.2),
        ("-5", "-10", 0.5),
        ("5", "0", None),
        (None, "1", None),
        ("1", None, None),
    ],
)
def test_change_is_relative_to_the_size_of_the_reference(
    value: str | None, reference: str | None, found: float | None
) -> None:
    assert change(value and D(value), reference and D(reference)) == found  # type: ignore[arg-type]


def test_a_target_of_half_the_baseline() -> None:
    assert relative_target(D(240), D("-0.5")) == D(120)
    assert relative_target(D(-10), D("0.2")) == D(-8)
    assert relative_target(None, D("0.2")) is None


def test_zeros_before_the_shop_opened_are_no_history() -> None:
    assert without_prelude([None, D(0), D(0), D(3), D(0)]) == 3
    assert without_prelude([None, None]) == 2
    assert without_prelude([None, D(0), D(3)], "down") == 1  # no failure is a good day
    assert without_prelude([D(0), D(0)]) == 0  # nothing but zeros: a count of failures may be just that


@pytest.mark.parametrize(
    ("direction", "value", "status", "reasons"),
    [
        ("up", "97.9", Status.BAD, ("target_missed",)),
        ("up", "98", Status.WARN, ("near_target",)),
        ("up", "102.9", Status.GOOD, ()),
        ("down", "98.1", Status.BAD, ("target_missed",)),
        ("down", "94", Status.WARN, ("near_target",)),
        ("down", "93", Status.GOOD, ()),
    ],
)
def test_a_missed_target_is_red_and_a_near_one_amber(
    direction: str, value: str, status: Status, reasons: tuple[str, ...]
) -> None:
    goal = Goal(direction=direction, target=D(98), warn=D("0.05"))  # type: ignore[arg-type]
    found = judge(D(value), goal, WIDE)
    assert (found.status, found.reasons) == (status, reasons)


@pytest.mark.parametrize(
    ("value", "status"),
    [("49.99", Status.BAD), ("50", Status.WARN), ("75", Status.GOOD), ("99", Status.WARN), ("100.01", Status.BAD)],
)
def test_a_band_has_two_edges(value: str, status: Status) -> None:
    goal = Goal(direction="band", low=D(50), high=D(100), warn=D("0.05"))
    assert judge(D(value), goal, Usual()).status == status


@pytest.mark.parametrize(
    ("direction", "value", "status"),
    [
        ("up", "60", Status.WARN),
        ("up", "140", Status.GOOD),
        ("down", "140", Status.WARN),
        ("down", "60", Status.GOOD),
        ("band", "140", Status.WARN),
    ],
)
def test_only_the_unwanted_side_of_unusual_is_amber(direction: str, value: str, status: Status) -> None:
    usual = Usual(expected=100.0, lower=80.0, upper=120.0, score=0.9)
    goal = Goal(direction=direction, low=D(0), high=D(999)) if direction == "band" else Goal(direction=direction)  # type: ignore[arg-type]
    assert judge(D(value), goal, usual).status == status


def test_what_nobody_knows_is_not_healthy() -> None:
    goal = Goal(direction="up", target=D(1))
    assert judge(None, goal, WIDE).status == Status.UNKNOWN
    assert judge(D(5), Goal(direction="up"), Usual()).status == Status.LEARNING
    assert judge(D(5), goal, Usual()).status == Status.GOOD
