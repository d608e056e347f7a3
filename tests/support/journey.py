"""Steps of a journey: rules, channels, a target that says what the test wants, ledgers that must balance."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from support.books import assert_books
from support.engines import clock_of
from support.robots import SECRET, TOKEN, Robots
from support.targets import Target, answer

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import start


def gauges(**values: float) -> bytes:
    """A /metrics page of plain gauges."""
    return answer("".join(f"{name} {value}\n" for name, value in values.items()).encode())


def scraped(target: Target, **more: Any) -> dict[str, Any]:
    """The section ``collect`` with one scraped target every five seconds."""
    source = {"kind": "openmetrics", "name": "checkout", "url": target.url(), "interval": "5s", "service": "checkout"}
    return {"host": False, "own_logs": False, "sources": [{**source, **more}]}


def both_robots(robots: Robots) -> dict[str, Any]:
    """The section ``notify``: DingTalk in Chinese, WeCom in English."""
    hosts = ["127.0.0.1"]
    dingtalk = f"{robots.base}/robot/send?access_token={TOKEN}"
    wecom = f"{robots.base}/cgi-bin/webhook/send?key={TOKEN}"
    return {
        "channels": [
            {
                "name": "ding",
                "kind": "dingtalk",
                "url": dingtalk,
                "secret": SECRET,
                "base_url": robots.base,
                "allow_hosts": hosts,
                "language": "zh-CN",
            },
            {
                "name": "wecom",
                "kind": "wecom",
                "url": wecom,
                "base_url": robots.base,
                "allow_hosts": hosts,
                "language": "en",
            },
        ]
    }


def rule_file(folder: Path, text: str, name: str = "rules.yaml") -> None:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / name).write_text(text, encoding="utf-8")


async def begin(engine: Engine) -> None:
    await start(engine)


async def walk(engine: Engine, seconds: float) -> None:
    """Let that much time pass, every job run to its end."""
    clock = clock_of(engine)
    await engine.scheduler.advance(clock, clock.now() + timedelta(seconds=seconds))


def assert_ledgers(engine: Engine) -> None:
    """The conservation laws, checked in every journey."""
    samples = engine.telemetry.ledger()
    settled = samples["stored"] + samples["deduplicated"] + sum(samples["rejected"].values()) + samples["in_flight"]
    assert samples["received"] == settled, samples
    with engine.state.read() as unit:
        assert_books(unit)
    failed = {name: job.last_error for name, job in engine.scheduler.jobs.items() if job.last_error}
    assert failed == {}
