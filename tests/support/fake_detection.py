"""Alarms and figures as the engine answers them: one that was judged, one that was not, an expectation, a move."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any


def alarms(now: datetime, title: str) -> dict[str, Any]:
    """GET /api/wk/alarms."""
    word = {"id": "word-1", "opinion": "wrong", "actor": "ada", "at": now.isoformat(), "note": "nightly copy"}
    alert = {
        "id": "alert-7", "incident": "inc-1", "detector": "Slow", "service": "checkout", "title": title,
        "labels": {"alertname": "Slow", "service": "checkout"}, "severity": "P1", "began_at": now.isoformat(),
        "raised_at": now.isoformat(), "ended_at": None, "is_open": True, "change": None, "baseline": None,
        "factor": None, "word": None,
    }  # fmt: skip
    anomaly = {
        **alert, "id": "anomaly-ab-1700000000000", "incident": "", "detector": "ensemble", "title": "cpu_usage",
        "labels": {"metric": "cpu_usage", "kind": "level_shift"}, "severity": "", "is_open": False, "word": word,
        "change": 41.5, "baseline": 12.25, "factor": 7.5,
    }  # fmt: skip
    return {"now": now.isoformat(), "alarms": [alert, anomaly]}


def detectors(now: datetime) -> dict[str, Any]:
    """GET /api/wk/detectors."""
    row = {
        "detector": "ensemble", "service": "checkout", "right": 9, "wrong": 1, "expected": 2, "precision": 0.9,
        "low": 0.596, "high": 0.982, "enough": False, "found": 9, "missed": 3, "recall": 0.75,
        "time_to_detect_seconds": 90.0,
    }  # fmt: skip
    unknown = {**row, "detector": "any", "precision": None, "low": None, "high": None, "recall": None,
               "time_to_detect_seconds": None}  # fmt: skip
    lesson = {"id": "expected-1", "title": "Backup", "labels": {"service": "db"}, "minute": 1630, "zone": "UTC",
              "until": (now + timedelta(days=28)).isoformat(), "actor": "ada"}  # fmt: skip
    move = {"id": "move-1", "detector": "ensemble", "service": "checkout", "metric": "cpu_usage", "old": 0.0,
            "new": 0.4, "why": "wrong", "feedback": "word-1", "actor": "ada", "at": now.isoformat(), "undone_at": None,
            "undone_by": ""}  # fmt: skip
    back = {**move, "id": "move-2", "metric": "", "why": "undone", "undone_at": now.isoformat(), "undone_by": "bob"}
    recorded: dict[str, Any] = {
        "id": "recorded-1", "service": "checkout", "what": "nobody could pay", "began_at": now.isoformat(),
        "ended_at": None, "found": {}, "actor": "ada", "at": now.isoformat(), "undone_at": None, "undone_by": "",
    }  # fmt: skip
    return {"now": now.isoformat(), "days": 30, "figures": [row, unknown], "expectations": [lesson],
            "moves": [back, move], "bounds": [-1.0, 3.0], "recorded": [recorded]}  # fmt: skip


def risk(now: datetime) -> dict[str, Any]:
    """GET /api/wk/risk: one service with a warning, one that is learned about."""
    sign = {"sign": "anomaly memory trend", "kind": "anomaly", "what": "memory_usage", "how": "trend", "weight": 3.1,
            "before": 7, "times": 8}  # fmt: skip
    full = {**sign, "sign": "exhaustion disk", "kind": "exhaustion", "what": "rack disk", "weight": 0.0, "before": 0,
            "times": 0, "how": (now + timedelta(hours=5)).isoformat()}  # fmt: skip
    nothing = {"scored": 0, "brier": None, "skill": None, "precision": None, "hits": 0, "misses": 0, "hit_rate": None,
               "lead_seconds": None}  # fmt: skip
    worth = {"scored": 900, "brier": 0.0123, "skill": 0.61, "precision": 0.9, "hits": 7, "misses": 1, "hit_rate": 0.875,
             "lead_seconds": 1500.0}  # fmt: skip
    warned = {"service": "checkout", "state": "warning", "risk": 0.87, "base": 0.02, "incidents": 8,
              "incidents_needed": 0, "slots_needed": 0, "signs": [sign], "worth": worth}  # fmt: skip
    young = {**warned, "service": "search", "state": "learning", "risk": None, "incidents": 1, "incidents_needed": 2,
             "signs": [full], "slots_needed": 90, "worth": nothing}  # fmt: skip
    advice = [
        {"service": "checkout", "risk": 0.87, "rank": 2.7, **sign},
        {"service": "search", "risk": None, "rank": 0.2, **full},
    ]
    return {"now": now.isoformat(), "at": now.isoformat(), "horizon_seconds": 3600.0, "warn": 0.3,
            "services": [warned, young], "more": 0, "advice": advice}  # fmt: skip


def scored(now: datetime) -> dict[str, Any]:
    """GET /api/wk/scored: one series that is known, one that is learned."""
    known = {"series": 'cpu_usage{instance="a"}', "detector": "ensemble", "nature": "ratio", "learning": False,
             "first_at": now.isoformat(), "score": 0.31}  # fmt: skip
    young = {**known, "series": "orders_total", "detector": "seasonal", "nature": "counter", "learning": True,
             "score": None}  # fmt: skip
    return {"now": now.isoformat(), "total": 2, "learning": 1, "detectors": {"ensemble": 1, "seasonal": 1},
            "natures": {"ratio": 1, "counter": 1}, "series": [known, young]}  # fmt: skip
