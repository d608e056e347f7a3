"""Budgets: how much of each is used, where its lines lie, and whether the parts add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from .cost import EXACT


class BudgetStatus(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BREACH = "breach"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One budget in one period."""

    first: date
    last: date
    amount: Decimal
    used: Decimal | None
    status: BudgetStatus
    reason: str = ""  #: no_charges, no_rate, not_yet, over
    missing_rates: Sequence[str] = ()
    warn_at: Decimal = Decimal(0)
    breach_at: Decimal = Decimal(0)
    used_ratio: float | None = None
    forecast: Decimal | None = None  #: at the end of the period
    forecast_status: BudgetStatus = BudgetStatus.UNKNOWN


def lines(amount: Decimal, warn: Decimal, breach: Decimal) -> tuple[Decimal, Decimal]:
    """(warn, breach) as amounts: 265,000 with breach 1.15 is 304,750."""
    return EXACT.multiply(amount, warn), EXACT.multiply(amount, breach)


def level(value: Decimal | None, warn_at: Decimal, breach_at: Decimal) -> BudgetStatus:
    """A line is reached, not only crossed; nothing known is not good."""
    if value is None:
        return BudgetStatus.UNKNOWN
    if value >= breach_at and (breach_at > 0 or value > 0):
        return BudgetStatus.BREACH
    return BudgetStatus.WARN if value >= warn_at and (warn_at > 0 or value > 0) else BudgetStatus.GOOD


def standing(
    period: tuple[date, date], amount: Decimal, shares: tuple[Decimal, Decimal], used: Decimal | None, *,
    reason: str = "", missing: Sequence[str] = (), forecast: Decimal | None = None,
) -> Standing:  # fmt: skip
    warn_at, breach_at = lines(amount, *shares)
    return Standing(
        first=period[0], last=period[1], amount=amount, used=used, status=level(used, warn_at, breach_at),
        reason=reason, missing_rates=missing, warn_at=warn_at, breach_at=breach_at,
        used_ratio=float(used / amount) if used is not None and amount else None, forecast=forecast,
        forecast_status=level(forecast, warn_at, breach_at),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A budget as the reconciliation sees it."""

    name: str
    amount: Decimal
    currency: str
    period: str
    part_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A stated total beside the sum of its parts. ``gap`` above 0: the parts ask for more than there is."""

    name: str
    stated: Decimal
    currency: str
    parts: Sequence[str]
    total: Decimal | None  #: None when the parts cannot be added
    gap: Decimal | None
    refused: Mapping[str, str] = field(default_factory=dict)  #: part -> its currency or period, when it differs


def reconcile(budgets: Sequence[Part]) -> list[Reconciled]:
    """Every budget that has parts. Parts of another currency or period are named, never added silently."""
    found = []
    for whole in budgets:
        parts = [each for each in budgets if each.part_of == whole.name]
        if not parts:
            continue
        odd = {each.name: f"{each.currency}/{each.period}" for each in parts
               if (each.currency, each.period) != (whole.currency, whole.period)}  # fmt: skip
        total = None if odd else sum((each.amount for each in parts), Decimal(0))
        found.append(
            Reconciled(
                name=whole.name,
                stated=whole.amount,
                currency=whole.currency,
                parts=tuple(each.name for each in parts),
                total=total,
                gap=None if total is None else EXACT.subtract(total, whole.amount),
                refused=odd,
            )
        )
    return found
