"""The five-minute tour of the demo in a browser: what a visitor presses, and what must be seen before the next step.

The browser test walks it; docs/make_screenshots.py walks it and takes the pictures of the README on its way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

#: Seconds in which a visitor has seen detection, plan, action, verification, message and recovery.
STORY = 180.0
#: Pages for those who plan and pay, and what stands on them when they have data.
MANAGERS = ("sla", "cost", "business", "predictions", "capacity")
GREETING = re.compile(r"(?P<url>http://\S+)/demo\s+user (?P<user>\S+), password (?P<password>\S+)")


@dataclass(frozen=True)
class Visitor:
    """A browser page and the demo's address; ``look`` is called with a name wherever there is something to see."""

    page: Page
    url: str
    user: str
    password: str
    look: Callable[[str], None] = lambda _name: None

    def goto(self, path: str) -> None:
        self.page.goto(self.url + path)
        self.page.wait_for_selector(".wk-as-of")

    def see(self, text: str, seconds: float = 30.0) -> None:
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)


def address(said: str) -> str:
    """Of the dashboard, by what the demo printed."""
    found = GREETING.search(said)
    assert found, said
    return found["url"]


def visitor(page: Page, said: str, look: Callable[[str], None] = lambda _name: None) -> Visitor:
    """By what the demo printed."""
    found = GREETING.search(said)
    assert found, said
    return Visitor(page, found["url"], found["user"], found["password"], look)


def tour(one: Visitor) -> None:
    """All of it, in the order of the README."""
    sign_in(one)
    break_and_watch(one, "checkout-primary", "checkout")
    break_and_watch(one, "queue-backlog", "queue")
    read_messages(one)
    managers(one)
    chinese(one)


def sign_in(one: Visitor) -> None:
    one.page.goto(one.url + "/login")
    one.page.fill("#name", one.user)
    one.page.fill("#password", one.password)
    one.page.click("button.main")
    one.page.wait_for_selector(".wk-tile-cpu_usage .wk-value")
    one.look("overview")


def break_and_watch(one: Visitor, fault: str, name: str) -> None:
    """Press the button, open the incident as soon as there is one, stay until the action has been verified."""
    one.goto("/demo")
    one.look("demo")
    card = one.page.locator(".wk-card", has=one.page.locator(f'[id*="{fault}"]'))
    card.get_by_role("button", name="Break").click()
    link = card.get_by_role("link")
    link.wait_for(timeout=STORY * 1000)
    link.click()
    one.page.wait_for_url("**/incidents/*")
    timeline = one.page.locator(".wk-timeline")
    expect(timeline).to_contain_text("Verifying → Succeeded", timeout=STORY * 1000)
    one.look(f"incident-{name}")


def read_messages(one: Visitor) -> None:
    one.goto("/demo")
    expect(one.page.locator(".wk-item").first).to_be_visible()
    one.goto("/actions")
    one.look("actions")


def managers(one: Visitor) -> None:
    for key in MANAGERS:
        one.goto(f"/{key}")
        one.page.wait_for_timeout(1500)
        assert not one.page.locator(".wk-engine-down, .wk-notice-red").count(), key
        one.look(key)


def chinese(one: Visitor) -> None:
    one.goto("/")
    one.page.get_by_text("中文", exact=True).click()
    one.see("总览")
    one.goto("/sla")
    one.look("sla-zh")
