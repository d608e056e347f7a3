"""Pages loaded in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from support.servers import need
from support.targets import TRUST, answer, target

from collectors.page_probe import PageProbe
from watchkeeper.errors import CollectError
from watchkeeper.model import is_stale, label, metric_name
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = b"""<!doctype html><title>Shop</title><body><h1 id=a></h1><img src="http://169.254.169.254/x">
<script>document.querySelector('#a').textContent = 'Welcome, ' + 6 * 7; console.error('oops')</script>"""


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


async def test_a_page_made_in_the_browser_is_read_timed_and_its_errors_are_counted(outbound: Outbound) -> None:
    need("chromium")
    page = answer(SHOP).replace(b"text/plain", b"text/html")
    async with target(shop=page) as server:
        part = PageProbe(name="shop", url=server.url("/shop"), expect=r"Welcome, 42", labels={"team": "a"})
        (tick,) = (await part.collect(NOON, outbound)).ticks
    found = dict(zip(map(metric_name, tick.layout.series), tick.values.tolist(), strict=True))
    assert (found["probe_success"], found["probe_http_status_code"]) == (1.0, 200.0)
    assert found["probe_page_first_contentful_paint_seconds"] > 0
    assert found["probe_page_failed_requests"] >= 1.0, "the address of the cloud's metadata is never reached"
    assert found["probe_page_console_errors"] >= 1.0
    assert all(label(series, "team") == "a" for series in tick.layout.series)
    (stale,) = part.stale_ticks(NOON + timedelta(seconds=15))
    assert is_stale(stale.values).all()


async def test_what_is_shown_after_the_load_is_waited_for_and_an_empty_page_is_not_an_error(outbound: Outbound) -> None:
    need("chromium")
    late = b"<!doctype html><body><script>setTimeout(() => document.body.append('Hello'), 300)</script>"
    pages = {"late": answer(late).replace(b"text/plain", b"text/html"), "empty": answer(b"").replace(b"plain", b"html")}
    async with target(**pages) as server:
        readings = {}
        for name in pages:
            (tick,) = (await PageProbe(name=name, url=server.url(f"/{name}")).collect(NOON, outbound)).ticks
            readings[name] = dict(zip(map(metric_name, tick.layout.series), tick.values.tolist(), strict=True))
    assert readings["late"]["probe_page_first_contentful_paint_seconds"] >= 0.3
    assert readings["empty"]["probe_success"] == 1.0
    assert "probe_page_first_contentful_paint_seconds" not in readings["empty"]


async def test_a_page_that_cannot_be_reached_is_a_result_and_a_missing_browser_an_error(outbound: Outbound) -> None:
    need("chromium")
    (tick,) = (await PageProbe(name="shop", url="http://127.0.0.1:9/").collect(NOON, outbound)).ticks
    reasons = {label(series, "reason") for series in tick.layout.series}
    assert "connect" in reasons
    with pytest.raises(CollectError, match=r"Chromium does not start.*docs/probes.md"):
        await PageProbe(name="shop", url="http://127.0.0.1:9/", executable="/nowhere/chromium").collect(NOON, outbound)
