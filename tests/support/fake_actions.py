"""What the pages Dual links, Scaling and Audit are told by the fake engine, and the prediction of a plan."""

from __future__ import annotations

from typing import Any

PREDICTION = {
    "metrics": [{"metric": "errors", "sense": "at_most", "value": 0.1, "before": 0.4}],
    "symptom_before": True, "touched": ["web-1"], "healthy_after": 3.0, "unchecked_after": 1.0,
    "cost": {"before": 1.0, "after": 1.5, "change": 0.5},
}  # fmt: skip
HAPPENED = {
    "happened": {"healthy": 3.0, "metrics": [{"metric": "errors", "value": 0.15, "error": 0.5, "kept": False}]},
    "as_predicted": False,
}


def links(rated: dict[str, Any], at: str, hostile: str, pin: dict[str, str] | None) -> dict[str, Any]:
    link = {
        **rated, "phase": "half_open", "pinned": pin, "target": "gateway",
        "costs": {"primary": 1.0, "backup": 2.5}, "since": at, "switches": 7, "flaps": 2,
        "flapping": {"changes": 1, "limit": 5, "window_seconds": 600.0},
        "way_back": {
            "dwell_seconds": 600.0, "dwell_left_seconds": 0.0, "good_in_a_row": 9, "good_needed": 10,
            "hold_seconds": 300.0, "half_open_left_seconds": 240.0, "primary_probes": [False, None, True],
            "backup_probes": [True],
        },
        "rules": [{"name": hostile, "mode": "auto", "declared": True}],
        "history": [{"action": "act-9", "at": at, "to": "maps-b", "rule": hostile, "state": "succeeded",
                     "reason": hostile}],
    }  # fmt: skip
    level = {"timeout_seconds": 15.0, "state": {}, "enter": "", "leave": "", "entered": None, "left": None}
    ladder = {
        "ladder": "planner", "service": "shop", "target": "flags", "mode": "approve", "level": 1,
        "budget_seconds": 30.0, "time_seconds": 25.0, "dwell_seconds": 300.0, "history": [],
        "levels": [
            {**level, "place": 0, "name": "FULL"},
            {**level, "place": 1, "name": "CACHED", "enter": f"x < 0.9 # {hostile}", "leave": "x > 1", "entered": True},
        ],
    }  # fmt: skip
    return {"now": at, "links": [link], "ladders": [ladder]}


def scaling(kill: dict[str, Any], at: str, hostile: str) -> dict[str, Any]:
    rule = {
        "rule": "more", "mode": "auto", "declared": True, "direction": "out", "min": 2, "max": 8, "step": 8,
        "per_worker": 40.0, "tolerance": 0.1, "load_query": f"sum(waiting) # {hostile}", "forecast_query": "f",
        "cooldown_seconds": 600.0, "cooldown_left_seconds": 90.0, "idle_left_seconds": None,
        "stabilisation_seconds": None, "load": 300.0, "expected": 320.0, "scheduled": 4, "least": 4, "most": 6,
        "needed": 8, "wanted": 6, "unknown": [], "guard": "", "cost": 1.5, "ceiling": 3.0,
    }  # fmt: skip
    fewer = {
        **rule, "rule": "fewer", "direction": "in", "forecast_query": "", "stabilisation_seconds": 300.0,
        "load": None, "needed": None, "wanted": None, "ceiling": None, "cost": None, "scheduled": 0,
        "unknown": ["scale.load was known at 3 of 20 looks: nobody is taken away"],
    }  # fmt: skip
    decision = {
        "action": "act-5", "at": at, "rule": "more", "state": "succeeded", "reason": hostile, "requester": "more",
        "scale": {"running": 3, "count": 6, "load": 290.0, "needed": 8},
    }  # fmt: skip
    pool = {
        "target": f"jobs {hostile}", "kind": "supervisord", "services": ["shop"], "running": 3.0, "healthy": 3.0,
        "floor": 2, "ceiling": 8, "read_at": at, "problem": "", "foreign_at": at, "hands_off_seconds": 0.0,
        "rules": [rule, fewer], "decisions": [decision, {**decision, "scale": {}, "state": "suppressed"}],
    }  # fmt: skip
    return {"now": at, "pools": [pool], "kill_switch": kill}


def audit(at: str, hostile: str, digest: str, *, actor: str, before: int | None) -> dict[str, Any]:
    """Three rows, two pages: row 7 of ada, then 6 and 5 of others."""
    rows: list[dict[str, Any]] = [
        {"seq": 7, "at": at, "actor": "ada", "action": "approve", "subject": "act-2", "detail": {"reason": hostile}},
        {"seq": 6, "at": at, "actor": "engine", "action": "action.succeeded", "subject": "act-2",
         "detail": {"plan": "x" * 200}},
        {"seq": 5, "at": at, "actor": "bob", "action": "link.pinned", "subject": "maps", "detail": {}},
    ]  # fmt: skip
    found = [{**row, "hash": digest} for row in rows if not actor or row["actor"] == actor]
    page = [row for row in found if row["seq"] < before] if before else found[:1]
    return {
        "rows": page, "next": 7 if not before and len(found) > 1 else None, "intact": True, "broken_at": None,
        "missing_head": None, "verified_at": at, "verified_rows": 7, "head": digest, "heads_compared": 4,
        "heads_unread": "", "heads_sent": [{"place": "file", "at": at, "row": 7, "outcome": "sent"}],
        "heads_configured": True,
    }  # fmt: skip


def tuning(at: str, hostile: str, recorded: list[dict[str, Any]]) -> dict[str, Any]:
    advice = {
        "kind": "queue_wait", "labels": {"service": "shop", "queue": hostile}, "value": 300.0, "limit": 60.0,
        "unit": "seconds", "higher_is_worse": True, "query": "q",
    }  # fmt: skip
    cache = {**advice, "kind": "cache_hit", "value": 0.5, "limit": 0.8, "unit": "ratio", "higher_is_worse": False}
    signal = {"name": "signal", "unit": "seconds", "verdict": "improved", "reason": "", "before": 300.0, "after": 20.0,
              "better_by": 0.933}  # fmt: skip
    done = {"kind": "queue_wait", "labels": {"service": "shop"}, "at": at, "by": "ada", "what": hostile}
    new = [{**done, **one, "measures": [{**signal, "verdict": "unknown", "better_by": None}]} for one in recorded]
    return {"now": at, "advice": [advice, cache], "applied": [*new, {**done, "measures": [signal]}]}
