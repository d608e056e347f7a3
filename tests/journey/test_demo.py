"""The demo as a visitor sees it: break something, and within three minutes the whole story is on one incident."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.demo import HIDING, Demo, demo
from support.servers import need

#: Seconds in which a visitor has seen it all.
STORY = 180.0
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


def assert_told_whole(told: dict[str, Any], rule: str) -> None:
    """Detection, plan, action, verification, message and recovery, in this order, on one incident."""
    (action,) = [row for row in told["actions"] if row["rule"] == rule]
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


@pytest.mark.servers
def test_a_visitor_breaks_the_primary_and_the_queue_and_sees_both_mended(tmp_path: Path) -> None:
    need("haproxy")
    need("supervisord")
    folder = tmp_path / "demo"
    with demo(folder) as found:
        assert "not installed" not in found.said()
        page = found.get("/api/wk/demo")
        assert page["seeded_orders"] > 10_000
        assert not any(row["on"] for row in page["faults"])
        copies = 'sum(increase(http_requests_total{path="/buy",job="checkout-backup"}[10s]))'
        found.until("two workers", lambda: found.value("max(shop_workers)") == 2, 30)
        found.until("quiet", lambda: found.value("min(min_over_time(probe_success[8s]))") == 1, 30)

        began = time.monotonic()
        assert "Expect: traffic moves to the backup" in found.command("break", "checkout-primary")
        found.command("break", "queue-backlog")
        found.until("buyers are served by the backup", lambda: (found.value(copies) or 0) > 0, 60)
        found.until("eight workers", lambda: found.value("max(shop_workers)") == 8, 60)
        queue = story(found, "queue-backlog", "queue_scale_out")
        link = story(found, "checkout-primary", "checkout_failover")
        assert time.monotonic() - began < STORY
        assert_told_whole(queue, "queue_scale_out")
        assert_told_whole(link, "checkout_failover")
        texts = [one["title"] + one["text"] for one in found.get("/api/wk/demo")["messages"]]
        assert any("结算服务主用副本无响应" in text for text in texts)
        assert any("The primary copy of checkout does not answer" in text for text in texts)
        audited = {row["action"] for row in found.get("/api/wk/audit")["rows"]}
        assert "demo.broken" in audited

        assert found.stop() == 0
        assert found.left() == []
        assert "nothing of it is left running" in found.said()

    with demo(folder) as again:
        assert not any(row["on"] or row["incident_id"] for row in again.get("/api/wk/demo")["faults"])
        again.process.kill()
        again.process.wait()
        deadline = time.monotonic() + 20
        while again.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert again.left() == []


@pytest.mark.servers
def test_without_haproxy_the_command_that_installs_it_is_named_and_scaling_is_shown(tmp_path: Path) -> None:
    need("supervisord")
    beside = str(Path(sys.executable).parent)
    with demo(tmp_path / "demo", argv=("-c", HIDING), path=beside) as found:
        assert "apt-get install haproxy" in found.said()
        page = found.get("/api/wk/demo")
        names = [row["name"] for row in page["faults"]]
        assert "checkout-primary" not in names
        assert "queue-backlog" in names
        assert "haproxy is not installed" in page["missing"][0]
        rules = [rule["name"] for group in found.get("/api/wk/rules")["groups"] for rule in group["rules"]]
        assert "queue_scale_out" in rules
        assert "checkout_failover" not in rules
        bought = 'sum(shop_purchases_total{outcome="paid",copy="primary"})'
        found.until("buyers are served by the primary itself", lambda: (found.value(bought) or 0) > 0, 30)
        with pytest.raises(Exception, match="needs haproxy"):
            found.client.post("/api/wk/demo/break", {"name": "checkout-primary"})
        assert found.stop(signal.SIGTERM) == 0
        assert found.left() == []
