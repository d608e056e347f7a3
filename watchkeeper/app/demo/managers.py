"""The parts of the demo's configuration for people who answer for money and promises, not for processes."""

from __future__ import annotations

from typing import Any

from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.shop import DAYS


def sections(place: Place) -> dict[str, Any]:
    """Key figures of the shop's database, made-up weeks included, and what checkout promises."""
    return {"business": _business(place), "objectives": _objectives()}


def _business(place: Place) -> dict[str, Any]:
    return {
        "every": "30s",
        "history": f"{DAYS - 1}d",  # the first day is not whole
        "shops": [
            {
                "name": "shop",
                "url": f"sqlite:///{place.shop}",
                "owner": "sales",
                "currency": "CNY",
                "amount": "amount_cents",
                "time_zone": "UTC",
                "jobs": "jobs",
                "payment_target": 0.95,
                "refund_limit": 0.06,
            }
        ],
    }


def _objectives() -> dict[str, Any]:
    """Judged in pieces of 15 s, so that a visitor sees the budget shrink."""
    return {
        "resolution": "15s",
        "items": [
            {
                "name": "checkout-success",
                "title": "Checkout",
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
                "title": "Payment",
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
                "title": "Quotes",
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
