"""GET /api/wk/cost as an engine with two currencies, three budgets and a damaged bill answers it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

DAYS = [f"2026-03-{day:02d}" for day in range(1, 11)]


def cost(now: datetime) -> dict[str, Any]:
    row = {"currency": "CNY", "before": "900.00", "change": 0.37, "share": 0.9}
    driver = {"name": "ECS · ecs.g7", "currency": "CNY", "before": "900.00", "after": "1000.10", "change": "100.10",
              "kind": "changed", "quantity_effect": "60.00", "price_effect": "40.10"}  # fmt: skip
    ahead = {"expected": "3800.00", "low80": "3600.00", "high80": "4000.50", "method": "combined", "unknown": "",
             "known": "1234.56", "through": "2026-03-10", "last": "2026-03-31", "days_known": 60,
             "days_left": 21}  # fmt: skip
    return {
        "now": now.isoformat(), "time_zone": "Asia/Shanghai", "enabled": True, "configured": True, "basis": "billed",
        "read_at": now.isoformat(), "month": "2026-03", "current": True, "months": ["2026-03", "2026-02"],
        "through": "2026-03-10",
        "totals": [
            {"currency": "CNY", "cost": "1234.56", "before": "900.00", "change": 0.3717, "forecast": ahead},
            {"currency": "USD", "cost": "0.0000008", "before": None, "change": None,
             "forecast": {**ahead, "expected": None, "low80": None, "high80": None, "method": "", "days_known": 2,
                          "unknown": "too_little"}},
        ],
        "converted": {"currency": "CNY", "cost": None, "missing": ["USD"], "rates": {}},
        "days": [{"currency": "CNY", "days": DAYS, "series": [
            {"name": "<b>ECS</b>", "values": [100.0] * 10}, {"name": "", "values": [-5.5] * 10}]}],
        "services": [{**row, "name": "<b>ECS</b>", "cost": "1000.10"}, {**row, "name": "=OSS", "cost": "234.46"}],
        "categories": [{**row, "name": "usage", "cost": "1300.00"}, {**row, "name": "credit", "cost": "-65.44"}],
        "tag": "team", "tags": ["team"],
        "by_tag": [{**row, "name": "", "cost": "1234.56", "before": None, "change": None}],
        "drivers": {"service": [driver], "sku": [driver], "tag": [{**driver, "kind": "new", "quantity_effect": None,
                                                                  "price_effect": None}]},
        "budgets": [
            budget("all", "breach", "1200.00", "1234.56", 1.0288),
            budget("parts", "warn", "1300.00", "1234.56", 0.9497),
            {**budget("usd", "unknown", "10.00", None, None), "reason": "no_rate", "missing_rates": ["CNY"]},
        ],
        "reconciliation": [
            {"name": "all", "currency": "CNY", "stated": "65000000.00", "parts": [f"m{n}" for n in range(12)],
             "total": "100000000.00", "gap": "35000000.00", "refused": {}},
            {"name": "even", "currency": "CNY", "stated": "10.00", "parts": ["a"], "total": "10.00", "gap": "0.00",
             "refused": {}},
            {"name": "odd", "currency": "CNY", "stated": "10.00", "parts": ["b"], "total": None, "gap": None,
             "refused": {"b": "USD/month"}},
        ],
        "sources": [{
            "name": "aliyun", "kind": "bill_csv", "through": "2026-03-10", "age_seconds": 86400.0,
            "errors": [{"file": "/bills/b.csv", "error": "b.csv:1: no column '金额'"}],
            "files": [{"file": "/bills/a.csv", "modified_at": now.isoformat(), "imported_at": now.isoformat(),
                       "rows": 20, "bad_rows": 1, "superseded_by": {"/2026-02": "/bills/c.csv"},
                       "bad": [{"line": 7, "column": "金额", "reason": "amount", "detail": "'abc' is no amount"}]}],
        }],
        "anomalies": [{"service": "OSS", "currency": "CNY", "day": "2026-03-09", "cost": 90.0, "expected": 20.0,
                       "lower": 15.5, "upper": 25.0, "score": 0.91}],
    }  # fmt: skip


def budget(name: str, status: str, amount: str, used: str | None, ratio: float | None) -> dict[str, Any]:
    return {
        "name": name, "title": name.upper(), "owner": "finance", "currency": "CNY", "period": "month",
        "first": "2026-03-01", "last": "2026-03-31", "amount": amount, "used": used, "used_ratio": ratio,
        "status": status, "reason": "", "missing_rates": [], "warn_at": "960.00", "breach_at": "1380.00",
        "forecast": None, "forecast_status": "unknown", "method": "", "service": "", "tags": {"team": "a"},
        "part_of": "",
    }  # fmt: skip
