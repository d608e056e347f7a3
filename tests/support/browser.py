"""Headless Chromium that notes what must not happen: errors, refused policies, requests that leave the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

EXECUTABLE = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Watched:
    """A page and what went wrong on it."""

    page: Page
    base: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def goto(self, path: str) -> None:
        self.page.goto(self.base + path)

    def sign_in(self, name: str, password: str) -> None:
        self.goto("/login")
        self.page.fill("#name", name)
        self.page.fill("#password", password)
        self.page.click("button.main")

    def see(self, text: str, *, timeout: float = 15_000) -> None:
        """Wait until the text stands visibly on the page."""
        self.page.get_by_text(text).first.wait_for(timeout=timeout)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, base: str, *, width: int = 1280, height: int = 900) -> Iterator[Watched]:
    """A fresh, cookie-less page."""
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    yield _watch(context, base)
    context.close()


@contextmanager
def resident(folder: Path, base: str) -> Iterator[Watched]:
    """A page with a profile on disk, as people have it: compiled scripts are kept there, but in no fresh context."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=EXECUTABLE,
            args=list(FLAGS),
            viewport={"width": 1280, "height": 900},
            locale="en-US",
        )
        yield _watch(context, base)
        context.close()


def _watch(context: BrowserContext, base: str) -> Watched:
    found = Watched(context.new_page(), base)

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.errors.append(message.text)

    def request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(base).netloc:
            found.foreign.append(url)

    found.page.on("console", console)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("request", lambda one: request(one.url))
    return found
