from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.targets import TRUST, answer, target

from collectors.openmetrics import Openmetrics
from watchkeeper.errors import CollectError
from watchkeeper.model import is_stale, label, metric_name
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def scraper(url: str, **options: Any) -> Openmetrics:
    return Openmetrics(name="shop", url=url, timeout=options.pop("timeout", 5.0), **options)


async def test_a_page_becomes_one_tick_with_job_and_instance(outbound: Outbound) -> None:
    async with target() as server:
        part = scraper(server.url(), labels={"service": "checkout"})
        found = await part.collect(NOON, outbound)
    (tick,) = found.ticks
    assert tick.target == "openmetrics/shop"
    assert tick.values.tolist() == [1027.0, 3.0, 21.5]
    first = tick.layout.series[0]
    assert metric_name(first) == "up_requests_total"
    assert (label(first, "job"), label(first, "service"), label(first, "code")) == ("shop", "checkout", "200")
    assert label(first, "instance") == f"127.0.0.1:{server.port}"
    assert part.metadata["up_requests_total"].type == "counter"
    assert part.metadata["up_requests_total"].help == "Requests served."


async def test_the_layout_is_the_same_object_while_the_page_keeps_its_shape(outbound: Outbound) -> None:
    async with target() as server:
        part = scraper(server.url())
        first = (await part.collect(NOON, outbound)).ticks[0]
        server.pages["/metrics"] = server.pages["/metrics"].replace(b" 1027", b" 1028")
        second = (await part.collect(NOON + timedelta(seconds=15), outbound)).ticks[0]
    assert second.layout is first.layout
    assert second.values.tolist() == [1028.0, 3.0, 21.5]


async def test_a_failed_scrape_marks_the_last_series_stale_once(outbound: Outbound) -> None:
    async with target() as server:
        part = scraper(server.url())
        before = (await part.collect(NOON, outbound)).ticks[0]
        server.pages["/metrics"] = answer(b"", status="503 Service Unavailable")
        with pytest.raises(CollectError, match="status 503") as failure:
            await part.collect(NOON, outbound)
    assert failure.value.reason == "status"
    tick = part.stale_tick(NOON + timedelta(seconds=15))
    assert tick is not None
    assert tick.layout.series == before.layout.series
    assert is_stale(tick.values).all()
    assert part.stale_tick(NOON + timedelta(seconds=30)) is None


async def test_after_a_failure_the_same_page_is_read_anew(outbound: Outbound) -> None:
    async with target() as server:
        part = scraper(server.url())
        await part.collect(NOON, outbound)
        part.stale_tick(NOON)
        again = (await part.collect(NOON, outbound)).ticks[0]
    assert again.values.tolist() == [1027.0, 3.0, 21.5]


async def test_the_token_file_is_read_for_every_request(outbound: Outbound, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    async with target() as server:
        part = scraper(server.url(), bearer_token_file=str(secret), headers={"x-scope": "a"})
        for token in ("one", "two"):
            secret.write_text(token + "\n")
            await part.collect(NOON, outbound)
        secret.unlink()
        with pytest.raises(CollectError, match="cannot be read") as failure:
            await part.collect(NOON, outbound)
    assert failure.value.reason == "token"
    assert [b"Bearer one" in head or b"Bearer two" in head for _, _, head in server.requests] == [True, True]
    assert all(b"x-scope: a" in head.lower() for _, _, head in server.requests)


async def test_a_page_over_the_inline_size_is_read_the_same(outbound: Outbound) -> None:
    body = b"".join(b'big_total{n="%d"} %d\n' % (n, n) for n in range(8_000))
    async with target(big=answer(body)) as server:
        (tick,) = (await scraper(server.url("/big")).collect(NOON, outbound)).ticks
    assert np.array_equal(tick.values, np.arange(8_000))


async def test_openmetrics_pages_are_known_by_their_content_type(outbound: Outbound) -> None:
    page = answer(b"# TYPE a counter\na_total 1\n")
    whole = page.replace(b"text/plain; version=0.0.4", b"application/openmetrics-text; version=1.0.0")
    async with target(om=whole) as server:
        with pytest.raises(CollectError, match="# EOF"):
            await scraper(server.url("/om")).collect(NOON, outbound)


async def test_a_page_in_protobuf_is_refused_by_name(outbound: Outbound) -> None:
    kind = b"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    whole = answer(b"\x0a\x02up").replace(b"text/plain; version=0.0.4", kind)
    async with target(protobuf=whole) as server:
        with pytest.raises(CollectError, match="native histograms are not read") as failure:
            await scraper(server.url("/protobuf")).collect(NOON, outbound)
    assert failure.value.reason == "protobuf"


@pytest.mark.parametrize("url", ["ftp://x/metrics", "metrics", "http:///metrics"])
def test_an_address_that_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="url must be"):
        Openmetrics(name="x", url=url)


async def test_time_stamps_on_the_page_are_read_over_and_counted(outbound: Outbound) -> None:
    body = b'container_cpu{id="/"} 1.5 1700000000000\ncontainer_cpu{id="/a b"} 2.5 1700000000000\n'
    async with target(cadvisor=answer(body)) as server:
        part = scraper(server.url("/cadvisor"), honor_timestamps=False)
        for _ in range(3):
            (tick,) = (await part.collect(NOON, outbound)).ticks
    assert tick.values.tolist() == [1.5, 2.5]
    assert tick.time_ms == 1_795_348_800_000
    assert part.timestamps_ignored == 6
    await part.close()
    assert part.stale_tick(NOON) is None
