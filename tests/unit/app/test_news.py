"""A fresh sample brings the rules that look at it on; the estate is seen as the probes see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from support.engines import NOON, build
from support.journey import begin, rule_file, walk
from support.remedies import RULE
from support.targets import Target, answer, target

from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.news import SETTLE, Feeds, Pulse
from watchkeeper.app.schedule import Scheduler
from watchkeeper.clock import ManualClock
from watchkeeper.model import Layout, Tick, labels
from watchkeeper.telemetry import Telemetry

SECOND = timedelta(seconds=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
WATCHED = replace(
    RULE,
    when='probe_success{copy="primary"} == 0',
    observers={"passive": 'rate({__name__=~"haproxy_.*",server="web1"}[10s]) > 0'},
    verify="errors > 0",
)
REMEDY = """
remediations:
  - name: checkout_failover
    when: probe_success{job="north"} == 0
    interval: 1s
    action: haproxy
    target: web
    parameters: {drain: web1}
    service: checkout
    verify: probe_success{job="north"} == 0
"""


def tick(*series: tuple[tuple[str, str], ...], name: str = "probe/web1") -> Tick:
    return Tick(target=name, time_ms=0, layout=Layout(tuple(series)), values=np.ones(len(series)))


def test_a_tick_feeds_the_rules_whose_selectors_match_one_of_its_series() -> None:
    feeds = Feeds([WATCHED])
    primary, backup = labels("probe_success", copy="primary"), labels("probe_success", copy="backup")
    assert feeds.of(tick(backup, primary)) == {RULE.name}
    assert feeds.of(tick(backup, name="probe/web2")) == frozenset()
    assert feeds.of(tick(labels("haproxy_errors_total", server="web1"), name="proxy")) == {RULE.name}
    assert feeds.of(tick(labels("errors"), name="shop")) == {RULE.name}


def test_the_probes_of_a_dual_link_feed_its_rule() -> None:
    backup = tick(labels("probe_success", copy="backup"))
    assert Feeds([WATCHED], {RULE.name: ['probe_success{copy="backup"}']}).of(backup) == {RULE.name}


def test_a_new_layout_is_asked_about_anew_and_a_broken_expression_feeds_on_nothing() -> None:
    feeds = Feeds([WATCHED, replace(RULE, name="broken", when="((", observers={}, verify="up")])
    assert feeds.of(tick(labels("other"))) == frozenset()
    assert feeds.of(tick(labels("errors"))) == {RULE.name}
    assert feeds.of(tick(labels("up"))) == {"broken"}


def test_news_is_looked_at_once_the_others_of_the_same_beat_are_in() -> None:
    pulse = Pulse()
    assert pulse.due(SECOND, START)
    pulse.look(START)
    when = pulse.feed(SECOND, SECOND, START + SECOND)
    assert when == START + SECOND + SETTLE
    assert not pulse.due(SECOND, START + SECOND)  # the grid does not look at the sample of the beat before
    assert pulse.due(SECOND, when)


def test_a_sample_that_comes_too_early_is_left_for_the_next_one() -> None:
    pulse = Pulse(seen_at=START)
    assert pulse.feed(timedelta(seconds=15), timedelta(seconds=5), START + timedelta(seconds=5)) is None
    assert pulse.feed(timedelta(seconds=15), timedelta(seconds=5), START + timedelta(seconds=15)) is not None


def test_a_late_beat_does_not_put_the_next_one_off_for_a_whole_interval() -> None:
    pulse = Pulse(seen_at=START + timedelta(milliseconds=350))
    when = pulse.feed(SECOND, SECOND, START + timedelta(seconds=1, milliseconds=10))
    assert when == START + timedelta(seconds=1, milliseconds=300)


def test_a_rule_whose_sources_fell_silent_is_still_looked_at() -> None:
    pulse = Pulse(seen_at=START, fed=True)
    assert not pulse.due(SECOND, START + SECOND)
    assert pulse.due(SECOND, START + timedelta(seconds=1.5))
    assert Pulse(seen_at=START).due(SECOND, START + SECOND)
    assert Pulse(seen_at=START, fed=True).due(SECOND, START - timedelta(hours=1))  # the clock was set back


async def test_asked_for_twice_a_step_runs_once_at_the_nearer_moment() -> None:
    clock = ManualClock(START)
    scheduler = Scheduler(clock, Telemetry())
    runs: list[datetime] = []

    async def step(now: datetime) -> None:
        runs.append(now)

    for seconds in (3, 2, 4):
        scheduler.soon("look", START + timedelta(seconds=seconds), step)
    await scheduler.advance(clock, START + timedelta(seconds=10))
    assert runs == [START + timedelta(seconds=2)]
    scheduler.soon("look", START + timedelta(seconds=11), step)
    await scheduler.advance(clock, START + timedelta(seconds=20))
    assert len(runs) == 2


def probes(server: Target) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {
            "kind": "http_probe",
            "name": name,
            "interval": "1s",
            "steps": [{"name": "open", "url": server.url(f"/{name}")}],
        }
        for name in ("north", "south")
    ]
    return [*found, {"kind": "openmetrics", "name": "proxy", "url": server.url("/nothing"), "interval": "1s"}]


async def test_a_probe_whose_target_fails_is_dark_since_it_began_to_fail(tmp_path: Path) -> None:
    async with target(north=answer(b"ok"), south=answer(b"ok")) as server:
        rule_file(tmp_path, REMEDY)
        remediation = {
            "canaries": ["north", "south"],
            "targets": [{"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}],
        }
        engine = build(
            tmp_path,
            collect={"host": False, "own_logs": False, "sources": probes(server)},
            remediation=remediation,
        )
        await begin(engine)
        await walk(engine, 3.3)
        server.pages["/south"] = answer(b"no", status="503 Oops")
        await walk(engine, 5.0)
        facts = engine.remediation._facts(engine.clock.now())
        assert facts.canaries == {"north": True, "south": False}
        seen = {one.name: one for one in facts.watched}
        assert seen["south"].bad_since == NOON + timedelta(seconds=4)
        assert seen["proxy"].bad_since == NOON
        assert seen["north"].bad_since is None
        assert seen["north"].service == "checkout"  # the rule of checkout looks at it
        assert seen["south"].service == "south"
        pulse = engine.remediation.pulses["checkout_failover"]
        assert pulse.seen_at == NOON + timedelta(seconds=8) + SETTLE
        await stop(engine)
