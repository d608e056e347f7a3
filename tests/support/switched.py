"""A shop's switches in a file, turned by the real actuator in place; and an engine that watches its carrier."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.engines import NOON, build, clock_of
from support.journey import begin, both_robots, gauges, rule_file, scraped, walk
from support.remediator import Direct
from support.robots import Robots, robots
from support.targets import Target, target

from remediation.actuator import Actuator, Journal
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.clock import ManualClock
from watchkeeper.model import Intent

RULES = """
groups:
  - name: carrier
    interval: 5s
    rules:
      - alert: CarrierDown
        expr: carrier_up == 0
        labels: {severity: P1, service: checkout, contingency: provider_down}
        annotations: {summary: the carrier does not answer}
remediations:
  - name: quotes_cached
    when: carrier_up == 0
    observers: {passive: quote_failures > 0.1}
    confirm: 2 of 4
    interval: 5s
    on_request: true
    action: feature_flag
    target: quotes
    parameters: {state: {quotes: cached}}
    mode: auto
    owner: ann
    service: checkout
    verify: quote_failures > 0.1
    hold: 10s
"""
#: The plan of the tests: degrade by a rule after 30 s, tell customers, call the vendor.
PLAN: dict[str, Any] = {
    "name": "carrier",
    "title": "承运商故障",
    "title_en": "The carrier is down",
    "trigger": {"alerts": ["CarrierDown"], "lasting": "30s"},
    "recovery": {"target": "10m", "symptom": "quote_failures > 0.1", "hold": "20s"},
    "steps": [
        {"name": "degrade", "kind": "rule", "rule": "quotes_cached", "limit": "1m"},
        {"name": "tell", "kind": "notice"},
        {"name": "call", "owner": "duty", "vendor": "acme", "limit": "5m", "text": "报障", "text_en": "Report it"},
    ],
    "notices": [
        {"audience": "customers", "at": "tell", "title": "报价来自缓存", "title_en": "Quotes are cached",
         "text": "{started} 起", "text_en": "Since {started}, back by {due}"},
        {"audience": "customers", "at": "recovered", "title": "已恢复", "title_en": "All is well", "text": "{elapsed}"},
    ],
    "evidence": {"queries": [{"title": "carrier", "query": "carrier_up"}], "logs": [{"query": "carrier"}]},
    "drill_every": "90d",
}  # fmt: skip
SECTION: dict[str, Any] = {
    "items": [PLAN],
    "audiences": [
        {"name": "oncall", "channels": ["ding"]},
        {"name": "customers", "channels": ["wecom"]},
        {"name": "drills", "channels": ["ding"]},
    ],
    "drill_audience": "drills",
    "vendors": [{"name": "acme", "title": "Acme Carrier", "phone": "+86 400 1", "contract": "C-7"}],
}


class Counting(Direct):
    """The real actuator in place; every intent that reaches it is remembered."""

    def __init__(self, core: Actuator) -> None:
        super().__init__(core)
        self.intents: list[Intent] = []

    async def submit(self, intent: Intent) -> Mapping[str, object]:
        self.intents.append(intent)
        return await super().submit(intent)

    def done(self, target: str) -> list[str]:
        """Operations on the target, in order."""
        return [one.operation for one in self.intents if one.plan["targets"][0]["name"] == target]  # type: ignore[index]


class Shop:
    """What the test turns, and what it finds."""

    def __init__(self, folder: Path, server: Target, double: Robots) -> None:
        self.folder, self.server, self.double = folder, server, double
        self.flags, self.trial = folder / "flags.json", folder / "trial.json"
        self.flags.write_text(json.dumps({"quotes": "live"}))
        self.trial.write_text(json.dumps({"quotes": "live"}))
        quotes = {"kind": "feature_flag", "file": str(self.flags), "switches": {"quotes": ["live", "cached"]}}
        trial = {**quotes, "name": "trial", "file": str(self.trial)}
        self.targets = [{**quotes, "name": "quotes", "test_target": "trial"}, trial]
        named = {str(one["name"]): one for one in self.targets}
        self.hands = Counting(Actuator(Journal(folder / "journal"), named, folder / "kill-switch"))
        self.clock = ManualClock(NOON)
        self.carrier(up=True)

    def carrier(self, *, up: bool, failing: float | None = None) -> None:
        """``failing``: share of quotes that fail for buyers; else all of them while the carrier is down."""
        share = (0.0 if up else 1.0) if failing is None else failing
        self.server.pages["/metrics"] = gauges(carrier_up=float(up), quote_failures=share)

    def quotes(self) -> str:
        return str(json.loads(self.flags.read_text())["quotes"])

    def build(self, **sections: Any) -> Engine:
        remediation = {"targets": self.targets, "verify_within": "30s", "observe_after_gap": "1s"}
        return build(
            self.folder,
            actuator=self.hands,
            clock=self.clock,
            **{
                "collect": scraped(self.server),
                "notify": both_robots(self.double),
                "remediation": remediation,
                "plans": SECTION,
                **sections,
            },
        )

    def told(self, kind: str) -> list[str]:
        return [str(request.json) for request in self.double.accepted if request.kind == kind]


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[Shop]:
    rule_file(folder, RULES)
    async with target() as server, robots() as double:
        yield Shop(folder, server, double)


@asynccontextmanager
async def running(shop: Shop, **sections: Any) -> AsyncIterator[Engine]:
    """A life of the engine."""
    engine = shop.build(**sections)
    await begin(engine)
    try:
        yield engine
    finally:
        await stop(engine)


async def rehearsed(engine: Engine) -> None:
    """The way back was tried: the action counts as its own class."""
    await engine.remediation.remediator.rehearse(engine.clock.now(), "quotes_cached")


async def broken(engine: Engine, shop: Shop, seconds: float = 60) -> None:
    """The carrier is down for so long."""
    shop.carrier(up=False)
    await walk(engine, seconds)


def token(engine: Engine, role: Role = Role.ADMIN) -> str:
    found, _ = create_system_token(engine.state, role.value, role, now=clock_of(engine).now())
    return found
