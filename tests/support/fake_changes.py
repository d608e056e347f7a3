"""Changes as the engine answers them: one deploy to be rolled back, one backup that is late, a drill never held."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

GATES = ["review", "tests", "staging", "grey", "full", "verification"]


def event(now: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "id": "event-7", "kind": "deploy", "status": "ok", "title": "orders <b>1.4</b>", "service": "checkout",
        "environment": "PROD", "start": (now - timedelta(minutes=20)).isoformat(),
        "end": (now - timedelta(minutes=15)).isoformat(), "version": "abcdef1234567890", "actor": "lin",
        "link": "https://ci.example.com/7", "labels": {}, "source": "github", "received_at": now.isoformat(), **changes,
    }  # fmt: skip


def changes(now: datetime) -> dict[str, Any]:
    """GET /api/wk/changes."""
    figures = {"deployments": 12, "per_day": 0.4, "lead_time_seconds": 5400.0, "failure_ratio": 0.25,
               "recovery_seconds": None}  # fmt: skip
    age = {"service": "orders-db", "kind": "backup", "age_seconds": 7200.0, "target_seconds": 3600.0,
           "duration_seconds": 60.0, "duration_target_seconds": None, "status": "late"}  # fmt: skip
    never = {**age, "kind": "restore_drill", "age_seconds": None, "duration_seconds": None, "status": "never"}
    release = {
        "service": "checkout", "environment": "PROD", "version": "abcdef1234567890", "status": "ok",
        "start": now.isoformat(), "end": now.isoformat(), "seconds": 300.0, "link": "", "tests_ratio": 0.9,
        "gates": {**dict.fromkeys(GATES, "unknown"), "review": "ok", "grey": "failed"}, "soak": "roll_back",
        "metrics": {"verdict": "failed", "final": True, "checks": [
            {"name": "errors", "verdict": "failed", "reason": "worse", "before": 0.01, "after": 0.2, "allowed": 0.02},
            {"name": "latency", "verdict": "unknown", "reason": "few_after", "before": 0.1, "after": None,
             "allowed": None},
        ]},
    }  # fmt: skip
    return {
        "now": now.isoformat(),
        "events": [
            {**event(now), "out_of_order": "window"},
            {**event(now, kind="backup", link="", id="event-6"), "out_of_order": ""},
        ],
        "dora": {"7d": figures, "30d": figures},
        "ages": [age, never],
        "calendar": [
            {
                "what": "planned",
                "title": "orders 1.5",
                "start": now.isoformat(),
                "end": now.isoformat(),
                "link": "",
                "service": "orders",
                "environment": "PROD",
                "id": "event-9",
                "wrong": "freeze",
                "now": False,
            },
            {
                "what": "freeze",
                "title": "year end",
                "start": now.isoformat(),
                "end": None,
                "service": "",
                "link": "",
                "environment": "",
                "id": "event-8",
                "wrong": "",
                "now": True,
            },
        ],
        "versions": [
            {
                "service": "orders",
                "versions": {"PROD": "1.3", "TEST": "1.4"},
                "configurations": {"PROD": "ab12"},
                "differ": True,
            }
        ],
        "gates": GATES,
        "releases": [release],
    }
