"""A backlog is scaled within seconds; the four alerts of the requirements come later and join the same incident."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, rule_file, scraped, walk
from support.kept import SERVERS, serve
from support.remediator import Direct
from support.servers import free_port
from support.targets import answer, target

from remediation.actions.supervisord import Supervisord
from remediation.actuator import Actuator, Journal
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.model import ActionState, AlertState, Intent, Target
from watchkeeper.ports import Reading
from watchkeeper.store.samples.remote import RemoteStore

FOUR = (Path(__file__).parents[1] / "data/rules/requirements.yaml").read_text(encoding="utf-8")
HOLD = {"PaymentFailureRate": 1, "HighErrorRate": 2, "SlowAPIResponse": 3, "QueueBacklog": 5}  #: minutes
STEP = 5  #: seconds between two scrapes
OWN = """
groups:
  - name: own
    interval: 5s
    rules:
      - alert: JobsPileUp
        expr: job_queue_pending_count > 100
        labels: {severity: P2}
        annotations: {summary: jobs pile up}
remediations:
  - name: more_workers
    when: job_queue_pending_count > 100
    observers: {waiting: job_queue_oldest_age_seconds > 5}
    confirm: 2 of 3
    interval: 5s
    action: supervisord
    target: jobs
    scale: {direction: out, load: job_queue_pending_count, per_worker: 50, min: 2, max: 8}
    mode: auto
    owner: ada
    service: checkout
    verify: job_queue_pending_count > 100 and deriv(job_queue_pending_count[20s]) >= 0
    hold: 30s
"""


@dataclass
class Slots(Supervisord):
    """A group of ten in memory, with supervisord's own arithmetic."""

    running: list[str] = field(default_factory=lambda: ["jobs:jobs_0", "jobs:jobs_1"])
    effects: int = 0

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        size = float(len(self.running))
        state = {
            "running": list(self.running),
            "slots": [f"jobs:jobs_{number}" for number in range(10)],
            "started": dict.fromkeys(self.running, 1),
        }
        return Reading(state=state, epoch=" ".join(self.running), capacity={"healthy": size, "total": size})

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        wanted = desired["running"]
        assert isinstance(wanted, list)
        self.running, self.effects = list(wanted), self.effects + 1
        return {"token": intent.token}


class Shop:
    """A payment gateway that fails: errors, slow answers, and jobs that come faster than two workers take them."""

    def __init__(self, slots: Slots) -> None:
        self.slots, self.ill, self.pending = slots, False, 5.0
        self.served = self.wrong = self.slow = 0

    def page(self) -> bytes:
        """What it says after another step."""
        self.served += 10
        self.wrong += self.ill
        self.slow += 10 if self.ill else 0
        if self.ill:
            self.pending += 10 - 2 * len(self.slots.running)
        fast = self.served - self.slow
        lines = [
            f'http_requests_total{{status="200"}} {self.served}',
            f'http_requests_total{{status="500"}} {self.wrong}',
            f"payment_attempts_total {self.served}",
            f"payment_failed_total {self.wrong}",
            f'http_request_duration_seconds_bucket{{le="10"}} {fast}',
            f'http_request_duration_seconds_bucket{{le="20"}} {self.served}',
            f'http_request_duration_seconds_bucket{{le="+Inf"}} {self.served}',
            f"job_queue_pending_count {self.pending}",
            f"job_queue_oldest_age_seconds {30 if self.ill else 0}",
        ]
        return answer("".join(f"{line}\n" for line in lines).encode())


def fired(engine: Engine) -> dict[str, timedelta]:
    with engine.state.read() as unit:
        alerts = [alert for alert in unit.alerts.open() if alert.state is AlertState.FIRING]
    return {alert.rule: alert.fired_at - alert.active_at for alert in alerts if alert.fired_at}


async def test_workers_come_first_and_the_four_alerts_join_the_incident_of_the_backlog(tmp_path: Path) -> None:
    rule_file(tmp_path, re.sub(r"(- name: requirements\n)", r"\1    interval: 5s\n", FOUR), "four.yaml")
    rule_file(tmp_path, OWN, "own.yaml")
    slots = Slots()
    settings = {"name": "jobs", "kind": "supervisord", "server": "/nowhere", "group": "jobs", "floor": 2, "ceiling": 10}
    trial = {**settings, "name": "trial", "test_parameters": {"count": 3}}
    targets = {"jobs": settings, "trial": trial}
    kinds = {"jobs": slots, "trial": Slots()}
    hands = Direct(Actuator(Journal(tmp_path / "journal"), targets, tmp_path / "kill-switch", kinds=lambda _: slots))
    tries = Actuator(Journal(tmp_path / "trial"), targets, tmp_path / "kill-switch", kinds=lambda _: kinds["trial"])
    async with target() as server:
        shop = Shop(slots)
        engine = build(
            tmp_path,
            actuator=hands,
            collect=scraped(server, interval=f"{STEP}s"),
            remediation={"targets": [{**settings, "test_target": "trial"}, trial]},
        )

        async def go(seconds: float) -> None:
            for _ in range(round(seconds / STEP)):
                server.pages["/metrics"] = shop.page()
                await walk(engine, STEP)

        server.pages["/metrics"] = shop.page()
        await begin(engine)
        await go(6 * 60)
        real, hands.core = hands.core, tries
        await engine.remediation.remediator.rehearse(clock_of(engine).now(), "more_workers")
        hands.core = real
        assert fired(engine) == {}

        shop.ill, shop.pending = True, 600.0
        await go(30)
        assert (len(slots.running), slots.effects) == (8, 1)
        assert fired(engine).keys() == {"JobsPileUp"}
        await go(6 * 60)
        found = fired(engine)
        assert {name: found[name] for name in HOLD} == {name: timedelta(minutes=held) for name, held in HOLD.items()}
        with engine.state.read() as unit:
            (incident,) = unit.incidents.open()
            alerts = {alert.rule for alert in unit.alerts.open() if alert.state is AlertState.FIRING}
            (action,) = [row for row in unit.actions.recent(engine.started_at) if row.token]
        assert alerts == {*HOLD, "JobsPileUp"}
        assert action.plan.incident_id == incident.id
        assert action.state is ActionState.SUCCEEDED
        assert slots.effects == 1
        assert_ledgers(engine)
        await stop(engine)


@pytest.mark.servers
@pytest.mark.parametrize("kind", [pytest.param(SERVERS[0]), pytest.param(SERVERS[1], marks=pytest.mark.long)])
async def test_while_the_sample_server_is_away_nothing_is_known_and_nothing_done_and_then_nothing_is_missing(
    kind: str, tmp_path: Path
) -> None:
    rule_file(tmp_path, OWN, "own.yaml")
    slots, trial = Slots(), Slots()
    settings = {"name": "jobs", "kind": "supervisord", "server": "/nowhere", "group": "jobs", "floor": 2, "ceiling": 10}
    tried = {**settings, "name": "trial", "test_parameters": {"count": 3}}
    targets = {"jobs": settings, "trial": tried}
    hands = Direct(Actuator(Journal(tmp_path / "journal"), targets, tmp_path / "kill-switch", kinds=lambda _: slots))
    tries = Actuator(Journal(tmp_path / "trial"), targets, tmp_path / "kill-switch", kinds=lambda _: trial)
    port = free_port()
    async with target() as server:
        shop = Shop(slots)
        engine = build(
            tmp_path,
            actuator=hands,
            store={"samples": {"url": f"http://127.0.0.1:{port}"}},
            collect=scraped(server, interval=f"{STEP}s"),
            remediation={"targets": [{**settings, "test_target": "trial"}, tried]},
        )
        store = engine.samples
        assert isinstance(store, RemoteStore)

        async def go(seconds: float) -> None:
            for _ in range(round(seconds / STEP)):
                server.pages["/metrics"] = shop.page()
                await walk(engine, STEP)

        server.pages["/metrics"] = shop.page()
        await begin(engine)  # the server is not there yet
        await go(30)
        assert engine.judging.unknown_count() == 1
        running = serve(kind, tmp_path, port)
        try:
            await go(6 * 60)
            assert engine.judging.unknown_count() == 0
            real, hands.core = hands.core, tries
            await engine.remediation.remediator.rehearse(clock_of(engine).now(), "more_workers")
            hands.core = real
            assert await asyncio.to_thread(store.deliver, 30.0)

            running.kill()
            shop.ill, shop.pending = True, 600.0
            await go(60)
            assert engine.judging.unknown_count() == 1
            assert fired(engine) == {}
            assert (len(slots.running), slots.effects) == (2, 0)
            assert engine.sources["checkout"].state == "up"
            assert store.stats()["spool_waiting"] > 0

            running = serve(kind, tmp_path, port)
            await go(60)
            assert fired(engine).keys() == {"JobsPileUp"}
            assert (len(slots.running), slots.effects) == (8, 1)
            assert await asyncio.to_thread(store.deliver, 30.0)
        finally:
            running.kill()
        assert_ledgers(engine)
        figures = store.stats()
        assert figures["spool_offered"] == figures["spool_sent"] + figures["spool_already_there"]
        await stop(engine)
