"""An alert storm over the real parts: rows of alerts, incidents, the outbox, a robot with DingTalk's limits."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from support.robots import SECRET, TOKEN, Robots, robots

from incidents import Change, Settings, step
from notifiers import BUILTIN
from notifiers.delivery import Channel, deliver
from notifiers.pace import Limits
from notifiers.render import Renderer
from rules.alerts import AlertChange
from rules.persist import Saved, save
from watchkeeper.app.pipeline.tell import Telling
from watchkeeper.clock import ManualClock
from watchkeeper.model import Alert, AlertState, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry
from watchkeeper.store.state import State

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
#: One alert in so many is of each of the lesser severities; the P0 is the very last one.
LESSER = (Severity.P1, Severity.P2, Severity.P3)


def storm(alerts: int, services: int, at: datetime = NOON) -> list[AlertChange]:
    """New firing alerts spread over the services; the last one alone is P0."""
    return [_firing(number, services, at, is_last=number == alerts - 1) for number in range(alerts)]


def _firing(number: int, services: int, at: datetime, *, is_last: bool) -> AlertChange:
    severity = Severity.P0 if is_last else LESSER[number % services % len(LESSER)]
    rule, service = f"Rule{number // services}", f"service-{number % services}"
    labels = {"alertname": rule, "service": service, "instance": f"host-{number}:9100", "severity": severity}
    alert = Alert(
        id="",
        fingerprint=f"{number:016x}",
        rule=rule,
        group="storm",
        expr="rate(http_requests_errors_total[5m]) > 0.05",
        labels=labels,
        annotations={"summary": f"{rule} {service}", "runbook_url": "https://runbooks.example/errors"},
        state=AlertState.FIRING,
        severity=severity,
        value=0.5,
        active_at=at,
        fired_at=at,
        last_evaluated_at=at,
    )
    evidence = {"value": 0.5, "expr": alert.expr, "at": at}
    return AlertChange(alert=alert, old=AlertState.INACTIVE, reason="condition_held", evidence=evidence)


@dataclass
class Storm:
    """One storm on its way from the evaluator's answer to the robot."""

    state: State
    telling: Telling
    channel: Channel
    double: Robots
    clock: ManualClock
    settings: Settings = field(default_factory=Settings)
    saved: list[Saved] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  #: what each part took

    def strike(self, found: list[AlertChange]) -> int:
        """Alerts, incidents and messages as rows, in one transaction as the engine does it; messages queued."""
        now = self.clock.now()
        started = time.perf_counter()
        with self.state.begin() as unit:
            self.saved = save(found, unit)
            self._lap("save", started)
            self.changes = step(now, unit, self.settings)
            self._lap("correlate", started)
            queued = self.telling.about_incidents(now, unit, self.changes)
            self._lap("outbox", started)
        self._lap("commit", started)
        return queued

    def _lap(self, name: str, started: float) -> None:
        self.seconds[name] = time.perf_counter() - started - sum(self.seconds.values())

    async def deliver(self, seconds: int) -> None:
        """The delivery step once a second of the manual clock."""
        outbound = self.telling.outbound
        for _ in range(seconds):
            now = self.clock.now()
            await deliver(now, self.state, [self.channel], outbound, chance=random.Random(7))
            self.clock.advance(1)

    def told_after(self) -> list[float]:
        """Seconds of the manual clock from the storm to each message at the robot."""
        times = [int(one.target.partition("timestamp=")[2][:13]) / 1000 for one in self.double.accepted]
        return [at - NOON.timestamp() for at in times]


@asynccontextmanager
async def brewing(state: State) -> AsyncIterator[Storm]:
    """Everything wired over this database, at noon."""
    clock = ManualClock(NOON)
    async with robots(now=clock.now) as double:
        options = {"token": TOKEN, "secret": SECRET, "base_url": double.base, "allow_hosts": ("127.0.0.1",)}
        notifier = Registry("notifiers", BUILTIN).build("dingtalk", {**options, "now": clock.now})
        channel = Channel(name="ding", notifier=notifier, limits=Limits())
        outbound = Outbound(allow_private=True)
        telling = Telling(
            state=state,
            clock=clock,
            outbound=outbound,
            routes=(),
            channels={"ding": channel},
            kinds={"ding": "dingtalk"},
            renderers={"ding": Renderer(zone=ZoneInfo("Asia/Shanghai"))},
            digest_channels=("ding",),
            public_url="",
        )
        try:
            yield Storm(state, telling, channel, double, clock)
        finally:
            await outbound.aclose()


def within(times: list[float], seconds: float) -> int:
    """How many came in the first so many seconds."""
    return sum(at < seconds for at in times)
