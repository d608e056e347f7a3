"""FOCUS 1.x, the FinOps Foundation's form of cloud bills, as CSV: every provider exports it.

https://focus.finops.org/focus-specification/ . Missing values may be the text NULL; times without a zone are UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from watchkeeper.errors import CollectError
from watchkeeper.model import BadRow, Bill, Charge

from .bill_text import RowError, known, money, quantity, read_text, rows, span

#: Without these there is no bill.
NEEDED = ("BilledCost", "BillingCurrency", "ChargePeriodStart", "ChargePeriodEnd", "ServiceName")
#: A charge that lasts longer than this is a mistake of the export; commitments last three years, or five.
MOST_DAYS = 2000


def read_focus(path: Path, raw: bytes, encoding: str = "") -> Bill:
    """Every row as a charge or as a bad row. Raises CollectError when the file is no FOCUS bill at all."""
    head, further = rows(path, read_text(path, raw, encoding))
    missing = [name for name in NEEDED if name not in head]
    if missing:
        raise CollectError(
            f"{path.name}:1: no column {', '.join(missing)}; export the bill as FOCUS 1.x, or use kind: bill_csv "
            "with columns",
            reason="columns",
        )
    charges: list[Charge] = []
    bad: list[BadRow] = []
    for line, row in further:
        try:
            if len(row) != len(head):
                raise RowError("", "columns", f"{len(row)} cells where the first line has {len(head)}")
            charges.append(_charge(dict(zip(head, row, strict=True))))
        except RowError as error:
            bad.append(BadRow(line=line, column=error.column, reason=error.reason, detail=error.detail))
    return Bill(charges=charges, bad=bad)


def _charge(row: Mapping[str, str]) -> Charge:
    def text(name: str) -> str:
        return known(row.get(name, ""))

    start, end = (span(row[name], name)[0] for name in ("ChargePeriodStart", "ChargePeriodEnd"))
    if end < start or (end - start).days > MOST_DAYS:
        raise RowError("ChargePeriodEnd", "period", f"from {start:%Y-%m-%d} to {end:%Y-%m-%d} is no period of a charge")
    currency = text("BillingCurrency")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise RowError("BillingCurrency", "currency", f"{currency[:20]!r} is no currency; write three capitals")
    billed = _amount(row, "BilledCost")
    month = span(row["BillingPeriodStart"], "BillingPeriodStart")[0] if text("BillingPeriodStart") else start
    amount, unit = _quantity(text)
    return Charge(
        charge_period_start=start,
        charge_period_end=end,
        billed_cost=billed,
        effective_cost=_amount(row, "EffectiveCost") if text("EffectiveCost") else billed,
        currency=currency,
        service=text("ServiceName") or text("ProviderName") or text("PublisherName") or "other",
        period=f"{text('BillingAccountId')}/{month:%Y-%m}",
        category=_category(text("ChargeCategory"), text("ChargeClass")),
        provider=text("ProviderName") or text("PublisherName"),
        sku=text("SkuId"),
        quantity=amount,
        unit=unit,
        tags=_tags(text("Tags")),
    )


def _amount(row: Mapping[str, str], name: str) -> Decimal:
    return money(row[name], name)[0]


def _quantity(text: object) -> tuple[Decimal | None, str]:
    assert callable(text)
    for name in ("Pricing", "Consumed"):
        found = quantity(text(f"{name}Quantity"))
        if found is not None:
            return found, str(text(f"{name}Unit"))
    return None, ""


def _category(category: str, kind: str) -> str:
    """FOCUS's ChargeCategory in small letters; a correction of an earlier bill is an adjustment."""
    return "adjustment" if kind.lower() == "correction" else (category.lower()[:20] or "usage")


def _tags(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RowError("Tags", "tags", f"{text[:60]!r} is no JSON object") from None
    if isinstance(found, Sequence):  # 0.5 and some exports: [{"key": ..., "value": ...}]
        pairs = {str(each.get("key", "")): each.get("value") for each in found if isinstance(each, Mapping)}
    elif isinstance(found, Mapping):
        pairs = dict(found)
    else:
        raise RowError("Tags", "tags", f"{text[:60]!r} is no JSON object")
    return tuple(sorted((str(key), str(value)) for key, value in pairs.items() if key and value not in (None, "")))
