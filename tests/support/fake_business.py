"""Key figures and predictions as the engine answers them: good, missed, failing and still learning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

DAY_MS = 86_400_000


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def figure(now: datetime, name: str, **changes: Any) -> dict[str, Any]:
    """One row of GET /api/wk/business, of the day before ``now``."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    first = round(start.timestamp() * 1000) - 29 * DAY_MS
    points = [[first + day * DAY_MS, 100.0 + day % 7] for day in range(30)]
    return {
        "name": name, "title": name.rpartition(".")[2], "owner": "sales", "unit": "count", "period": "day",
        "direction": "up", "group": "", "role": "", "source": "sql", "value": 120.0, "exact": "120",
        "start": iso(start), "end": iso(start + timedelta(days=1)), "revisions": 0, "status": "good", "reasons": [],
        "low": None, "high": None, "expected": 110.0, "lower": 90.0, "upper": 130.0, "score": 0.1, "learning": False,
        "periods": 30, "periods_needed": 20, "change": {"previous": 0.05, "last_week": -0.1, "last_year": None},
        "current": {"value": 40.0, "exact": "40", "start": iso(start + timedelta(days=1)),
                    "end": iso(start + timedelta(days=2)), "revisions": 0},
        "points": points, "band": [[at, 90.0, 130.0] for at, _ in points], "read_at": iso(now - timedelta(minutes=2)),
        "age_seconds": 120.0, "error": "", "restated": 1, **changes,
    }  # fmt: skip


def business(now: datetime) -> dict[str, Any]:
    """A shop with one failing source, one missed target and one figure that is too young."""
    unknown: dict[str, Any] = {
        "value": None,
        "exact": None,
        "score": None,
        "lower": None,
        "upper": None,
        "expected": None,
        "band": [],
    }
    steps = {"pending": 4, "paid": 80, "failed": 6, "cancelled": 7, "refunded": 3}
    rows = [
        figure(now, "shop.orders"),
        figure(now, "shop.revenue", unit="CNY", value=12345.67, exact="12345.67", role="revenue", lower=9000.0,
               upper=15000.0, current=None),
        figure(now, "shop.payment_success", unit="ratio", value=0.9302, exact="0.9302", low=0.98, status="bad",
               reasons=["target_missed"], lower=0.97, upper=1.02, source="ratio"),
        figure(now, "shop.stuck_job_age", unit="seconds", value=840.0, exact="840", high=900.0, direction="down",
               status="warn", reasons=["near_target"], period="hour"),
        figure(now, "order_value", unit="CNY", value=75.5, exact="75.50", low=50.0, high=100.0, direction="band",
               owner="", title="<b>Order value</b>"),
        figure(now, "visitors", status="unknown", reasons=["source_failed"], error="HTTP 503", source="http",
               **unknown),
        figure(now, "satisfaction", unit="score", period="month", value=4.6, exact="4.6", status="learning",
               reasons=["learning"], source="csv", score=None, lower=None, upper=None, expected=None, band=[],
               periods=3, learning=True, change={"previous": None, "last_week": None, "last_year": None}),
        *(figure(now, f"shop.orders_{state}", value=float(count), exact=str(count), group="funnel")
          for state, count in steps.items()),
    ]  # fmt: skip
    return {"rows": rows, "time_zone": "Asia/Shanghai", "enabled": True, "now": iso(now)}


def prediction(now: datetime, name: str, **changes: Any) -> dict[str, Any]:
    """One row of GET /api/wk/predictions."""
    own = ("name", "title", "owner", "unit", "period", "direction", "group", "role", "source")
    row = figure(now, name, **{key: value for key, value in changes.items() if key in own})
    last = int(row["points"][-1][0])
    path = [[last + step * DAY_MS, 80.0, 90.0, 100.0 + step, 110.0 + step, 120.0 + step] for step in range(1, 91)]
    ahead = [
        {"days": days, "at_ms": path[days - 1][0], "low95": 80.0, "low80": 90.0, "expected": 100.0 + days,
         "high80": 110.0 + days, "high95": 120.0 + days}
        for days in (7, 30, 90)
    ]  # fmt: skip
    accuracy = [
        {"days": days, "scored": days, "coverage80": 0.78, "coverage95": 0.94, "mape": 0.062, "mase": 0.71,
         "against_naive": 0.66, "bias": 0.01}
        for days in (7, 30, 90)
    ]  # fmt: skip
    return {
        **{key: row[key] for key in own}, "made_at": iso(now - timedelta(hours=3)), "age_seconds": 10800.0,
        "method": "combined", "unknown": "", "error": "", "forecasts_made": 12, "forecast": path, "ahead": ahead,
        "backtest": {"mase": 0.7, "coverage80": 0.8, "origins": 6, "better_than_last_value": True},
        "accuracy": accuracy, "history": row["points"],
        "past": [[at, 90.0, 101.0, 112.0, value] for at, value in row["points"][-10:]], **changes,
    }  # fmt: skip


def predictions(now: datetime) -> dict[str, Any]:
    nothing: dict[str, Any] = {"forecast": [], "ahead": [], "accuracy": [], "past": [], "forecasts_made": 0}
    rows = [
        prediction(now, "shop.revenue", unit="CNY"),
        prediction(now, "signups", title="Sign-ups", unknown="not enough history: 5 of 14 points", backtest=None,
                   **nothing),
    ]  # fmt: skip
    return {"rows": rows, "time_zone": "Asia/Shanghai", "now": iso(now)}
