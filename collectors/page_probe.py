"""Loads a page in a real browser, and says when people see something and what went wrong on it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.outbound import Outbound

from .answers import check_pattern, found
from .base import STRICT, Reading
from .probe import Probe, Tried, failed

if TYPE_CHECKING:
    from playwright.async_api import Page, Response, Route

REMEDY = "page_probe needs the extra: pip install 'watchkeeper[browser]', and Chromium (see docs/probes.md)"
FLAGS = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
#: The most milliseconds that a loaded page is waited for until it shows something; an empty page never does.
PAINT_WAIT = 2000
#: Seconds since navigation began, as the browser counts them (Navigation Timing 2, Paint Timing). A busy machine
#: paints after the load event: the paint is waited for, as it is what people see.
TIMING = """async (wait) => {
  await new Promise(done => {
    const seen = list => list.getEntriesByName('first-contentful-paint').length && done();
    new PerformanceObserver(seen).observe({type: 'paint', buffered: true});
    setTimeout(done, wait);
  });
  const [n] = performance.getEntriesByType('navigation');
  const paint = Object.fromEntries(performance.getEntriesByType('paint').map(p => [p.name, p.startTime]));
  const bytes = performance.getEntriesByType('resource').reduce((sum, r) => sum + r.transferSize, n.transferSize);
  return {resolve: n.domainLookupEnd - n.domainLookupStart, connect: n.connectEnd - n.connectStart,
    processing: n.responseStart - n.requestStart, transfer: n.responseEnd - n.responseStart,
    dom: n.domContentLoadedEventEnd, load: n.loadEventEnd, bytes: bytes,
    first_paint: paint['first-paint'] ?? null, first_contentful_paint: paint['first-contentful-paint'] ?? null};
}"""


@dataclass(kw_only=True, config=STRICT)
class PageProbe(Probe):
    """One load in a fresh headless Chromium, which is gone afterwards.

    Good for: pages that are made in the browser. Not for: every few seconds; a load costs about a second of CPU.
    """

    KIND: ClassVar[str] = "page_probe"
    GRACE: ClassVar[float] = 5.0  # a browser takes a moment to end

    url: str
    timeout: float = Field(default=30.0, gt=0, le=300)  #: seconds for starting the browser and loading
    expect: str = ""  #: RE2 pattern that must be found in the visible text
    max_seconds: float | None = Field(default=None, gt=0)  #: a slower load is a failure
    max_console_errors: int | None = Field(default=None, ge=0)  #: more are a failure; none: any number is good
    executable: str = ""  #: of Chromium; empty: Playwright's own, else that of the system

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host/path or https://...")
        check_pattern(self.expect, "expect")
        super().__post_init__()

    def place(self) -> str:
        where = self.url.split("?", 1)[0].split("#", 1)[0]
        host = urlsplit(where).netloc
        return where.replace(host, host.rpartition("@")[2], 1)

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # a probe's shape
        from importlib.util import find_spec

        if find_spec("playwright") is None:
            raise CollectError(REMEDY, reason="unsupported")
        from playwright.async_api import Error
        from playwright.async_api import TimeoutError as LoadTimeoutError

        async with AsyncExitStack() as stack:
            began = time.monotonic()
            page = await self._page(stack, outbound)
            watch, left = _Watch(page), self.timeout - (time.monotonic() - began)
            try:
                response = await page.goto(self.url, wait_until="load", timeout=max(left, 0.001) * 1000)
            except LoadTimeoutError:
                return failed("timeout", watch.readings())
            except Error as error:
                return failed("tls" if "ERR_CERT" in error.message else "connect", watch.readings())
            return await self._judged(page, watch, response)

    async def _page(self, stack: AsyncExitStack, outbound: Outbound) -> Page:
        from playwright.async_api import Error, async_playwright

        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # Chromium has no sandbox for root
        running = await stack.enter_async_context(async_playwright())
        executable = self.executable or await asyncio.to_thread(_system_chromium, running.chromium.executable_path)
        try:
            browser = await running.chromium.launch(executable_path=executable or None, args=flags)
        except Error as error:
            first = error.message.splitlines()[0][:200]
            raise CollectError(f"Chromium does not start: {first}; see docs/probes.md", reason="unsupported") from None
        stack.push_async_callback(browser.close)
        page = await browser.new_page()
        await page.route("**/*", _guard(outbound))
        return page

    async def _judged(self, page: Page, watch: _Watch, response: Response | None) -> Tried:
        timing = await page.evaluate(TIMING, PAINT_WAIT)
        readings = [*watch.readings(), *_timed(timing)]
        if response is None:
            return failed("protocol", readings)
        readings.append(("probe_http_status_code", (), float(response.status)))
        if not response.ok:
            return failed("status", readings)
        if self.expect and not found(self.expect, await page.inner_text("body")):
            return failed("body", readings)
        if self.max_console_errors is not None and watch.errors > self.max_console_errors:
            return failed("console", readings)
        if self.max_seconds is not None and timing["load"] / 1000 > self.max_seconds:
            return failed("slow", readings)
        return True, readings


class _Watch:
    """What goes wrong while a page loads."""

    def __init__(self, page: Page) -> None:
        self.errors = self.failed = self.requests = 0
        page.on("console", lambda message: self._console(message.type))
        page.on("pageerror", lambda _error: self._console("error"))
        page.on("request", lambda _request: self._asked())
        page.on("requestfailed", lambda _request: self._lost())

    def _console(self, kind: str) -> None:
        self.errors += kind == "error"

    def _asked(self) -> None:
        self.requests += 1

    def _lost(self) -> None:
        self.failed += 1

    def readings(self) -> list[Reading]:
        return [
            ("probe_page_console_errors", (), float(self.errors)),
            ("probe_page_requests", (), float(self.requests)),
            ("probe_page_failed_requests", (), float(self.failed)),
        ]


def _timed(timing: dict[str, Any]) -> list[Reading]:
    rows: list[Reading] = [
        ("probe_page_duration_seconds", (("phase", phase),), timing[phase] / 1000)
        for phase in ("resolve", "connect", "processing", "transfer", "dom", "load")
    ]
    rows += [
        (f"probe_page_{name}_seconds", (), timing[name] / 1000)
        for name in ("first_paint", "first_contentful_paint")
        if timing[name] is not None
    ]
    return [*rows, ("probe_page_transfer_bytes", (), float(timing["bytes"]))]


def _guard(outbound: Outbound) -> Any:
    """Addresses that are never reached are not reached by a page either."""

    async def check(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("http", "https", "ws", "wss"):
            try:
                await outbound.addresses(parts.hostname or "", parts.port or 0)
            except (OutboundError, ValueError):
                await route.abort("blockedbyclient")
                return
        await route.continue_()

    return check


def _system_chromium(own: str) -> str:
    """Playwright's browser where it was downloaded, else the system's; empty when there is neither."""
    places = (own, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
    return next((place for place in places if os.path.exists(place)), "")  # noqa: PTH110
