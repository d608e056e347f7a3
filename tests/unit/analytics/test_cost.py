"""Money adds up: days to bills, parts to wholes, effects to changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.cost import (
    by_day,
    convert,
    host_days,
    matching,
    month_before,
    month_of,
    quarter_of,
    run_rate,
    spread,
    sums,
    total,
)  # fmt: skip
from analytics.cost_budget import BudgetStatus, Part, level, reconcile, standing
from analytics.cost_drivers import drivers
from watchkeeper.model import Charge, DayCharge

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=None).filter(
    lambda value: len(value.as_tuple().digits) <= 25 and abs(int(value.as_tuple().exponent)) <= 25
)
STARTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


def charge(amount: str, start: datetime, end: datetime, **more: object) -> Charge:
    return Charge(charge_period_start=start, charge_period_end=end, billed_cost=Decimal(amount),
                  effective_cost=Decimal(amount), currency="CNY", service="ecs", period="/2024-02",
                  **more)  # type: ignore[arg-type]  # fmt: skip


def row(cost: str, **more: object) -> DayCharge:
    given = {"day": date(2026, 3, 1), "source": "a", "period": "", "service": "ecs", "currency": "CNY", **more}
    return DayCharge(billed=Decimal(cost), effective=Decimal(cost), **given)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(amount=AMOUNTS, start=STARTS, seconds=st.integers(0, 86_400 * 100))
def test_the_days_of_a_charge_add_up_to_it(amount: Decimal, start: datetime, seconds: int) -> None:
    end = start + timedelta(seconds=seconds)
    days = spread(amount, start, end)
    assert total(days.values()) == amount
    assert min(days) == start.date()
    assert max(days) == max(start, end - timedelta(microseconds=1)).date()


@settings(max_examples=25)
@given(st.lists(st.tuples(AMOUNTS, STARTS, st.integers(0, 40)), max_size=5))
def test_what_is_kept_of_a_bill_adds_up_to_the_bill(rows: list[tuple[Decimal, datetime, int]]) -> None:
    charges = [charge(str(amount), start, start + timedelta(days=days)) for amount, start, days in rows]
    kept = by_day(charges, "aliyun")
    assert sums(kept, lambda one: 0, "billed").get(0, 0) == total(amount for amount, _, _ in rows)


def test_coins_that_do_not_divide_fall_evenly() -> None:
    days = spread(Decimal("1.00"), datetime(2024, 2, 1), datetime(2024, 2, 4))  # noqa: DTZ001
    assert list(days.values()) == [Decimal("0.33"), Decimal("0.33"), Decimal("0.34")]


def test_a_day_that_is_only_partly_meant_has_its_part() -> None:
    days = spread(Decimal("24.00"), datetime(2024, 2, 1, 18), datetime(2024, 2, 2, 18))  # noqa: DTZ001
    assert days == {date(2024, 2, 1): Decimal("6.00"), date(2024, 2, 2): Decimal("18.00")}


@pytest.mark.parametrize(("month", "days"), [(date(2024, 2, 1), 29), (date(2025, 2, 1), 28), (date(2026, 12, 1), 31)])
def test_a_hosts_month_costs_its_price_whatever_its_length(month: date, days: int) -> None:
    rows = host_days("db", Decimal("1000.00"), "CNY", *month_of(month), service="database", tags={"team": "a"})
    assert len(rows) == days
    assert sum(one.billed for one in rows) == Decimal("1000.00")
    assert max(one.billed for one in rows) - min(one.billed for one in rows) <= Decimal("0.01")
    assert rows[0].tags == (("host", "db"), ("team", "a"))


def test_half_a_month_of_a_host_costs_those_days() -> None:
    rows = host_days("db", Decimal("290.00"), "CNY", date(2024, 2, 15), date(2024, 3, 1), service="x", tags={})
    assert [one.day for one in rows][::15] == [date(2024, 2, 15), date(2024, 3, 1)]
    assert sum(one.billed for one in rows if one.day.month == 2) == Decimal("150.00")


def test_months_and_quarters_know_leap_years_and_the_turn_of_the_year() -> None:
    assert month_of(date(2024, 2, 10)) == (date(2024, 2, 1), date(2024, 2, 29))
    assert quarter_of(date(2026, 12, 31)) == (date(2026, 10, 1), date(2026, 12, 31))
    assert month_before(date(2026, 1, 31)) == date(2025, 12, 1)


def test_two_currencies_are_never_added_without_a_rate() -> None:
    totals = {"CNY": Decimal("10.00"), "USD": Decimal("2.50")}
    assert convert(totals, "CNY", {}) == (None, ["USD"])
    assert convert(totals, "CNY", {"USD": Decimal("7.12")}) == (Decimal("27.8000"), [])


def test_tags_and_services_choose_charges() -> None:
    rows = [row("1", tags=(("team", "a"), ("x", "y"))), row("2"), row("4", service="oss", tags=(("team", "a"),))]
    assert [one.billed for one in matching(rows, "", {"team": "a"})] == [1, 4]
    assert [one.billed for one in matching(rows, "ecs", {"team": "a"})] == [1]


def test_a_run_rate_is_the_mean_day() -> None:
    assert run_rate([Decimal(10), Decimal(20), Decimal("30.01")], 2) == Decimal("40.01")


# --- budgets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "status"),
    [
        ("211999.99", BudgetStatus.GOOD),
        ("212000.00", BudgetStatus.WARN),
        ("304749.99", BudgetStatus.WARN),
        ("304750.00", BudgetStatus.BREACH),
        (None, BudgetStatus.UNKNOWN),
    ],
)
def test_a_budget_of_265_thousand_with_15_per_cent_breaches_at_304750(used: str | None, status: BudgetStatus) -> None:
    shares = (Decimal("0.8"), Decimal("1.15"))
    spent = None if used is None else Decimal(used)
    one = standing((date(2026, 1, 1), date(2026, 3, 31)), Decimal(265_000), shares, spent)
    assert (one.status, one.breach_at) == (status, Decimal(304_750))


def test_a_budget_of_nothing_is_breached_by_anything_and_by_nothing_not() -> None:
    assert level(Decimal(0), Decimal(0), Decimal(0)) == BudgetStatus.GOOD
    assert level(Decimal("0.01"), Decimal(0), Decimal(0)) == BudgetStatus.BREACH


def test_twelve_modules_of_100_million_beside_a_total_of_65_leave_a_gap_of_35() -> None:
    amounts = [20, 15, 12, 10, 8, 8, 7, 6, 5, 4, 3, 2]
    parts = [part(f"m{number}", each * 1_000_000, "total") for number, each in enumerate(amounts)]
    (found,) = reconcile([part("total", 65_000_000), *parts])
    assert (found.total, found.gap, len(found.parts)) == (Decimal(100_000_000), Decimal(35_000_000), 12)


def test_a_part_in_another_currency_is_named_and_nothing_is_added() -> None:
    (found,) = reconcile([part("total", 10), part("a", 5, "total"), part("b", 5, "total", currency="USD")])
    assert (found.total, found.gap, found.refused) == (None, None, {"b": "USD/month"})


def part(name: str, amount: int, of: str = "", currency: str = "CNY") -> Part:
    return Part(name=name, amount=Decimal(amount), currency=currency, period="month", part_of=of)


# --- drivers ---------------------------------------------------------------------------------------------------------


def test_price_and_quantity_add_up_to_the_change_and_the_largest_comes_first() -> None:
    before = [row("100", quantity=Decimal(10), unit="h"), row("5", service="old")]
    after = [row("165", quantity=Decimal(15), unit="h"), row("7", service="new")]
    found = drivers(before, after, lambda one: one.service, "billed")
    assert [(one.name, one.kind, one.change) for one in found] == [
        ("ecs", "changed", Decimal(65)), ("new", "new", Decimal(7)), ("old", "gone", Decimal(-5)),
    ]  # fmt: skip
    assert (found[0].quantity_effect, found[0].price_effect) == (Decimal(50), Decimal(15))
    assert found[1].price_effect is None
    assert sum(one.change for one in found) == Decimal(172 - 105)


@pytest.mark.parametrize("other", [{"unit": "GB"}, {"quantity": None}, {"quantity": Decimal(0)}])
def test_quantities_that_cannot_be_compared_explain_nothing(other: dict[str, object]) -> None:
    before, after = (
        row("100", quantity=Decimal(10), unit="h"),
        row("120", **{"quantity": Decimal(9), "unit": "h", **other}),
    )
    (found,) = drivers([before], [after], lambda one: one.service, "billed")
    assert (found.change, found.quantity_effect, found.price_effect) == (Decimal(20), None, None)


def test_what_did_not_change_is_no_driver_and_currencies_stay_apart() -> None:
    before = [row("1"), row("1", currency="USD")]
    found = drivers(before, [row("1"), row("3", currency="USD")], lambda one: one.service, "billed")
    assert [(one.currency, one.change) for one in found] == [("USD", Decimal(2))]
