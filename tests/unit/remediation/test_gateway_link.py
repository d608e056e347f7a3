"""Dual links of vendors that no proxy stands before: a gateway that calls them is told whom to ask, by webhook.

The rules are those of docs/remediation.md, read from there: what is documented is what is tried.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.answering import Answering, answering
from support.remediator import Direct, World
from support.remedies import NOON

from remediation.actions.webhook import Webhook
from remediation.book import REHEARSED_KEY, link_counts
from remediation.links import Phase
from remediation.settings import Link
from rules import load_text
from watchkeeper.model import Intent, Mode, RemedyRule, Target
from watchkeeper.ports import Reading

DOC = (Path(__file__).parents[3] / "docs" / "remediation.md").read_text(encoding="utf-8")
QUICK = {"hold": "30s", "dwell": "30s", "cooldown": "30s", "budget": 10, "return_good": 3, "observers": ["passive"]}


def documented(title: str) -> tuple[dict[str, Any], RemedyRule]:
    """The section ``remediation`` and the rule of one example."""
    part = DOC.split(f"### {title}\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    section, rules = re.findall(r"```yaml\n(.*?)```", part, re.DOTALL)[:2]
    return yaml.safe_load(section.replace("${GATEWAY_SECRET}", "s3cret"))["remediation"], load_text(rules).remedies[0]


class Gateway:
    """Calls the vendor its state names; POST sets the state, GET tells it."""

    def __init__(self, vendor: str) -> None:
        self.state: dict[str, Any] = {"provider": vendor}
        self.told: list[str] = []
        self.url = ""


class Beside(Direct):
    """The actuator beside the engine's loop, as its own process is: the webhook has a loop of its own."""

    async def read(self, target: Target) -> Reading:
        return await asyncio.to_thread(self.core.read, target)

    async def submit(self, intent: Intent) -> Mapping[str, object]:
        return await asyncio.to_thread(self.core.submit, intent)


def a_world(tmp_path: Path, gateway: Gateway, section: dict[str, Any], rule: RemedyRule) -> World:
    target = {**section["targets"][0], "url": gateway.url, "state_url": gateway.url, "allow_private": True}
    link = {**section["links"][0], **QUICK}
    world = World(
        tmp_path,
        replace(rule, observers={"passive": "passive"}, mode=Mode.AUTO),
        rehearsed=False,
        targets=[target],
        links=[link],
    )
    world.pool = Webhook()  # type: ignore[assignment]
    world.start()
    world.remediator._actuator = Beside(world.actuator.core)
    with world.state.begin() as unit:
        unit.documents.put(f"{REHEARSED_KEY}webhook/{target['name']}", {"at": NOON.isoformat()}, at=NOON)
    assert world.incident is not None
    world.incident = replace(world.incident, labels={"service": rule.service})
    world.remediator.people.declare(rule.name, "li", "a dual link", NOON)
    world.answers = {link["primary_probe"]: 1.0, link["backup_probe"]: 1.0}
    world.symptom = 0
    world.step(4)
    return world


@pytest.mark.parametrize("title", ["A language model behind a gateway", "Maps and payment"])
def test_a_vendor_that_fails_is_left_by_the_gateway_and_returned_to_after_half_open(tmp_path: Path, title: str) -> None:
    section, rule = documented(title)
    link = Link(**section["links"][0])
    gateway = Gateway(link.primary)

    class Handler(Answering):
        def answer(self) -> None:
            if self.command == "POST":
                body = json.loads(self.body())
                gateway.state.update(body["desired"])
                gateway.told.append(body["desired"]["provider"])
            self.say(200, json.dumps({"state": gateway.state}).encode())

    with answering(Handler) as url:
        gateway.url = url
        world = a_world(tmp_path, gateway, section, rule)
        world.symptom, world.answers[link.primary_probe] = 1, 0.0
        world.step(3)
        assert gateway.state == {"provider": link.backup}, world.reason()
        world.symptom = 0
        world.step(3)
        assert world.remediator.phase(link.name) is Phase.BACKUP
        world.answers[link.primary_probe] = 1.0
        world.step(12)
        assert gateway.told == [link.backup, link.primary]
        assert world.remediator.phase(link.name) is Phase.PRIMARY
        with world.state.read() as unit:
            assert link_counts(unit, link.name) == (2, 1)
        world.state.close()
