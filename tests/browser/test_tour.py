"""The five-minute tour of the README in a real browser on the running demo, and the same story as the API tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import chromium, watched
from support.demo import demo
from support.servers import need
from support.story import story, told_whole
from support.tour import address, tour, visitor

pytestmark = [pytest.mark.browser, pytest.mark.servers]


def test_a_visitor_sees_everything_that_the_readme_promises(tmp_path: Path) -> None:
    need("haproxy")
    need("supervisord")
    with demo(tmp_path / "demo") as found:
        assert "not installed" not in found.said()
        assert found.get("/api/wk/demo")["seeded_orders"] > 10_000
        found.until("quiet", lambda: found.value("min(min_over_time(probe_success[8s]))") == 1, 30)
        with chromium() as browser, watched(browser, address(found.said())) as seen:
            tour(visitor(seen.page, found.said()))
            assert seen.errors == []
            assert seen.foreign == []
        told_whole(story(found, "queue-backlog", "queue_scale_out"), "queue_scale_out")
        told_whole(story(found, "checkout-primary", "checkout_failover"), "checkout_failover")
        texts = [one["title"] + one["text"] for one in found.get("/api/wk/demo")["messages"]]
        assert any("结算服务主用副本无响应" in text for text in texts)
        assert any("The primary copy of checkout does not answer" in text for text in texts)
        assert "demo.broken" in {row["action"] for row in found.get("/api/wk/audit")["rows"]}
        assert found.stop() == 0
        assert found.left() == []
        assert "nothing of it is left running" in found.said()
