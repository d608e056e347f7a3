"""The four rules of the requirements, word for word, from a scraped page to both robots."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, both_robots, rule_file, scraped, walk
from support.kept import everywhere
from support.robots import Robots, robots
from support.targets import answer, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.model import AlertState

RULES = (Path(__file__).parents[1] / "data/rules/requirements.yaml").read_text(encoding="utf-8")
HOLD = {"HighErrorRate": 2, "PaymentFailureRate": 1, "QueueBacklog": 5, "SlowAPIResponse": 3}  #: minutes
SUMMARY = {
    "HighErrorRate": "高错误率告警",
    "PaymentFailureRate": "支付失败率过高",
    "QueueBacklog": "任务队列积压",
    "SlowAPIResponse": "API响应时间过慢",
}
STEP = 15  #: seconds between two scrapes and two evaluations


class Shop:
    """A service whose counters go on as its health says."""

    def __init__(self) -> None:
        self.ill = False
        self.counters = Counter[str]()

    def page(self) -> bytes:
        """What it says after another step."""
        slow, served = (0, 30) if self.ill else (30, 30)
        self.counters += Counter(
            {
                'http_requests_total{status="200"}': 600,
                'http_requests_total{status="500"}': 6 if self.ill else 0,
                "payment_attempts_total": 60,
                "payment_failed_total": 6 if self.ill else 1,
                'http_request_duration_seconds_bucket{le="10"}': slow,
                'http_request_duration_seconds_bucket{le="20"}': served,
                'http_request_duration_seconds_bucket{le="+Inf"}': served,
            }
        )
        lines = [f"{name} {value}\n" for name, value in self.counters.items()]
        return answer("".join([*lines, f"job_queue_pending_count {101 if self.ill else 100}\n"]).encode())


def fired(engine: Engine) -> dict[str, timedelta]:
    """The alerts that fire, and how long each was pending before it did."""
    with engine.state.read() as unit:
        alerts = [alert for alert in unit.alerts.open() if alert.state is AlertState.FIRING]
    return {alert.rule: alert.fired_at - alert.active_at for alert in alerts if alert.fired_at}


def told(double: Robots, kind: str) -> str:
    return "\n".join(str(request.json) for request in double.accepted if request.kind == kind)


@everywhere
async def test_each_rule_fires_at_its_own_for_and_its_message_leaves(tmp_path: Path) -> None:
    rule_file(tmp_path, RULES)
    shop = Shop()
    async with target() as server, robots() as double:
        engine = build(tmp_path, collect=scraped(server, interval=f"{STEP}s"), notify=both_robots(double))

        async def go(minutes: float) -> None:
            for _ in range(round(minutes * 60 / STEP)):
                server.pages["/metrics"] = shop.page()
                await walk(engine, STEP)

        server.pages["/metrics"] = shop.page()
        await begin(engine)
        await go(7)
        assert fired(engine) == {}
        assert double.accepted == []

        shop.ill = True
        began = clock_of(engine).now()
        await go(12)
        found = fired(engine)
        assert found == {name: timedelta(minutes=minutes) for name, minutes in HOLD.items()}
        for kind in ("dingtalk", "wecom"):
            for name, summary in SUMMARY.items():
                assert summary in told(double, kind), name
        with engine.state.read() as unit:
            queue = next(alert for alert in unit.alerts.open() if alert.rule == "QueueBacklog")
        assert timedelta(0) <= queue.active_at - began <= timedelta(seconds=2 * STEP)

        shop.ill = False
        await go(12)
        assert fired(engine) == {}
        assert_ledgers(engine)
        await stop(engine)


async def test_a_backlog_that_nobody_can_see_any_more_is_not_a_backlog_for_five_minutes(tmp_path: Path) -> None:
    rule_file(tmp_path, RULES)
    shop = Shop()
    shop.ill = True
    async with target() as server, robots() as double:
        engine = build(tmp_path, collect=scraped(server, interval=f"{STEP}s"), notify=both_robots(double))
        server.pages["/metrics"] = shop.page()
        await begin(engine)
        await walk(engine, 4 * 60)
        with engine.state.read() as unit:
            states = {alert.rule: alert.state for alert in unit.alerts.open()}
        assert states["QueueBacklog"] is AlertState.PENDING
        server.pages.pop("/metrics")
        await walk(engine, 10 * 60)
        assert engine.sources["checkout"].state == "failing"
        with engine.state.read() as unit:
            episodes = [alert for alert in unit.alerts.recent(engine.started_at) if alert.rule == "QueueBacklog"]
        assert [alert.fired_at for alert in episodes] == [None]
        assert SUMMARY["QueueBacklog"] not in told(double, "dingtalk")
        assert_ledgers(engine)
        await stop(engine)
