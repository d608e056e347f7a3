"""What the page Risks is told by the fake engine."""

from __future__ import annotations

from typing import Any

#: Reason -> figures of it.
REASONS: dict[str, dict[str, Any]] = {
    "brute_force": {"refused": 46, "usual_per_hour": 2.1},
    "many_users": {"count": 9},
    "many_sources": {"count": 7},
    "success_after_failures": {"refused": 43},
    "guessing_source": {"source": "6.6.6.6"},
    "impossible_travel": {
        "km": 9264, "minutes": 20.0, "from": "Shanghai", "to": "Paris", "source": "5.5.5.5", "source_before": "1.1.1.1",
    },
    "unusual_volume": {"amount": 500, "usual": 4},
    "unusual_bytes": {"amount": 1_000_000_000, "usual": 17_948},
    "beyond_peers": {"amount": 500, "usual": 10},
    "unusual_hour": {"hour": 3, "share": 0.001},
    "new_network": {"name": "5.5.5.0/24"},
    "new_place": {"name": "Paris"},
    "new_device": {"name": "curl"},
}  # fmt: skip


def risks(at: str, hostile: str) -> dict[str, Any]:
    why = [{"reason": name, "points": 60.4, "at": at, "detail": detail} for name, detail in REASONS.items()]
    row = {"service": "bastion", "first_seen": at, "last_seen": at, "acts": 47.0, "refused": 46.0, "usual": {}}
    before, after = {"at": at, "kind": "user", "before": "step_up", "risk": 99.7}, {"after": "block"}
    return {
        "enabled": True,
        "known": {"user": 1200, "source": 4000, "host": 12, "service": 3},
        "entities": [
            {**row, "kind": "user", "entity": hostile, "risk": 99.7, "advice": "block", "reasons": why},
            {**row, "kind": "host", "entity": "web-1", "risk": 41.0, "advice": "", "reasons": why[:1]},
        ],
        "more": 3,
        "advised": [
            {
                **before,
                **after,
                "entity": hostile,
                "reasons": [{"reason": "new_place", "points": 30.0, "name": "Paris"}],
            }
        ],
    }
