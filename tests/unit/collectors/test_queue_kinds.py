"""Brokers, proxies and etcd as kinds of the catalogue, against the real servers' own consoles."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.queue_servers import etcd, nats, nginx, rabbitmq
from support.servers import haproxy, listens
from support.targets import TRUST

from collectors import BUILTIN
from collectors.exposition import Exposition
from watchkeeper.app.catalogue import read
from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.app.sources import build_source
from watchkeeper.model import Labels, label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAGES = Path(__file__).parents[2] / "data/pages"
Found = dict[Labels, float]


async def collected(folder: Path, kind: str, address: str, **options: str) -> Found:
    """All samples that a service of this kind brings, from every one of its sources."""
    service = {"name": "it", "kind": kind, "addresses": [address], "options": options}
    (folder / "watchkeeper.yaml").write_text(json.dumps({"catalogue": {"services": [service]}}))
    loaded, outbound = read(folder / "watchkeeper.yaml"), Outbound(allow_private=True, verify=TRUST)
    found: Found = {}
    for row in loaded.config.collect.sources:
        source = build_source(row, loaded.config, Registry("collectors", BUILTIN))
        answer = await source.collector.collect(NOON, outbound)
        assert not set(answer.rejected) - {"metric_relabel"}
        for tick in answer.ticks:
            found |= dict(zip(tick.layout.series, tick.values.tolist(), strict=True))
    await outbound.aclose()
    return found


def value(found: Found, name: str, **labels: str) -> float:
    (one,) = [
        number
        for series, number in found.items()
        if metric_name(series) == name and all(label(series, key) == word for key, word in labels.items())
    ]
    return one


def missing(kind: str, found: Found) -> set[str]:
    """Metrics the kind promises and of which no sample came."""
    names = {metric_name(series) for series in found}
    return {one.name for one in shipped()[kind].metrics if not {one.name, f"{one.name}_bucket"} & names}


@pytest.mark.parametrize("kind", ["apisix", "envoy", "kafka", "kong", "traefik", "zookeeper"])
def test_each_metric_of_a_server_that_cannot_run_here_stands_on_its_recorded_page(kind: str) -> None:
    page = Exposition({}, sample_limit=10_000).read((PAGES / f"{kind}.txt").read_bytes(), openmetrics=False)
    assert not page.rejected
    assert missing(kind, dict(zip(page.layout.series, page.values.tolist(), strict=True))) == set()


@pytest.mark.servers
async def test_rabbitmq_says_what_its_management_api_says(tmp_path: Path) -> None:
    with rabbitmq(tmp_path) as server:
        auth = {"authorization": f"Basic {b64encode(b'guest:guest').decode()}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=auth, timeout=10) as api:
            for queue, messages in (("orders", 3), ("mails", 1)):
                (await api.put(f"/api/queues/%2f/{queue}", json={"durable": True})).raise_for_status()
                for _ in range(messages):
                    body = {"properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"}
                    (await api.post("/api/exchanges/%2f/amq.default/publish", json=body)).raise_for_status()
            async with asyncio.timeout(30):  # the plugin reads statistics that the broker gathers every 5 s
                while True:
                    found = await collected(tmp_path, "rabbitmq", f"127.0.0.1:{server.port}")
                    overview = (await api.get("/api/overview")).json()
                    if value(found, "rabbitmq_queue_messages_ready") == 4 == overview["queue_totals"].get("messages"):
                        break
                    await asyncio.sleep(0.3)
            (node,) = (await api.get("/api/nodes")).json()
            queues = (await api.get("/api/queues")).json()
    assert missing("rabbitmq", found) == set()
    assert {one["name"]: one["messages_ready"] for one in queues} == {"orders": 3, "mails": 1}
    for one in queues:
        place = {"queue": one["name"], "vhost": "/"}
        assert value(found, "rabbitmq_detailed_queue_messages_ready", **place) == one["messages_ready"]
        assert value(found, "rabbitmq_detailed_queue_consumers", **place) == one["consumers"]
    totals = overview["object_totals"]
    assert value(found, "rabbitmq_queues") == totals["queues"] == 2
    assert value(found, "rabbitmq_connections") == totals["connections"]
    assert value(found, "rabbitmq_channels") == totals["channels"]
    assert value(found, "rabbitmq_consumers") == totals["consumers"]
    assert value(found, "rabbitmq_resident_memory_limit_bytes") == node["mem_limit"]
    assert value(found, "rabbitmq_disk_space_available_limit_bytes") == node["disk_free_limit"]
    assert value(found, "rabbitmq_process_max_fds") == node["fd_total"]
    assert value(found, "rabbitmq_alarms_memory_used_watermark") == node["mem_alarm"]


@pytest.mark.servers
async def test_nats_says_what_its_console_says_and_how_far_a_consumer_lags(tmp_path: Path) -> None:
    import nats as client

    server, port = await asyncio.to_thread(nats, tmp_path)
    with server:
        connection = await client.connect(f"nats://127.0.0.1:{port}")
        stream = connection.jetstream()
        await stream.add_stream(name="ORDERS", subjects=["orders.*"])
        for number in range(10):
            await stream.publish("orders.new", str(number).encode())
        reader = await stream.pull_subscribe("orders.*", durable="billing")
        for message in await reader.fetch(4):
            await message.ack_sync()
        await reader.fetch(2)
        found = await collected(tmp_path, "nats", f"127.0.0.1:{server.port}")
        async with httpx2.AsyncClient(base_url=server.url) as console:
            varz = (await console.get("/varz")).json()
        info = await stream.consumer_info("ORDERS", "billing")
        await connection.close()
    assert missing("nats", found) == set()
    for name in ("connections", "total_connections", "max_connections", "subscriptions", "slow_consumers", "cores"):
        assert value(found, f"gnatsd_varz_{name}") == varz[name], name
    started = datetime.fromisoformat(varz["start"]).timestamp()
    assert value(found, "gnatsd_varz_start") == pytest.approx(started, abs=1e-3)
    place = {"stream_name": "ORDERS", "consumer_name": "billing", "account": "$G"}
    assert value(found, "jetstream_stream_total_messages", stream_name="ORDERS") == 10
    assert value(found, "jetstream_consumer_num_pending", **place) == info.num_pending == 4
    assert value(found, "jetstream_consumer_num_ack_pending", **place) == info.num_ack_pending == 2
    assert info.delivered is not None
    assert value(found, "jetstream_consumer_delivered_stream_seq", **place) == info.delivered.stream_seq == 6


@pytest.mark.servers
async def test_nginx_says_what_its_page_says(tmp_path: Path) -> None:
    with nginx(tmp_path) as server:
        async with httpx2.AsyncClient(base_url=server.url) as browser:
            for _ in range(5):
                assert (await browser.get("/")).status_code == 204
        found = await collected(tmp_path, "nginx", f"127.0.0.1:{server.port}")
        async with httpx2.AsyncClient(base_url=server.url) as browser:
            page = (await browser.get("/stub_status")).text.split()
    assert missing("nginx", found) == set()
    accepted, handled, requests = (float(word) for word in page[7:10])  # all seven figures that it has
    assert value(found, "nginx_http_requests_total") == requests - 1 == 6
    assert value(found, "nginx_connections_accepted") == accepted - 1
    assert value(found, "nginx_connections_handled") == handled - 1
    for name, said in (("active", page[2]), ("reading", page[11]), ("writing", page[13]), ("waiting", page[15])):
        assert value(found, f"nginx_connections_{name}") == float(said), name  # each saw itself alone


@contextmanager
def balanced(folder: Path) -> Iterator[Any]:
    """HAProxy in front of nginx, with a second server that is not there."""
    with nginx(folder) as shop:
        text = (
            f"""
global
    stats socket {{socket}} mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 2s
    timeout server 2s
frontend in
    bind 127.0.0.1:{{port}}
    http-request use-service prometheus-exporter if {{{{ path /metrics }}}}
    default_backend shop
backend shop
    default-server inter 100ms fall 1 rise 1
    server web1 127.0.0.1:{shop.port} check weight 7
    server web2 127.0.0.1:1 check weight 3
""".replace("{{{{", "{")
            .replace("}}}}", "}")
            .replace("{{", "{")
            .replace("}}", "}")
        )
        with haproxy(text, folder) as proxy:
            yield proxy


async def console(socket: str) -> dict[str, dict[str, str]]:
    """``show stat`` of the Runtime API: proxy/server -> its figures."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(b"show stat\n")
    lines = (await reader.read()).decode().removeprefix("# ").strip().splitlines()
    writer.close()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
    return {f"{row['pxname']}/{row['svname']}": row for row in rows}


@pytest.mark.servers
async def test_haproxy_says_what_its_runtime_api_says(tmp_path: Path) -> None:
    with balanced(tmp_path) as proxy:
        async with httpx2.AsyncClient(base_url=proxy.url) as browser, asyncio.timeout(10):
            while (await console(str(tmp_path / "haproxy/api.sock")))["shop/web2"]["status"] != "DOWN":
                await asyncio.sleep(0.05)
            for _ in range(8):
                assert (await browser.get("/")).status_code == 204
        found = await collected(tmp_path, "haproxy", f"127.0.0.1:{proxy.port}")
        rows = await console(str(tmp_path / "haproxy/api.sock"))
        assert listens(proxy.port)
    assert missing("haproxy", found) == set()
    place = {"proxy": "shop"}
    assert value(found, "haproxy_backend_http_responses_total", **place, code="2xx") == 8
    assert rows["shop/BACKEND"]["hrsp_2xx"] == "8"
    columns = {
        "active_servers": "act", "bytes_in_total": "bin", "bytes_out_total": "bout", "current_queue": "qcur",
        "max_queue": "qmax", "current_sessions": "scur", "max_sessions": "smax", "sessions_total": "stot",
        "http_requests_total": "req_tot", "connection_errors_total": "econ", "response_errors_total": "eresp",
        "retry_warnings_total": "wretr", "limit_sessions": "slim", "weight": "weight",
    }  # fmt: skip
    console_says = {name: float(rows["shop/BACKEND"][key]) for name, key in columns.items()}
    assert {name: value(found, f"haproxy_backend_{name}", **place) for name in columns} == console_says
    assert value(found, "haproxy_server_status", server="web2", state="DOWN") == 1
    assert value(found, "haproxy_server_status", server="web1", state="UP") == 1
    assert value(found, "haproxy_server_weight", server="web1") == float(rows["shop/web1"]["weight"]) == 7


@pytest.mark.servers
async def test_etcd_says_what_its_api_says(tmp_path: Path) -> None:
    server = await asyncio.to_thread(etcd, tmp_path)
    with server:
        async with httpx2.AsyncClient(base_url=server.url) as api:
            for number in range(5):
                body = {"key": b64encode(b"k%d" % number).decode(), "value": "dg=="}
                (await api.post("/v3/kv/put", json=body)).raise_for_status()
            async with asyncio.timeout(10):  # its page follows when what was put is committed
                while True:
                    found = await collected(tmp_path, "etcd", f"127.0.0.1:{server.port}")
                    status = (await api.post("/v3/maintenance/status", json={})).json()
                    if value(found, "etcd_mvcc_db_total_size_in_use_in_bytes") == float(status["dbSizeInUse"]):
                        break
            every = b64encode(b"\0").decode()
            keys = (await api.post("/v3/kv/range", json={"key": every, "range_end": every, "count_only": True})).json()
    assert missing("etcd", found) == set()
    assert value(found, "etcd_mvcc_put_total") == 5
    assert value(found, "etcd_mvcc_db_total_size_in_bytes") == float(status["dbSize"])
    assert value(found, "etcd_server_proposals_applied_total") >= float(status["raftAppliedIndex"]) >= 5
    assert value(found, "etcd_server_is_leader") == (status["leader"] == status["header"]["member_id"]) == 1
    assert value(found, "etcd_server_has_leader") == 1
    assert value(found, "etcd_server_version", server_version=status["version"]) == 1
    assert value(found, "etcd_server_id", server_id=f"{int(status['header']['member_id']):x}") == 1
    assert value(found, "etcd_debugging_mvcc_keys_total") == float(keys["count"]) == 5
    assert value(found, "etcd_server_proposals_committed_total") == float(status["raftIndex"])
    assert value(found, "etcd_server_proposals_pending") == 0
    assert value(found, "etcd_server_leader_changes_seen_total") == float(status["raftTerm"]) - 1 == 1
