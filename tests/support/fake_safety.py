"""What the page Safety is told by the fake engine."""

from __future__ import annotations

from typing import Any

GATES = (
    "switch", "fresh", "confirmed", "isolation", "common_cause", "flapping", "drift", "precondition", "blast_radius",
    "cooldown", "budget", "breaker", "approval", "lock", "intent",
)  # fmt: skip


def safety(kill: dict[str, Any], at: str, hostile: str) -> dict[str, Any]:
    gates = [{"gate": name, "refused": 0, "last_at": None, "last_reason": ""} for name in GATES]
    gates[9] |= {"refused": 4, "last_at": at, "last_reason": f"the target rests for another 9 s {hostile}"}
    return {
        "days": 30,
        "gates": gates,
        "budgets": [
            {"name": "actions", "used": 5, "limit": 5, "window_seconds": 600.0},
            {"name": "failovers", "used": 0, "limit": 1, "window_seconds": 600.0},
            {"name": "per_day", "used": 7, "limit": 20, "window_seconds": 86400.0},
        ],
        "breakers": [{"scope": f"rule {hostile}", "state": "open"}, {"scope": "all", "state": "half_open"}],
        "automation": {"automatic": 8, "approved": 1, "asked": 0, "by_hand": 1, "rate": 0.8},
        "hindsight": [{"rule": hostile, "version": "v1", "needed": 7, "by_itself": 2, "by_others": 1, "unknown": 0}],
        "foresight": [{"rule": hostile, "as_predicted": 9, "otherwise": 1, "error": 0.12}],
        "audit": {"rows": 42, "head": "c0ffee" * 10},
        "kill_switch": kill,
        "leader": {"alone": False, "leads": True, "token": 7},
    }
