"""The story of a fault of the demo, read from the API: detection, plan, action, verification, message and recovery."""

from __future__ import annotations

from typing import Any

from support.demo import Demo

#: Seconds in which a visitor has seen it all.
STORY = 180.0
#: Ends of an action that never had an effect: on a busy machine its evidence may be too old, and the next is made.
CALLED_OFF = {"cleared", "suppressed", "aborted"}
CHAIN = ["proposed", "armed", "intent_committed", "executing", "verifying", "succeeded"]


def story(found: Demo, fault: str, rule: str) -> dict[str, Any]:
    """The incident of a fault, once it is resolved and its action has succeeded."""

    def whole() -> dict[str, Any] | None:
        incident_id = found.fault(fault)["incident_id"]
        if not incident_id:
            return None
        told: dict[str, Any] = found.get(f"/api/wk/incidents/{incident_id}")
        good = [row for row in told["actions"] if row["rule"] == rule and row["state"] == "succeeded"]
        over = told["incident"]["state"] == "resolved"
        return told if good and over and len(told["deliveries"]) >= 4 else None

    return dict(found.until(f"the story of {fault}", whole, STORY))


def told_whole(told: dict[str, Any], rule: str) -> None:
    """Detection, plan, action, verification, message and recovery, in this order, on one incident."""
    mine = [row for row in told["actions"] if row["rule"] == rule]
    (action,) = [row for row in mine if row["state"] == "succeeded"]
    others = {row["id"]: row["state"] for row in mine if row is not action}
    assert set(others.values()) <= CALLED_OFF, others
    assert all(verdict["passed"] for verdict in action["verdicts"])
    states = [row["new_state"] for row in told["timeline"] if row["subject_id"] == action["id"]]
    assert [state for state in states if state in CHAIN] == CHAIN
    kinds = [(row["kind"], row["new_state"]) for row in told["timeline"]]
    executing = kinds.index(("action", "executing"))
    assert ("alert", "firing") in kinds[:executing]
    assert ("alert", "resolved") in kinds[executing:]
    assert ("incident", "resolved") in kinds[executing:]
    sent = {row["channel"] for row in told["deliveries"] if row["state"] == "sent"}
    assert sent == {"dingtalk", "wecom"}
