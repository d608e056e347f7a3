"""The demo without HAProxy, stopped, started again and killed. Its story is walked by tests/browser/test_tour.py."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest
from support.demo import HIDING, demo
from support.servers import need


@pytest.mark.servers
def test_without_haproxy_the_command_that_installs_it_is_named_and_scaling_is_shown(tmp_path: Path) -> None:
    need("supervisord")
    beside = str(Path(sys.executable).parent)
    folder = tmp_path / "demo"
    with demo(folder, argv=("-c", HIDING), path=beside) as found:
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

    with demo(folder, argv=("-c", HIDING), path=beside) as again:
        assert not any(row["on"] or row["incident_id"] for row in again.get("/api/wk/demo")["faults"])
        again.process.kill()
        again.process.wait()
        deadline = time.monotonic() + 20
        while again.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert again.left() == []
