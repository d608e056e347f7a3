"""What every collector promises, tried on every kind: an error with a reason or a ledger that balances, in time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import cloud_doubles, cluster
from support.journal import journalctl
from support.servers import shared_mariadb, shared_memcached, shared_postgres, shared_redis
from support.snmp_agents import shared_snmpd
from support.targets import TRUST, Target, answer, target

from collectors import BUILTIN
from watchkeeper.errors import CollectError, ConfigError
from watchkeeper.model import is_stale, label
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected
from watchkeeper.registry import Registry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REGISTRY = Registry("collectors", BUILTIN)
#: Seconds a collector under test may take; the promise is one second more.
TIMEOUT = 0.5
#: Words that may appear as a reason: each becomes a label value.
REASONS = {
    *("timeout", "connect", "protocol", "tls", "too_large", "redirect", "status", "refused_address"),
    *("parse", "token", "query", "unsupported"),
}


LOKI = b'{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[["1","x"]]}]}}'
ELASTICSEARCH = (
    b'{"timed_out":false,"_shards":{"failed":0},'
    b'"hits":{"hits":[{"_index":"logs","_id":"1","sort":[1],"_source":{"message":"x"}}]}}'
)
STUB_STATUS = b"""Active connections: 3
server accepts handled requests
 12 11 40
Reading: 0 Writing: 1 Waiting: 2
"""


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@pytest.fixture
async def server() -> AsyncIterator[Target]:
    vector = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}'
    async with target() as made:
        made.pages["/good/api/v1/query"] = answer(vector)
        made.pages["/good.json"] = answer(b'{"queues":[{"name":"a","depth":1},{"name":"b","depth":2}]}')
        made.pages["/stub_status"] = answer(STUB_STATUS)
        made.pages["/loki/api/v1/query_range"] = answer(LOKI)
        made.pages["/logs/_search"] = answer(ELASTICSEARCH)
        cluster.put(made, "/cluster")
        for kind in cloud_doubles.GOOD:
            made.pages |= cloud_doubles.pages(kind)
        yield made


Options = Callable[[Target, Path, str], dict[str, Any]]


def _database(folder: Path) -> str:
    path = folder / "shop.db"
    with sqlite3.connect(path) as db:
        db.execute("create table if not exists t (n)")
        db.execute("insert into t values (1)")
    db.close()
    return f"sqlite:///{path}"


def _log(folder: Path) -> list[str]:
    (folder / "app.log").write_text("ERROR one\n")
    return [str(folder / "*.log")]


def cloud_kind(kind: str, server: Target, _: Path, path: str) -> dict[str, Any]:
    return {**cloud_doubles.options(kind, server.url(path or f"/{kind}")), "timeout": TIMEOUT}


#: Working options of each kind; ``path`` is what HTTP kinds ask for.
GOOD: dict[str, Options] = {
    "openmetrics": lambda server, _, path: {"url": server.url(path or "/metrics"), "timeout": TIMEOUT},
    "prometheus_api": lambda server, _, path: {
        "url": server.url(path or "/good"),
        "queries": {"q": "1"},
        "timeout": TIMEOUT,
    },
    "http_probe": lambda server, _, path: {
        "steps": [{"name": "s", "url": server.url(path or "/metrics")}],
        "timeout": TIMEOUT,
    },
    "json_http": lambda server, _, path: {
        "url": server.url(path or "/good.json"),
        "metrics": [{"name": "depth", "path": "queues[*].depth", "labels": {"queue": "queues[*].name"}}],
        "timeout": TIMEOUT,
    },
    "nginx_status": lambda server, _, path: {"url": server.url(path or "/stub_status"), "timeout": TIMEOUT},
    "event_stream": lambda *_: {"address": f"127.0.0.1:{shared_redis().port}", "stream": "contract"},
    "loki_logs": lambda server, _, path: {"url": server.url(path), "query": '{a="b"}', "timeout": TIMEOUT},
    "elasticsearch_logs": lambda server, _, path: {"url": server.url(path), "index": "logs", "timeout": TIMEOUT},
    "statsd": lambda *_: {"listen": "127.0.0.1:0"},
    "host_security": lambda _, folder, __: {"paths": [str(folder)]},
    "host": lambda *_: {"processes_every": 1},
    "kubernetes": lambda server, _, path: {"api_server": server.url(path or "/cluster"), "timeout": TIMEOUT},
    "log_file": lambda _, folder, __: {"paths": _log(folder), "from_beginning": True},
    "container_logs": lambda _, folder, __: {"paths": _log(folder), "from_beginning": True},
    "journald": lambda _, folder, __: {"program": journalctl(folder)},
    "syslog": lambda *_: {"listen": "127.0.0.1:0"},
    "memcached": lambda *_: {"address": f"127.0.0.1:{shared_memcached().port}"},
    "mysql": lambda *_: {"address": f"127.0.0.1:{shared_mariadb().port}", "username": "root", "statements": 0},
    "postgresql": lambda *_: {
        "address": f"127.0.0.1:{shared_postgres().port}",
        "username": "postgres",
        "statements": 0,
    },
    "redis": lambda *_: {"address": f"127.0.0.1:{shared_redis().port}"},
    "snmp": lambda *_: {
        "address": f"127.0.0.1:{shared_snmpd().port}",
        "community": "watch",
        "modules": ["system", "storage"],
    },
    "sql_query": lambda _, folder, __: {
        "url": _database(folder),
        "queries": [{"name": "q", "sql": "select n from t", "values": ["n"]}],
    },
    "tcp_probe": lambda server, *_: {"address": f"127.0.0.1:{server.port}", "timeout": TIMEOUT},
    "tls_probe": lambda server, *_: {"address": f"127.0.0.1:{server.port}", "timeout": TIMEOUT},
    "dns_probe": lambda server, *_: {
        "server": f"127.0.0.1:{server.port}",
        "query": "shop.example",
        "transport": "tcp",
        "timeout": TIMEOUT,
    },
    "icmp_probe": lambda *_: {"host": "127.0.0.1", "timeout": TIMEOUT},
    "sql_probe": lambda _, folder, __: {"url": _database(folder), "sql": "select n from t", "expect": "1"},
    "conversation_probe": lambda server, _, path: {
        "url": server.url(path or "/chat"),
        "turns": [{"name": "t", "ask": "How are you?"}],
        "timeout": TIMEOUT,
    },
    **{kind: partial(cloud_kind, kind) for kind in cloud_doubles.GOOD},
    "page_probe": lambda server, _, path: {"url": server.url(path or "/metrics"), "timeout": 20.0},
}
HTTP = [
    *cloud_doubles.GOOD,
    "elasticsearch_logs",
    "json_http",
    "loki_logs",
    "nginx_status",
    "openmetrics",
    "prometheus_api",
]
#: A browser for each test costs seconds: test_page_probe.py tries the same promises with few loads.
CHEAP = sorted(set(BUILTIN) - {"page_probe"})
PROBES = sorted(kind for kind in BUILTIN if kind.endswith("_probe"))
BAD_PATHS = (
    *("/hang", "/drip", "/half", "/huge", "/bomb", "/cut", "/silent", "/garbage", "/html", "/words", "/empty", "/500"),
    *("/loop", "/duplicate", "/nan", "/value", "/gzip", "/gzip-broken", "/gzip-cut", "/nowhere"),
)


def build(kind: str, server: Target, folder: Path, path: str = "") -> Any:
    return REGISTRY.build(kind, {"name": "shop", "labels": {"team": "a"}, **GOOD[kind](server, folder, path)})


def balance(found: Collected) -> int:
    """Samples a collection brought; every tick must be well formed."""
    total = 0
    for tick in found.ticks:
        assert tick.values.shape == (len(tick.layout),)
        assert len(set(tick.layout.series)) == len(tick.layout), "one series twice in a tick"
        total += int(np.count_nonzero(~is_stale(tick.values)))
    assert all(count > 0 for count in found.rejected.values())
    return total


async def attempt(part: Any, outbound: Outbound) -> tuple[str, Collected | None]:
    """(reason, nothing) of a collection that failed as promised, or what it brought."""
    try:
        return "", await part.collect(NOON, outbound)
    except CollectError as error:
        return error.reason, None


def test_every_kind_is_tried_here() -> None:
    assert set(GOOD) == set(BUILTIN)


@pytest.mark.parametrize("kind", CHEAP)
async def test_a_good_source_gives_labelled_series_under_a_stable_layout(
    kind: str, server: Target, tmp_path: Path, outbound: Outbound
) -> None:
    part = build(kind, server, tmp_path)
    first = await part.collect(NOON, outbound)
    second = await part.collect(NOON + timedelta(seconds=15), outbound)
    assert balance(first) > 0
    for tick in first.ticks:
        assert tick.target.startswith(f"{kind}/shop")
        assert tick.time_ms == round(NOON.timestamp() * 1000)
        for series in tick.layout.series:
            assert series == tuple(sorted(series))
            assert all(label(series, key) for key in ("job", "instance", "__name__"))
            assert label(series, "team") == "a"
    if not kind.startswith("host") and kind not in PROBES:  # their series follow the machine and the connection
        assert [tick.layout.series for tick in first.ticks] == [tick.layout.series for tick in second.ticks]
    await part.close()


@pytest.mark.parametrize("kind", CHEAP)
async def test_after_a_failure_every_series_is_marked_stale_exactly_once(
    kind: str, server: Target, tmp_path: Path, outbound: Outbound
) -> None:
    part = build(kind, server, tmp_path)
    before = {series for tick in (await part.collect(NOON, outbound)).ticks for series in tick.layout.series}
    stale = part.stale_ticks(NOON + timedelta(seconds=15))
    assert {series for tick in stale for series in tick.layout.series} == before
    assert all(is_stale(tick.values).all() for tick in stale)
    assert part.stale_ticks(NOON + timedelta(seconds=30)) == []
    assert balance(await part.collect(NOON + timedelta(seconds=45), outbound)) > 0
    await part.close()


@pytest.mark.parametrize("kind", CHEAP)
async def test_the_single_stale_tick_marks_the_main_series_once(
    kind: str, server: Target, tmp_path: Path, outbound: Outbound
) -> None:
    part = build(kind, server, tmp_path)
    main = (await part.collect(NOON, outbound)).ticks[0]
    tick = part.stale_tick(NOON + timedelta(seconds=15))
    assert (tick.target, set(tick.layout.series)) == (main.target, set(main.layout.series))
    assert is_stale(tick.values).all()
    assert part.stale_tick(NOON + timedelta(seconds=30)) is None
    await part.close()


@pytest.mark.parametrize("kind", sorted(BUILTIN))
def test_an_unknown_option_is_refused_by_name(kind: str, server: Target, tmp_path: Path) -> None:
    options = {**GOOD[kind](server, tmp_path, ""), "tiemout": 3}
    with pytest.raises(ConfigError, match=rf"collectors\.{kind}\.tiemout: Unexpected keyword argument"):
        REGISTRY.build(kind, options)


@pytest.mark.parametrize("kind", [*HTTP, "http_probe", "conversation_probe", "kubernetes"])
@pytest.mark.parametrize("path", BAD_PATHS)
async def test_a_misbehaving_server_gives_a_reason_or_a_balanced_ledger_in_time(
    kind: str, path: str, server: Target, tmp_path: Path, outbound: Outbound
) -> None:
    part = build(kind, server, tmp_path, path)
    began = time.monotonic()
    async with asyncio.timeout(20):
        reason, found = await attempt(part, outbound)
    received = {"/duplicate": 3, "/nan": 3, "/value": 3, "/gzip": 3, "/empty": 0}
    if found is None:
        assert reason in REASONS
    elif kind == "openmetrics":
        assert balance(found) + sum(found.rejected.values()) == received[path]
    else:
        assert kind in PROBES
        balance(found)
    if path in ("/hang", "/drip"):
        assert time.monotonic() - began < TIMEOUT + 1.0


@pytest.mark.parametrize("kind", HTTP)
async def test_a_body_of_100_megabytes_is_refused_before_it_is_read(
    kind: str, server: Target, tmp_path: Path, outbound: Outbound
) -> None:
    options = {**GOOD[kind](server, tmp_path, "/huge"), "timeout": 10.0, "max_bytes": 1 << 20}
    with pytest.raises(CollectError) as failure:
        await REGISTRY.build(kind, {"name": "shop", **options}).collect(NOON, outbound)
    assert failure.value.reason == "too_large"
    assert server.sent < 20 << 20


@pytest.mark.parametrize("kind", HTTP)
async def test_a_redirect_loop_is_not_followed(kind: str, server: Target, tmp_path: Path, outbound: Outbound) -> None:
    with pytest.raises(CollectError) as failure:
        await build(kind, server, tmp_path, "/loop").collect(NOON, outbound)
    assert failure.value.reason == "redirect"
    assert len(server.requests) == 1
