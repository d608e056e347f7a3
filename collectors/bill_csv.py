"""Any other bill as CSV, read by a map of its columns: Chinese heads, signs of currency, days and months as written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from watchkeeper.errors import CollectError
from watchkeeper.model import BadRow, Bill, Charge

from .bill_text import RowError, known, money, quantity, read_text, rows, span

#: What bills call a kind of charge, and what FOCUS calls it.
CATEGORIES = {
    "用量": "usage", "按量": "usage", "购买": "purchase", "包年包月": "purchase", "税": "tax", "税费": "tax",
    "抵扣": "credit", "代金券": "credit", "退款": "credit", "refund": "credit", "调账": "adjustment",
}  # fmt: skip
#: FOCUS's own words.
KNOWN = frozenset({"usage", "purchase", "tax", "credit", "adjustment"})
#: What reduces a bill; a source may write it without its minus.
REDUCING = frozenset({"退款", "抵扣", "代金券", "refund", "credit"})
MOST_DAYS = 2000


@dataclass(frozen=True, kw_only=True)
class BillColumns:
    """Names in the first line; empty: the bill has no such column."""

    date: str
    amount: str
    end: str = ""
    service: str = ""
    currency: str = ""
    sku: str = ""
    quantity: str = ""
    unit: str = ""
    category: str = ""
    provider: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        """What is mapped -> the column, of those that are."""
        plain = ("date", "amount", "end", "service", "currency", "sku", "quantity", "unit", "category", "provider")
        found = {name: getattr(self, name) for name in plain if getattr(self, name)}
        return found | {f"tags.{tag}": column for tag, column in self.tags.items()}


def read_bill(
    path: Path, raw: bytes, columns: BillColumns, *, source: str, currency: str = "", encoding: str = ""
) -> Bill:
    """Every row as a charge or as a bad row. Raises CollectError when a mapped column is not there."""
    head, further = rows(path, read_text(path, raw, encoding))
    for what, name in columns.named().items():
        if name not in head:
            raise CollectError(
                f"{path.name}:1: no column {name!r}, which columns.{what} names; the first line has "
                f"{', '.join(head[:30]) or 'nothing'}",
                reason="columns",
            )
    charges: list[Charge] = []
    bad: list[BadRow] = []
    for line, row in further:
        try:
            if len(row) < len(head):
                raise RowError("", "columns", f"{len(row)} cells where the first line has {len(head)}")
            charges.append(_charge(dict(zip(head, row, strict=False)), columns, source, currency))
        except RowError as error:
            bad.append(BadRow(line=line, column=error.column, reason=error.reason, detail=error.detail))
    return Bill(charges=charges, bad=bad)


def _charge(row: Mapping[str, str], columns: BillColumns, source: str, currency: str) -> Charge:
    def text(column: str) -> str:
        return known(row[column]) if column else ""

    start, end = _period(row, columns)
    amount, signed = money(row[columns.amount], columns.amount)
    named = _currency(text(columns.currency), columns.currency) or currency
    if signed and named and signed != named:
        raise RowError(columns.amount, "currency", f"{row[columns.amount].strip()!r} is not {named}")
    category = text(columns.category)
    how_many = quantity(text(columns.quantity))
    return Charge(
        charge_period_start=start,
        charge_period_end=end,
        billed_cost=_sign(amount, category),
        effective_cost=_sign(amount, category),
        currency=named or signed,
        service=text(columns.service) or source,
        period=f"/{start:%Y-%m}",
        category=_category(category, columns.category),
        provider=text(columns.provider),
        sku=text(columns.sku),
        quantity=how_many,
        unit=text(columns.unit),
        tags=tuple(sorted((tag, text(column)) for tag, column in columns.tags.items() if text(column))),
    )


def _period(row: Mapping[str, str], columns: BillColumns) -> tuple[datetime, datetime]:
    start, end = span(row[columns.date], columns.date)
    if columns.end and known(row[columns.end]):
        end = span(row[columns.end], columns.end)[1]  # the last day belongs to it
    if end < start or (end - start).days > MOST_DAYS:
        raise RowError(columns.end or columns.date, "period", f"from {start:%Y-%m-%d} to {end:%Y-%m-%d} is no period")
    return start, end


def _currency(text: str, column: str) -> str:
    """Three capitals; 人民币 and signs are understood."""
    if not text:
        return ""
    found = {"人民币": "CNY", "RMB": "CNY", "¥": "CNY", "￥": "CNY", "元": "CNY", "美元": "USD", "$": "USD"}.get(
        text, text
    )
    if len(found) != 3 or not (found.isascii() and found.isalpha() and found.isupper()):
        raise RowError(column, "currency", f"{text[:20]!r} is no currency; write three capitals such as CNY")
    return found


def _category(text: str, column: str) -> str:
    if not text:
        return "usage"
    found = CATEGORIES.get(text.lower(), text.lower())
    if found not in KNOWN:
        raise RowError(column, "category", f"{text[:40]!r} is none of {', '.join(sorted(KNOWN | set(CATEGORIES)))}")
    return found


def _sign(amount: Decimal, category: str) -> Decimal:
    """Refunds and credits reduce a bill, whether or not it writes their minus."""
    return -abs(amount) if category.lower() in REDUCING else amount
