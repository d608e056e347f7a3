"""The parts of the demo's configuration for people who answer for money and promises, not for processes."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.shop import DAYS, SEED

#: Yuan a day of a usual day, by service, and how much a day differs (share).
PRICES = (
    ("checkout-primary", "46.00", 0.0),
    ("checkout-backup", "9.00", 0.5),
    ("payment-fees", "180.00", 0.15),
    ("database", "62.50", 0.02),
    ("receipts-volume", "7.80", 0.05),
)
#: Days before today on which the backup, billed by the call, carried the load: a jump that has a reason.
ON_BACKUP, BACKUP_DAY = (9, 10), Decimal("210.00")
SHANGHAI = ZoneInfo("Asia/Shanghai")
#: What pages call budgets and objectives.
TITLES = {
    "en": {
        "shop": "Shop",
        "checkout-backup": "Checkout backup",
        "checkout-success": "Checkout",
        "payment-success": "Payment",
        "quote-time": "Quotes",
    },
    "zh-CN": {
        "shop": "商城",
        "checkout-backup": "结算备用副本",
        "checkout-success": "结算",
        "payment-success": "支付",
        "quote-time": "运费报价",
    },
}


def write_bill(place: Place, now: datetime) -> int:
    """A made-up bill of the weeks before today, the same each time; how many lines it has."""
    lines = list(_bill(now.astimezone(SHANGHAI).date()))
    with place.bill.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["date", "service", "amount", "currency", "made_up_with_seed"])
        writer.writerows([(day.isoformat(), service, str(amount), "CNY", SEED) for day, service, amount in lines])
    return len(lines)


def _bill(today: date) -> Iterator[tuple[date, str, Decimal]]:
    """Day, service and yuan of every whole day."""
    dice = random.Random(SEED)  # noqa: S311 - made-up data, the same each time
    for back in range(DAYS, 0, -1):
        for service, price, spread in PRICES:
            usual = Decimal(price) * Decimal(str(round(dice.uniform(1 - spread, 1 + spread), 4)))
            amount = BACKUP_DAY if service == "checkout-backup" and back in ON_BACKUP else usual
            yield today - timedelta(days=back), service, amount.quantize(Decimal("0.01"))


def sections(place: Place, shop: str, language: str) -> dict[str, Any]:
    """Key figures of the shop's database, made-up weeks included, what services promise, and what they cost."""
    titles = TITLES[language]
    return {"business": _business(shop), "objectives": _objectives(titles), "cost": _cost(place, titles)}


def _business(shop: str) -> dict[str, Any]:
    return {
        "every": "30s",
        "history": f"{DAYS - 1}d",  # the first day is not whole
        "shops": [
            {
                "name": "shop",
                "url": shop,
                "owner": "sales",
                "currency": "CNY",
                "amount": "amount_cents",
                "time_zone": "UTC",
                "jobs": "jobs",
                "payment_target": 0.9,  # plan 2 begins here; of a hundred orders of a quiet hour three or four fail
                "refund_limit": 0.06,
            }
        ],
    }


def _cost(place: Place, titles: Mapping[str, str]) -> dict[str, Any]:
    columns = {"date": "date", "service": "service", "amount": "amount", "currency": "currency"}
    return {
        "currency": "CNY",
        "sources": [{"name": "demo-bill", "kind": "bill_csv", "files": [str(place.bill)], "columns": columns}],
        "budgets": [
            {"name": "shop", "title": titles["shop"], "owner": "demo", "amount": 9800, "currency": "CNY"},
            {
                "name": "checkout-backup",
                "title": titles["checkout-backup"],
                "owner": "demo",
                "amount": 500,
                "currency": "CNY",
                "service": "checkout-backup",
                "part_of": "shop",
            },
        ],
    }


def _objectives(titles: Mapping[str, str]) -> dict[str, Any]:
    """Judged in pieces of 15 s, so that a visitor sees the budget shrink."""
    return {
        "resolution": "15s",
        "items": [
            {
                "name": "checkout-success",
                "title": titles["checkout-success"],
                "service": "checkout",
                "tier": "core",
                "owner": "demo",
                "description": "Purchases do not end in a 5xx.",
                "kind": "ratio",
                "good": 'sum(rate(http_requests_total{path="/buy",status!~"5.."}[30s]))',
                "total": 'sum(rate(http_requests_total{path="/buy"}[30s]))',
            },
            {
                "name": "payment-success",
                "title": titles["payment-success"],
                "service": "payment",
                "tier": "support",
                "target": 95,
                "owner": "demo",
                "description": "Charges are not refused by the payment network.",
                "kind": "ratio",
                "good": "sum(rate(payment_attempts_total[30s])) - sum(rate(payment_failed_total[30s]))",
                "total": "sum(rate(payment_attempts_total[30s]))",
            },
            {
                "name": "quote-time",
                "title": titles["quote-time"],
                "service": "payment",
                "tier": "agent",
                "owner": "demo",
                "description": "Shipping quotes take 2 s at most on average.",
                "kind": "threshold",
                "query": (
                    'sum(rate(http_request_duration_seconds_sum{path="/quote"}[30s]))'
                    ' / sum(rate(http_request_duration_seconds_count{path="/quote"}[30s]))'
                ),
                "at_most": 2,
            },
        ],
    }
