"""What a bill says: charges with exact amounts, and the rows that could not be read. FOCUS's words in snake case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One row of a bill. Times are on the bill's own wall clock, because a bill's days are its provider's days."""

    charge_period_start: datetime  #: naive, on the bill's clock
    charge_period_end: datetime  #: exclusive
    billed_cost: Decimal
    effective_cost: Decimal  #: with commitments spread over what used them; the billed cost where a bill has no such
    currency: str  #: three capitals
    service: str
    period: str  #: what a corrected bill replaces: account and month, for example ``1234/2024-09``
    category: str = "usage"  #: usage, purchase, tax, credit, adjustment
    provider: str = ""
    sku: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    tags: tuple[tuple[str, str], ...] = ()  #: sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCharge:
    """What was charged on one day for one thing: the form in which charges are kept and added up."""

    day: date
    source: str
    period: str
    provider: str = ""
    service: str
    sku: str = ""
    category: str = "usage"
    currency: str
    tags: tuple[tuple[str, str], ...] = ()
    billed: Decimal
    effective: Decimal
    quantity: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that was not taken in, and why."""

    line: int
    column: str
    reason: str  #: one bounded word: amount, time, currency, columns, period, tags
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One file as it was read: rows = charges + bad."""

    charges: Sequence[Charge]
    bad: Sequence[BadRow] = ()
