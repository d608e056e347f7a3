"""Service levels as the engine answers them: met, at risk, broken, unknown, by requests, and one that fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

HOUR_MS = 3_600_000


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def window(now: datetime, name: str, **changes: Any) -> dict[str, Any]:
    """March 2026 in Shanghai, or the thirty days before ``now``."""
    start, end = (
        datetime.fromisoformat("2026-02-28T16:00:00+00:00"),
        datetime.fromisoformat("2026-03-31T16:00:00+00:00"),
    )
    if name == "30d":
        start, end = now - timedelta(days=30), now
    return {
        "window": name, "start": iso(start), "end": iso(end), "status": "met", "attained": 0.9999960,
        "attained_at_worst": 0.9999960, "computed": "44.64", "contract": "43.8", "allowed": "43.8", "used": 5.0,
        "left": 38.8, "left_ratio": 38.8 / 43.8, "unknown_minutes": 0.0, "unknown_ratio": 0.0,
        "unwatched_minutes": 0.0,
        "excluded_minutes": 0.0, "events": 0.0, "bad_events": 0.0, **changes,
    }  # fmt: skip


def objective(now: datetime, name: str, **changes: Any) -> dict[str, Any]:
    """One row of GET /api/wk/slo."""
    ms = round(now.timestamp() * 1000) - 48 * HOUR_MS
    return {
        "name": name, "title": name, "service": "shop", "tier": "core", "owner": "ada", "description": "",
        "kind": "uptime",
        "target": "99.9", "windows": [window(now, "month")],
        "burns": {"5m": 0.0, "30m": 0.0, "1h": 0.5, "6h": 0.25, "3d": None},
        "burn_points": [[ms + hour * HOUR_MS, 0.5 if hour % 9 else 20.0] for hour in range(48)],
        "budget_window": "month", "budget_points": [[ms + hour * HOUR_MS, 1 - hour / 400] for hour in range(48)],
        "baseline": None, "due": None, "progress": None, "since": iso(now - timedelta(days=15)), "until": iso(now),
        "age_seconds": 45.0, "error": "", **changes,
    }  # fmt: skip


def slo(now: datetime) -> dict[str, Any]:
    nothing = {"attained": None, "attained_at_worst": None, "used": None, "left": None, "left_ratio": None,
               "unknown_minutes": 2160.0, "unknown_ratio": 1.0, "status": "unknown"}  # fmt: skip
    rows = [
        objective(now, "checkout", baseline="70", due="2026-12-31", progress=1.0033, windows=[
            window(now, "month"),
            window(now, "30d", computed="43.2", contract=None, allowed="43.2", status="at_risk", attained=0.9992,
                   attained_at_worst=0.9591, used=34.56, left=8.64, left_ratio=0.2, unknown_minutes=1728.0,
                   unknown_ratio=0.04),
        ]),
        objective(now, "api", title="<b>API</b>", kind="ratio", tier="platform", target="99.999", owner="", windows=[
            window(now, "month", computed="0.4464", contract=None, allowed="0.4464", status="broken", attained=0.999,
                   attained_at_worst=0.999, used=2.16, left=-1.7136, left_ratio=-3.8387, events=120000.0,
                   bad_events=120.0),
        ]),
        objective(now, "silent", tier="support", target="99", error="found duplicate series", age_seconds=None,
                  windows=[window(now, "month", computed="446.4", contract="432", allowed="432", **nothing)],
                  burns={}, burn_points=[], budget_points=[], since=None, until=None),
    ]  # fmt: skip
    chains = [{"name": "platform", "of": ["checkout", "api"], **composite("99.9", "99.99", contradicts=True)}]
    answers = [
        {"severity": "P0", "in_time": 3, "late": 1, "running": 0, "ratio": 0.75},
        {"severity": "P2", "in_time": 0, "late": 0, "running": 2, "ratio": None},
    ]
    return {
        "rows": rows, "composites": chains, "response": {"since": iso(now), "incidents": 7, "rows": answers},
        "enabled": True, "time_zone": "Asia/Shanghai", "now": iso(now),
    }  # fmt: skip


def composite(attainable: str, target: str, *, contradicts: bool) -> dict[str, Any]:
    return {"target": target, "attainable": attainable, "needed": "99.995", "contradicts": contradicts}
