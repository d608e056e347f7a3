"""Cost by day to the last digit: charges spread over their days, prices of own hosts, and sums by whatever is asked.

Every sum is of decimals and exact: what a bill says in total is what its days add up to. No clock, disk or network.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Literal, TypeVar

from watchkeeper.model import Charge, DayCharge

#: Amounts have at most 30 digits (collectors/bill_text.py): sums of millions of them fit, or raise.
EXACT = Context(prec=80, traps=[Inexact])
#: The smallest coin a spread leaves: cents, or what the amount itself is written in.
COIN = -2
DAY = timedelta(days=1)
Basis = Literal["billed", "effective"]
Key = TypeVar("Key", bound=Hashable)


def spread(amount: Decimal, start: datetime, end: datetime) -> dict[date, Decimal]:
    """The amount on the days from ``start`` to ``end``, by how much of each day is meant; the sum is the amount.

    Coins that do not divide fall evenly: after each day the total so far is the exact share rounded down.
    """
    if end <= start + DAY and (end <= start or (end - timedelta(microseconds=1)).date() == start.date()):
        return {start.date(): amount}
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int)
    places = min(exponent, COIN)
    coins, whole = int(EXACT.scaleb(amount, -places)), int((end - start).total_seconds())
    found, given, day = {}, 0, start.date()
    while datetime(day.year, day.month, day.day) < end:  # noqa: DTZ001 - a bill's own wall clock
        until = min(datetime(day.year, day.month, day.day) + DAY, end)  # noqa: DTZ001
        so_far = coins * int((until - start).total_seconds()) // whole
        found[day] = EXACT.scaleb(Decimal(so_far - given), places)
        given, day = so_far, day + DAY
    return found


def by_day(charges: Iterable[Charge], source: str) -> list[DayCharge]:
    """What is kept of a bill: one row for each day and thing, in order."""
    rows: dict[Hashable, DayCharge] = {}
    for charge in charges:
        for row in _days(charge, source):
            same = (row.day, row.period, row.provider, row.service, row.sku, row.category, row.currency, row.tags,
                    row.unit, row.quantity is None)  # fmt: skip
            rows[same] = _added(rows[same], row) if same in rows else row
    return [rows[key] for key in sorted(rows, key=str)]


def _days(charge: Charge, source: str) -> Iterator[DayCharge]:
    start, end = charge.charge_period_start, charge.charge_period_end
    effective = spread(charge.effective_cost, start, end)
    counted = None if charge.quantity is None else spread(charge.quantity, start, end)
    for day, billed in spread(charge.billed_cost, start, end).items():
        yield DayCharge(
            day=day, source=source, period=charge.period, provider=charge.provider, service=charge.service,
            sku=charge.sku, category=charge.category, currency=charge.currency, tags=charge.tags, billed=billed,
            effective=effective[day], quantity=None if counted is None else counted[day], unit=charge.unit,
        )  # fmt: skip


def _added(one: DayCharge, more: DayCharge) -> DayCharge:
    many = None if one.quantity is None or more.quantity is None else EXACT.add(one.quantity, more.quantity)
    billed, effective = EXACT.add(one.billed, more.billed), EXACT.add(one.effective, more.effective)
    return replace(one, billed=billed, effective=effective, quantity=many)


def days_between(first: date, last: date) -> Iterator[date]:
    """Both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def month_of(day: date) -> tuple[date, date]:
    """First and last day of its month."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def quarter_of(day: date) -> tuple[date, date]:
    first = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    return first, month_of(first.replace(month=first.month + 2))[1]


def month_before(day: date) -> date:
    """The first day of the month before."""
    return (day.replace(day=1) - DAY).replace(day=1)


def host_days(
    name: str, price: Decimal, currency: str, first: date, last: date, *, service: str, tags: Mapping[str, str]
) -> list[DayCharge]:
    """A monthly price on every day from first to last; a whole month adds up to the price exactly."""
    found, start = [], first.replace(day=1)
    while start <= last:
        begin = datetime(start.year, start.month, 1)  # noqa: DTZ001 - calendar days
        after = month_of(start)[1] + DAY
        shares = spread(price, begin, datetime(after.year, after.month, after.day))  # noqa: DTZ001
        found += [
            DayCharge(day=day, source="hosts", period=f"{name}/{day:%Y-%m}", service=service, sku=name,
                      currency=currency, category="usage", billed=share, effective=share, quantity=Decimal(1),
                      unit="host-days", tags=tuple(sorted({**tags, "host": name}.items())))
            for day, share in shares.items() if first <= day <= last
        ]  # fmt: skip
        start = after
    return found


# --- sums ------------------------------------------------------------------------------------------------------------


def amount(row: DayCharge, basis: Basis) -> Decimal:
    return row.billed if basis == "billed" else row.effective


def within(rows: Iterable[DayCharge], first: date, last: date) -> list[DayCharge]:
    return [row for row in rows if first <= row.day <= last]


def matching(rows: Iterable[DayCharge], service: str, tags: Mapping[str, str]) -> list[DayCharge]:
    """Charges of this service (empty: any) with all of these tags."""
    wanted = set(tags.items())
    return [row for row in rows if (not service or row.service == service) and wanted <= set(row.tags)]


def sums(rows: Iterable[DayCharge], key: Callable[[DayCharge], Key], basis: Basis) -> dict[Key, Decimal]:
    """Exact totals by key. The caller's key holds the currency: amounts of two are never added here."""
    found: defaultdict[Key, Decimal] = defaultdict(Decimal)
    for row in rows:
        at = key(row)
        found[at] = EXACT.add(found[at], amount(row, basis))
    return dict(found)


def total(values: Iterable[Decimal]) -> Decimal:
    """Exact, where ``sum`` rounds to 28 digits."""
    whole = Decimal(0)
    for value in values:
        whole = EXACT.add(whole, value)
    return whole


def tag_value(row: DayCharge, tag: str) -> str:
    """The value of a tag, empty where a charge has none: untagged cost stays in sight."""
    return dict(row.tags).get(tag, "")


def tag_names(rows: Iterable[DayCharge]) -> list[str]:
    return sorted({name for row in rows for name, _ in row.tags})


def convert(
    totals: Mapping[str, Decimal], currency: str, rates: Mapping[str, Decimal]
) -> tuple[Decimal | None, list[str]]:
    """All of it in one currency, or None and the currencies that have no rate. Nothing is added without one."""
    missing = sorted(name for name in totals if name != currency and name not in rates)
    if missing:
        return None, missing
    whole = Decimal(0)
    for name, value in totals.items():
        rate = Decimal(1) if name == currency else rates[name]
        whole = EXACT.add(whole, EXACT.multiply(value, rate))
    return whole, []


def run_rate(daily: Sequence[Decimal], days_left: int) -> Decimal:
    """What the rest of a month brings if each day is as the mean of the known ones. Rounded to cents, being a guess."""
    mean = sum(daily, Decimal(0)) / len(daily)
    return (mean * days_left).quantize(Decimal("0.01"))
