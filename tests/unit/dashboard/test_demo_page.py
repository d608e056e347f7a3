"""The demo's page: faults with what to expect, their incidents, and the robots' messages as chat."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboard.client import NOBODY, EngineClient
from dashboard.context import Caller, Principal
from dashboard.i18n import Words, catalogue, zone_of
from dashboard.page import Request
from dashboard.pages import BUILTIN, demo
from dashboard.permissions import Permission
from dashboard.settings import Settings
from watchkeeper.app.demo.faults import FAULTS
from watchkeeper.clock import SystemClock

FAULT = {
    "name": "slow-api", "on": False, "since": None, "ends_at": None, "lasts_seconds": 600.0, "incident_id": "",
    "alert_state": "",
}  # fmt: skip
ON = {**FAULT, "on": True, "since": "2026-11-22T12:00:00Z", "ends_at": "2026-11-22T12:10:00Z"}
MESSAGE = {"at": "2026-11-22T12:00:00Z", "kind": "wecom", "title": "", "text": "### P1\n> one\n> two"}
DATA = {
    "now": "2026-11-22T12:00:00Z", "faults": [FAULT], "missing": [], "seeded_orders": 20195, "messages": [],
}  # fmt: skip


def caller(role: str = "operator", language: str = "en") -> Caller:
    clock = SystemClock()
    return Caller(
        principal=Principal("ada", role, language, "UTC", NOBODY),
        words=Words(language, zone_of("UTC")),
        theme="light",
        engine=EngineClient(Settings(), clock),
        refresh_seconds=5.0,
        clock=clock,
    )


def drawn(component: Any) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


@dataclass
class Registry:
    """Notes what a page registers, as Callbacks would."""

    handlers: list[tuple[Permission, Any]] = field(default_factory=list)

    def callback_for(self, permission: Permission, *_wiring: Any, **_options: Any) -> Any:
        def note(handler: Any) -> Any:
            self.handlers.append((permission, handler))
            return handler

        return note


def test_the_page_is_not_one_of_the_built_in_ones() -> None:
    assert demo.PAGE not in BUILTIN


def test_the_page_says_that_data_is_made_up() -> None:
    frame = drawn(demo.layout(caller(), Request("/demo", "", {})))
    assert "generated with a fixed random seed" in frame
    assert "20,195 orders" in drawn(demo.body(caller(), DATA))


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_its_texts(language: str, name: str) -> None:
    said = drawn(demo.fault(caller(language=language), {**FAULT, "name": name}))
    for part in ("fault", "what", "expect"):
        assert json.dumps(catalogue(language)[f"demo.{part}.{name}"], ensure_ascii=False) in said


def test_a_fault_that_is_off_can_be_broken_and_one_that_is_on_healed() -> None:
    off, on = drawn(demo.fault(caller(), FAULT)), drawn(demo.fault(caller(), ON))
    assert '"demo-break"' in off
    assert '"demo-heal"' not in off
    assert '"demo-heal"' in on
    assert "On since 12:00:00, ends by itself at 12:10:00" in on


def test_a_fault_leads_to_its_incident() -> None:
    assert "No incident yet" in drawn(demo.fault(caller(), FAULT))
    found = drawn(demo.fault(caller(), {**ON, "incident_id": "inc-7", "alert_state": "firing"}))
    assert '"/incidents/inc-7"' in found


def test_a_viewer_may_look_but_not_press() -> None:
    assert '"disabled": true' in drawn(demo.fault(caller("viewer"), FAULT))
    assert '"disabled": true' not in drawn(demo.fault(caller("operator"), FAULT))


def test_messages_are_shown_line_by_line_and_none_is_said() -> None:
    assert "No messages yet" in drawn(demo.body(caller(), DATA))
    said = drawn(demo.body(caller(), {**DATA, "messages": [MESSAGE]}))
    assert "### P1  \\n> one  \\n> two" in said
    assert "WeCom" in said


def test_what_is_not_installed_is_named() -> None:
    said = drawn(demo.body(caller(), {**DATA, "missing": ["haproxy is not installed: apt-get install haproxy"]}))
    assert "apt-get install haproxy" in said


def test_looking_needs_reading_and_pressing_an_operator() -> None:
    registry = Registry()
    demo.register(registry)  # type: ignore[arg-type]
    assert [permission for permission, _ in registry.handlers] == [
        Permission.READ,
        Permission.ACKNOWLEDGE,
        Permission.ACKNOWLEDGE,
    ]
