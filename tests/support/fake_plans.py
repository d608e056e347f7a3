"""What the page Plans is told by the fake engine."""

from __future__ import annotations

from typing import Any


def step(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "title": f"步骤 {name}", "title_en": f"Step {name}", "kind": "person", "rule": "",
        "owner": "duty", "vendor": "", "text": "", "text_en": "", "state": "pending", "started_at": None,
        "due_at": None, "ended_at": None, "overdue_at": None, "by": "", "note": "",
        "action_id": "", "action_state": "", "attempt": 0,
        "limit_seconds": None, **more,
    }  # fmt: skip


def run(at: str, hostile: str, **more: Any) -> dict[str, Any]:
    """Degraded by a verified action; somebody has to call the vendor, and is late."""
    steps = [
        step("degrade", kind="rule", rule="quotes_cached", state="done", ended_at=at, by="engine",
             action_id="act-7", action_state="succeeded", note="action act-7 is verified"),
        step("call", state="active", overdue_at=at, vendor="acme", text=f"打电话 {hostile}",
             text_en=f"Call them {hostile}", limit_seconds=600.0),
        step("restore", kind="rule", rule="quotes_live"),
    ]  # fmt: skip
    return {
        "id": "plan-3", "plan": "carrier", "title": f"承运商 {hostile}", "title_en": f"The carrier {hostile}",
        "owner": "duty", "incident_id": "inc-1", "drill": False, "state": "running", "clock_at": at, "due_at": at,
        "recovered_at": None,
        "late_at": None, "started_at": at, "started_by": "engine", "reason": "its trigger is met", "ended_at": None,
        "current": "call", "steps": steps,
        "clock": {"elapsed_seconds": 900.0, "target_seconds": 1800.0, "running": True, "late": False}, **more,
    }  # fmt: skip


def plan(hostile: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "carrier", "title": f"承运商 {hostile}", "title_en": f"The carrier {hostile}", "owner": "duty",
        "version": "abc", "file": "plans/carrier.yaml", "line": 1, "by_hand": False,
        "trigger": {"alerts": ["CarrierDown"], "labels": {"team": hostile}, "service": "", "severity": "P1",
                    "lasting_seconds": 300.0},
        "target_seconds": 1800.0, "steps": [{}, {}, {}], "notices": [], "drilled_at": None, "drill_age_seconds": None,
        "drill_every_seconds": 7776000.0, "drill_overdue": True, **more,
    }  # fmt: skip


def plans(at: str, hostile: str) -> dict[str, Any]:
    over = {"state": "completed", "current": "", "recovered_at": at, "ended_at": at}
    clock = {"elapsed_seconds": 240.0, "target_seconds": 1800.0, "running": False, "late": False}
    return {
        "plans": [
            plan(hostile),
            plan(hostile, name="flood", by_hand=True, drill_age_seconds=90.0, drill_overdue=False),
        ],
        "live": [run(at, hostile)],
        "recent": [
            run(at, hostile, id="plan-2", clock=clock, **over),
            run(at, hostile, id="plan-1", drill=True, incident_id="", clock=clock, **over),
        ],
        "vendors": [
            {"name": "acme", "title": f"Acme {hostile}", "contact": "", "phone": "+86 400 1", "email": "", "chat": "",
             "portal": "https://acme.example", "hours": "7x24", "contract": "C-7", "note": ""}
        ],
        "audiences": [],
        "drill_audience": "",
    }  # fmt: skip
