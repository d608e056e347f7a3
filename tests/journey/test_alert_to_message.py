"""From a real scrape to both robots and back: every step a row, every ledger balanced."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, both_robots, gauges, rule_file, scraped, walk
from support.kept import everywhere
from support.robot_validator import problems
from support.robots import SECRET, Request, robots
from support.targets import target

from watchkeeper.app.explain import explain
from watchkeeper.app.lifecycle import stop
from watchkeeper.model import AlertState, IncidentState

RULES = """
groups:
  - name: checkout
    interval: 5s
    rules:
      - alert: QueueBacklog
        expr: job_queue_pending_count > 100
        for: 30s
        labels: {severity: critical, team: payment}
        annotations:
          summary: 'backlog of {{ $value }} jobs'
          description: 'the queue of {{ $labels.service }} is long'
          runbook_url: https://runbooks.example.com/queue
"""


def texts(kind: str, requests: list[Request]) -> list[str]:
    return [str(request.json) for request in requests if request.kind == kind]


@everywhere
async def test_a_backlog_is_scraped_judged_told_and_resolved(tmp_path: Path) -> None:
    rule_file(tmp_path, RULES)
    async with target() as server, robots() as double:
        server.pages["/metrics"] = gauges(job_queue_pending_count=5)
        engine = build(tmp_path, collect=scraped(server), notify=both_robots(double))
        await begin(engine)
        await walk(engine, 30)
        assert double.accepted == []

        server.pages["/metrics"] = gauges(job_queue_pending_count=250)
        await walk(engine, 20)
        with engine.state.read() as unit:
            assert [alert.state for alert in unit.alerts.open()] == [AlertState.PENDING]
        assert double.accepted == []

        await walk(engine, 25)
        with engine.state.read() as unit:
            (alert,) = unit.alerts.open()
            (incident,) = unit.incidents.open()
        assert alert.state is AlertState.FIRING
        assert alert.severity == "P1"
        assert alert.incident_id == incident.id
        assert incident.state is IncidentState.OPENED
        assert len(texts("dingtalk", double.accepted)) == 1
        (chinese,) = texts("dingtalk", double.accepted)
        (english,) = texts("wecom", double.accepted)
        assert "backlog of 250 jobs" in chinese
        assert "backlog of 250 jobs" in english
        assert "级别" in chinese or "表达式" in chinese
        assert "Since" in english

        server.pages["/metrics"] = gauges(job_queue_pending_count=3)
        await walk(engine, 20)
        with engine.state.read() as unit:
            assert unit.alerts.open() == []
            assert unit.incidents.open() == []
            found = explain(unit, alert.id, engine.config.zone)
        assert len(texts("dingtalk", double.accepted)) == 2
        assert len(texts("wecom", double.accepted)) == 2
        for request in double.requests:
            assert problems(request, secret=SECRET, now=time.time()) == []

        assert found is not None
        states = [(row["kind"], row["new_state"]) for row in found["chain"]]
        wanted = [
            ("alert", "pending"),
            ("alert", "firing"),
            ("incident", "opened"),
            ("delivery", "sent"),
            ("alert", "resolved"),
            ("incident", "resolved"),
        ]
        places = [states.index(one) for one in wanted]
        assert places == sorted(places)
        assert all(row["reason"] for row in found["chain"])
        assert_ledgers(engine)
        await stop(engine)


async def test_a_target_that_goes_dark_is_unknown_and_not_healthy(tmp_path: Path) -> None:
    rule_file(
        tmp_path,
        "groups: [{name: g, interval: 5s, rules: ["
        "{alert: Down, expr: up == 0, labels: {severity: P0}, annotations: {summary: 'dark: {{ $labels.job }}'}}]}]",
    )
    async with target() as server, robots() as double:
        engine = build(tmp_path, collect=scraped(server), notify=both_robots(double))
        await begin(engine)
        await walk(engine, 11)
        server.pages.pop("/metrics")
        await walk(engine, 15)
        assert engine.sources["checkout"].state == "failing"
        assert "dark: checkout" in texts("wecom", double.accepted)[0]
        at = clock_of(engine).now()
        assert engine.judging.ask("temperature_celsius", at) == []
        assert_ledgers(engine)
        await stop(engine)


@everywhere
async def test_resolve_is_never_lost_across_a_death(tmp_path: Path) -> None:
    rule_file(tmp_path, RULES)
    async with target() as server, robots() as double:
        server.pages["/metrics"] = gauges(job_queue_pending_count=250)
        options: Any = {"collect": scraped(server), "notify": both_robots(double)}
        engine = build(tmp_path, **options)
        await begin(engine)
        await walk(engine, 60)
        assert len(double.accepted) == 2
        clock = clock_of(engine)
        await stop(engine)

        server.pages["/metrics"] = gauges(job_queue_pending_count=1)
        clock.advance(120)
        again = build(tmp_path, clock=clock, **options)
        await begin(again)
        await walk(again, 30)
        assert len(double.accepted) == 4
        assert_ledgers(again)
        await stop(again)


@pytest.mark.parametrize("mode", ["500", 'body:{"errcode":-1,"errmsg":"busy"}', "html", "reset"])
async def test_a_robot_that_refuses_gets_the_message_later_and_once(tmp_path: Path, mode: str) -> None:
    rule_file(tmp_path, RULES.replace("for: 30s", "for: 0s"))
    async with target() as server, robots(mode=mode) as double:
        server.pages["/metrics"] = gauges(job_queue_pending_count=250)
        engine = build(tmp_path, collect=scraped(server), notify=both_robots(double))
        await begin(engine)
        await walk(engine, 20)
        assert double.accepted == []
        assert double.requests
        double.mode = ""
        await walk(engine, 180)
        assert len(double.accepted) == 2
        assert_ledgers(engine)
        await stop(engine)
