"""The two contingency plans of the requirements on the demo's real shop: broken, approved, recovered, told."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.demo import Demo, demo


def approve(found: Demo, rule: str) -> None:
    """A person says yes to what the plan has asked for, bound to the plan's hash."""
    found.until(f"{rule} awaits approval", lambda: state(found, rule) == "awaiting_approval", 90)
    (record, *_) = found.actions(rule)
    found.client.post(f"/api/wk/actions/{record['id']}/approve", {"plan_hash": record["plan_hash"], "reason": "story"})


def state(found: Demo, rule: str) -> str:
    rows = found.actions(rule)
    return str(rows[0]["state"]) if rows else ""


def run_of(found: Demo, plan: str) -> dict[str, Any]:
    data = found.get("/api/wk/plans")
    rows = [row for row in [*data["live"], *data["recent"]] if row["plan"] == plan and not row["drill"]]
    return dict(rows[0]) if rows else {}


def step(found: Demo, plan: str, name: str) -> str:
    run = run_of(found, plan)
    return next((str(one["state"]) for one in run.get("steps", []) if one["name"] == name), "")


def switch(found: Demo, name: str) -> str:
    return str(json.loads((found.folder / "switches.json").read_text())[name])


def done(found: Demo, plan: str, name: str, note: str) -> None:
    found.until(f"step {name}", lambda: step(found, plan, name) == "active", 90)
    found.client.post(f"/api/wk/plans/runs/{run_of(found, plan)['id']}/steps/{name}/done", {"note": note})


def told(found: Demo, words: str) -> bool:
    return words in (found.folder / "robot.jsonl").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.servers
def test_both_plans_run_on_the_demos_shop_from_the_fault_to_the_evidence(tmp_path: Path) -> None:
    with demo(tmp_path / "demo") as found:
        found.until("carrier is probed", lambda: found.value('probe_success{provider="carrier"}') == 1, 60)

        drill = found.client.post("/api/wk/plans/provider_down/start", {"reason": "before the story", "drill": True})
        path = f"/api/wk/plans/runs/{drill['run']}"
        found.until("the vendor's turn", lambda: found.get(path)["current"] == "call_vendor", 60)
        found.client.post(f"{path}/steps/call_vendor/done", {"note": "drilled"})
        found.until("the drill is over", lambda: found.get(path)["state"] == "completed", 60)
        assert switch(found, "quotes") == "live"
        assert [one["state"] for one in found.get(path)["steps"]] == ["done"] * 4

        found.command("break", "carrier-down")
        approve(found, "provider_degrade")
        found.until("quotes come from the cache", lambda: switch(found, "quotes") == "cached", 60)
        found.until("users are told", lambda: told(found, "Some answers come from a cache"), 60)
        done(found, "provider_down", "call_vendor", "ticket 4711")
        found.until("recovered", lambda: run_of(found, "provider_down").get("recovered_at"), 120)
        found.command("heal", "carrier-down")
        approve(found, "provider_restore")
        found.until("complete", lambda: run_of(found, "provider_down").get("state") == "completed", 120)
        assert switch(found, "quotes") == "live"
        assert run_of(found, "provider_down")["clock"]["elapsed_seconds"] < 30 * 60

        found.command("break", "payment-failures")
        approve(found, "orders_stop")
        found.until("no new orders", lambda: switch(found, "orders") == "stopped", 60)
        found.until("support is told", lambda: told(found, "For support: payments fail"), 60)
        approve(found, "payment_backup")
        found.until("the backup is paid by", lambda: switch(found, "gateway") == "backup", 60)
        approve(found, "orders_resume")
        found.until("orders are taken", lambda: switch(found, "orders") == "open", 60)
        done(found, "payment_failing", "urgent_fix", "the gateway's certificate had run out")
        found.until("complete", lambda: run_of(found, "payment_failing").get("state") == "completed", 180)
        run = run_of(found, "payment_failing")
        assert [one["state"] for one in run["steps"]] == ["done"] * 5
        assert run["clock"]["elapsed_seconds"] < 2 * 3600
        place = f"/api/wk/plans/runs/{run['id']}"
        found.until("evidence", lambda: found.get(place)["evidence"] == ["end", "start"], 60)
        archive = zipfile.ZipFile(io.BytesIO(found.client.raw("GET", f"{place}/pack")))
        assert "certificate had run out" in archive.read("timeline.csv").decode()
        assert "PaymentSuccessLow" in archive.read("end/metric-1.csv").decode()
