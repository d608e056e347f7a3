from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.servers import free_port, node_exporter, prometheus, redis, shared_memcached
from support.targets import TRUST, Target, answer, target

from collectors import BUILTIN
from collectors.discover import PORTS, SERVERS, discover, discover_logs, place_of
from collectors.openmetrics import Openmetrics
from collectors.prometheus_api import PrometheusApi
from watchkeeper.model import metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def page(server: Target, body: bytes, status: str = "200 OK") -> int:
    server.pages["/metrics"] = answer(body, status=status)
    return server.port


async def test_exporters_are_named_by_what_their_page_says(outbound: Outbound) -> None:
    async with target() as first, target() as second, target() as third, target() as fourth, target() as fifth:
        ports = [
            page(first, b"redis_up 1\n"),
            page(second, b'my_own{service="a"} 1\n'),
            page(third, b"<html>hello</html>"),
            page(fourth, b"", "404 Not Found"),
            page(fifth, b"# only a comment\n"),
            free_port(),
        ]
        found = await discover(outbound, ports, {})
    assert found == [
        {
            "kind": "openmetrics",
            "name": f"redis-{ports[0]}",
            "job": "redis",
            "url": f"http://127.0.0.1:{ports[0]}/metrics",
        },
        {
            "kind": "openmetrics",
            "name": f"port-{ports[1]}-{ports[1]}",
            "job": f"port-{ports[1]}",
            "url": f"http://127.0.0.1:{ports[1]}/metrics",
        },
    ]
    settings = {key: value for key, value in found[0].items() if key != "kind"}
    assert isinstance(Registry("collectors", BUILTIN).build("openmetrics", settings), Openmetrics)


async def test_a_port_that_hangs_costs_a_second(outbound: Outbound) -> None:
    async with target() as server:
        server._special["/metrics"] = server._special["/hang"]
        began = time.monotonic()
        assert await discover(outbound, [server.port] * 5, {}) == []
    assert time.monotonic() - began < 2.0


def test_the_docs_list_every_port_that_is_looked_at() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "config.md").read_text()
    listed = docs.partition("Ports that `discover` looks at: ")[2].partition(". ")[0]
    assert [int(word) for word in listed.split(", ")] == sorted({*PORTS, *SERVERS})


@pytest.mark.servers
async def test_servers_that_ask_for_no_password_are_found_unless_their_exporter_is(
    tmp_path: Path, outbound: Outbound
) -> None:
    cache = shared_memcached()
    with redis(tmp_path) as open_one, redis(tmp_path, "--requirepass", "s3cret") as closed:
        servers = {open_one.port: "redis", closed.port: "redis", cache.port: "memcached", free_port(): "memcached"}
        found = await discover(outbound, [], servers)
        async with target() as exporter:
            beside = await discover(outbound, [page(exporter, b"redis_up 1\n")], servers)
        assert await discover(outbound, [], {cache.port: "redis", open_one.port: "memcached"}) == []
    redis_found = {
        "kind": "redis",
        "name": f"redis-{open_one.port}",
        "address": f"127.0.0.1:{open_one.port}",
        "labels": {"job": "redis"},
    }
    cache_found = {
        "kind": "memcached",
        "name": f"memcached-{cache.port}",
        "address": f"127.0.0.1:{cache.port}",
        "labels": {"job": "memcached"},
    }
    assert found == [redis_found, cache_found]
    assert [one["name"] for one in beside] == [f"redis-{exporter.port}", f"memcached-{cache.port}"]
    Registry("collectors", BUILTIN).build("redis", {key: value for key, value in redis_found.items() if key != "kind"})


@pytest.mark.parametrize(
    ("kind", "target", "place"),
    [
        ("redis", "localhost", "127.0.0.1:6379"),
        ("redis", "127.0.0.1:6380", "127.0.0.1:6380"),
        ("memcached", "127.0.0.1", "127.0.0.1:11211"),
        ("openmetrics", "http://localhost:9100/metrics", "http://127.0.0.1:9100/metrics"),
        ("host", "host", "host"),
    ],
)
def test_what_is_read_already_is_known_however_it_was_written(kind: str, target: str, place: str) -> None:
    assert place_of(kind, target) == place


def test_only_readable_logs_are_offered(tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    log.write_text("x\n")
    found = discover_logs([str(log), str(tmp_path / "none"), str(tmp_path)])
    assert found == [{"kind": "log_file", "name": "system", "paths": [str(log)]}]
    assert discover_logs([str(tmp_path / "none")]) == []


@pytest.mark.servers
async def test_a_real_node_exporter_is_found_and_scraped(tmp_path: Path, outbound: Outbound) -> None:
    with node_exporter(tmp_path) as server:
        (settings,) = await discover(outbound, [server.port], {})
        assert settings["job"] == "node"
        part = Openmetrics(**{key: value for key, value in settings.items() if key != "kind"})
        for _ in range(3):
            found = await part.collect(NOON, outbound)
    (tick,) = found.ticks
    assert not found.rejected
    names = {metric_name(series) for series in tick.layout.series}
    assert {"node_load1", "node_memory_MemTotal_bytes", "node_cpu_seconds_total"} <= names
    assert part.metadata["node_load1"].type == "gauge"


@pytest.mark.servers
async def test_the_host_collector_speaks_node_exporters_language(tmp_path: Path, outbound: Outbound) -> None:
    """What the built-in collector and the real node_exporter both know, they name alike, labels included."""
    with node_exporter(tmp_path) as server:
        (real,) = (await Openmetrics(name="n", url=server.url).collect(NOON, outbound)).ticks
    mine = (await BUILTIN["host"](name="n", processes=False).collect(NOON, outbound)).ticks[0]

    def shape(series: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        return metric_name(series), *(key for key, _ in series if key not in ("job", "instance", "__name__"))

    theirs = {shape(series) for series in real.layout.series}
    unknown = {shape(series) for series in mine.layout.series} - theirs
    # Debian's 1.5 has no such files to read in some kernels; newer node_exporters have these names.
    newer = ("node_entropy_pool_size_bits", "node_nf_conntrack", "node_netstat_TcpExt_")
    kernel = ("node_memory_", "node_disk_", "node_pressure_")
    accepted = (*newer, *kernel)
    assert {names for names in unknown if not names[0].startswith(accepted)} == set()


@pytest.mark.servers
async def test_a_real_prometheus_answers_queries(tmp_path: Path, outbound: Outbound) -> None:
    job = "{job_name: self, static_configs: [{targets: ['127.0.0.1:{port}']}]}"
    queries = {"two": "1 + 1", "made": 'label_replace(vector(3), "a", "b", "", "")'}
    with prometheus(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{job}]\n", tmp_path) as server:
        part = PrometheusApi(name="p", url=server.url, queries=queries)
        (tick,) = (await part.collect(datetime.now(UTC), outbound)).ticks
        values = zip(tick.layout.series, tick.values.tolist(), strict=True)
        found = {metric_name(series): value for series, value in values}
        assert (found["two"], found["made"]) == (2.0, 3.0)
        bad = PrometheusApi(name="p", url=server.url, queries={"bad": "sum("})
        with pytest.raises(Exception, match="parse error"):
            await bad.collect(NOON, outbound)
