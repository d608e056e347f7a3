"""The redis collector against real servers: its figures are those of the server's own console."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.certificates import self_made
from support.kinds import unseen, values
from support.raw_target import misbehaving
from support.servers import Running, free_port, redis, redis_cli, redis_cluster, redis_sentinel
from support.targets import TRUST
from typer.testing import CliRunner

from collectors.redis import Redis
from watchkeeper.app.services_cli import collectors_app
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Metric, and the field of INFO that must say the same at the same second.
MAIN = {
    "redis_connected_clients": "connected_clients",
    "redis_memory_max_bytes": "maxmemory",
    "redis_keyspace_hits_total": "keyspace_hits",
    "redis_keyspace_misses_total": "keyspace_misses",
    "redis_evicted_keys_total": "evicted_keys",
    "redis_expired_keys_total": "expired_keys",
    "redis_rejected_connections_total": "rejected_connections",
    "redis_connected_slaves": "connected_slaves",
    "redis_blocked_clients": "blocked_clients",
    "redis_rdb_changes_since_last_save": "rdb_changes_since_last_save",
    "redis_master_repl_offset": "master_repl_offset",
    "redis_aof_enabled": "aof_enabled",
}
#: These move by the very reading: INFO from the console is one connection and a few commands later.
MOVING = {
    "redis_commands_processed_total": ("total_commands_processed", 10.0),
    "redis_connections_received_total": ("total_connections_received", 3.0),
    "redis_memory_used_bytes": ("used_memory", 300_000.0),
    "redis_memory_used_rss_bytes": ("used_memory_rss", 3_000_000.0),
    "redis_uptime_in_seconds": ("uptime_in_seconds", 2.0),
}


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("redis")
    with redis(folder, "--maxmemory", "64mb", "--slowlog-log-slower-than", "0", "--maxclients", "321") as made:
        for number in range(30):
            redis_cli(made.port, "set", f"k{number}", "v") if number < 3 else None
        redis_cli(made.port, "mset", *(f"m{number // 2}" for number in range(200)))
        redis_cli(made.port, "get", "k1")
        redis_cli(made.port, "get", "nothing")
        redis_cli(made.port, "setex", "soon", "1000", "v")
        yield made


def part(address: object, **options: Any) -> Redis:
    port = address.port if isinstance(address, Running) else 0
    return Redis(name="cache", address=f"127.0.0.1:{port}" if port else str(address), **options)


def console(server: Running) -> dict[str, str]:
    said = redis_cli(server.port, "info", "all")
    return dict(line.split(":", 1) for line in said.splitlines() if ":" in line)


async def test_the_main_figures_equal_those_of_the_console_at_the_same_second(
    server: Running, outbound: Outbound
) -> None:
    found = await part(server).collect(NOON, outbound)
    said, got = console(server), values(found.ticks)
    assert {name: got[(name,)] for name in MAIN} == {name: float(said[field]) for name, field in MAIN.items()}
    for name, (field, apart) in MOVING.items():
        assert abs(got[(name,)] - float(said[field])) <= apart, name
    assert found.rejected == {}
    assert found.body_bytes > 2000
    assert unseen("redis", found.ticks) == set()


async def test_settings_databases_commands_and_the_slow_log_are_told(server: Running, outbound: Outbound) -> None:
    found = await part(server).collect(NOON, outbound)
    got = values(found.ticks)
    assert got[("redis_up",)] == 1.0
    assert got[("redis_config_maxclients",)] == 321.0
    assert got[("redis_config_maxmemory",)] == 64 << 20
    assert got[("redis_slowlog_length",)] > 0
    assert got[("redis_slowlog_last_id",)] > 0
    assert values(found.ticks, "db")["redis_db_keys", "db0"] == float(redis_cli(server.port, "dbsize"))
    assert values(found.ticks, "db")["redis_db_keys_expiring", "db0"] == 1.0
    assert values(found.ticks, "cmd")["redis_commands_total", "mset"] == 1.0
    said = values(found.ticks, "role", "redis_version", "maxmemory_policy")
    assert said["redis_instance_info", "master", console(server)["redis_version"], "noeviction"] == 1.0


async def test_a_user_with_few_rights_loses_only_what_is_refused(server: Running, outbound: Outbound) -> None:
    redis_cli(server.port, "acl", "setuser", "watch", "on", ">s3cret-word", "+info", "+slowlog|len")
    watch = part(server, username="watch", password="s3cret-word")
    found = await watch.collect(NOON, outbound)
    assert list(watch.problems) == ["settings"]
    assert "no permissions to run the 'config|get' command" in watch.problems["settings"]
    success = values(found.ticks, "query")
    assert (success["watchkeeper_query_success", "settings"], success["watchkeeper_query_success", "slowlog"]) == (0, 1)
    got = values(found.ticks)
    assert got[("redis_config_maxmemory",)] == 64 << 20  # INFO says it too
    assert ("redis_slowlog_last_id",) not in got


async def test_a_wrong_password_is_said_without_repeating_it(
    server: Running, outbound: Outbound, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter-two\n")
    for options in ({"password": "hunter-two"}, {"username": "nobody", "password_file": str(secret)}):
        with pytest.raises(CollectError, match="AUTH was refused") as failure:
            await part(server, **options).collect(NOON, outbound)
        assert failure.value.reason == "token"
        assert "hunter" not in str(failure.value)
    with pytest.raises(CollectError, match=r"password_file .* cannot be read: No such file"):
        await part(server, password_file=str(tmp_path / "none")).collect(NOON, outbound)
    assert "hunter" not in repr(part(server, password="hunter-two"))


async def test_replica_and_sentinel_tell_the_link_and_who_is_well(tmp_path: Path, outbound: Outbound) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        redis(tmp_path / "a", "--repl-diskless-sync-delay", "0") as primary,
        redis(tmp_path / "b", "--replicaof", f"127.0.0.1 {primary.port}") as replica,
    ):
        await until(replica, outbound, ("redis_master_link_up", "127.0.0.1"), 1.0, "master_host")
        await until(primary, outbound, ("redis_connected_slave_lag_seconds", "online"), None, "slave_state")
        with redis_sentinel(tmp_path, primary) as sentinel:  # it looks for replicas at once, and then every 10 s
            await _sentinel_sees(primary, replica, sentinel, outbound)


async def _sentinel_sees(primary: Running, replica: Running, sentinel: Running, outbound: Outbound) -> None:
    await until(sentinel, outbound, ("redis_sentinel_master_ok_slaves", "shop"), 1.0, "master_name")
    found = await part(sentinel).collect(NOON, outbound)
    got = values(found.ticks, "master_name", "master_address")
    for name in ("ckquorum_status", "status", "slaves", "sentinels", "ok_sentinels"):
        assert got[f"redis_sentinel_master_{name}", "shop", f"127.0.0.1:{primary.port}"] == 1.0, name
    assert got["redis_sentinel_masters", "", ""] == 1.0
    assert unseen("redis_sentinel", found.ticks) == set()
    primary.kill()
    await until(replica, outbound, ("redis_master_link_up", "127.0.0.1"), 0.0, "master_host")
    await until(sentinel, outbound, ("redis_sentinel_master_status", "shop"), 0.0, "master_name")


async def test_six_nodes_of_a_cluster_tell_slots_and_state(tmp_path: Path, outbound: Outbound) -> None:
    with redis_cluster(tmp_path) as nodes:
        for node in nodes:
            await until(node, outbound, ("redis_cluster_state",), 1.0)
            await until(node, outbound, ("redis_cluster_known_nodes",), 6.0)  # by gossip: up to seconds after "ok"
        found = [await part(node).collect(NOON, outbound) for node in nodes]
        readings = [values(one.ticks) for one in found]
        assert unseen("redis_cluster", found[0].ticks) == set()
        said = redis_cli(nodes[0].port, "cluster", "info")
        for got in readings:
            for name in ("slots_assigned", "slots_ok", "slots_fail", "known_nodes", "size"):
                assert f"cluster_{name}:{got[(f'redis_cluster_{name}',)]:.0f}" in said.split(), name
        assert readings[0][("redis_cluster_known_nodes",)] == 6
        assert readings[0][("redis_cluster_slots_ok",)] == 16384


async def until(node: Running, outbound: Outbound, key: tuple[str, ...], wanted: float | None, *own: str) -> None:
    """Reads again and again until the series says so; None: until it is there."""
    deadline = time.monotonic() + 20
    while True:
        got = values((await part(node).collect(NOON, outbound)).ticks, *own)
        if key in got and wanted in (got[key], None):
            return
        assert time.monotonic() < deadline, f"{key} is {got.get(key)}; the server said {node.said()[-500:]}"


def test_try_says_what_was_not_answered(server: Running, tmp_path: Path) -> None:
    redis_cli(server.port, "acl", "setuser", "poor", "on", ">s3cret-word", "+info")
    options = "{username: poor, password: s3cret-word}"
    service = f"{{name: cache, kind: redis, addresses: ['127.0.0.1:{server.port}'], options: {options}}}"
    (tmp_path / "watchkeeper.yaml").write_text(f"catalogue: {{services: [{service}]}}")
    said = CliRunner().invoke(collectors_app, ["try", "cache", "--config", str(tmp_path / "watchkeeper.yaml")])
    assert said.exit_code == 0, said.output
    assert "not answered: settings: NOPERM" in said.output
    assert "s3cret-word" not in said.output


def test_try_says_why_nothing_came_and_what_to_look_at(tmp_path: Path) -> None:
    source = f"{{kind: redis, name: cache, address: '127.0.0.1:{free_port()}'}}"
    (tmp_path / "watchkeeper.yaml").write_text(f"collect: {{sources: [{source}]}}")
    said = CliRunner().invoke(collectors_app, ["try", "cache", "--config", str(tmp_path / "watchkeeper.yaml")])
    assert said.exit_code == 1
    assert "FAILED (connect): no connection" in said.output
    assert "remedy: does it run and listen there" in said.output


async def test_200_answers_with_bytes_changed_never_crash_the_collector(server: Running, outbound: Outbound) -> None:
    said = redis_cli(server.port, "info", "all").encode()
    whole = b"$%d\r\n%s\r\n" % (len(said), said) + b"*2\r\n$10\r\nmaxclients\r\n$3\r\n321\r\n:4\r\n"
    random = Random(7)
    outcomes: set[int | str] = set()
    for _ in range(200):
        wrong = bytearray(whole)
        for _ in range(random.randint(1, 6)):
            wrong[random.choice((random.randrange(8), random.randrange(len(wrong))))] = random.randrange(256)
        async with misbehaving(
            "silent", bytes(wrong[: random.choice((len(wrong), random.randrange(len(wrong))))])
        ) as raw:
            try:
                outcomes.add(len((await part(raw.address).collect(NOON, outbound)).ticks))
            except CollectError as failure:
                outcomes.add(failure.reason)
    assert outcomes <= {"protocol", "parse", "too_large", "token"}  # the connection always ends before the last answer


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"$104857600\r\n", "too_large"),
        (b"*1000000000\r\n", "too_large"),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+x\r\n", "protocol"),
        (b"$10\r\nhalf", "protocol"),
        (b"$x\r\n", "protocol"),
        (b":5\r\n", "parse"),
        (b"$0\r\n\r\n", "parse"),
        (b"-NOAUTH Authentication required.\r\n", "token"),
    ],
)
async def test_a_wrong_answer_has_its_own_reason(first: bytes, reason: str, outbound: Outbound) -> None:
    async with misbehaving("silent", first) as raw:
        with pytest.raises(CollectError) as failure:
            await part(raw.address, max_bytes=1 << 20).collect(NOON, outbound)
        assert failure.value.reason == reason


async def test_tls_is_spoken_and_a_certificate_that_nobody_signed_is_refused(
    tmp_path: Path, outbound: Outbound
) -> None:
    cert, key = self_made(tmp_path, "localhost")
    plain, port = free_port(), free_port()
    shown = ("--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key))
    with redis(tmp_path, *shown, "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no"):
        address = f"localhost:{port}"
        found = await part(address, tls=True, ca_file=str(cert)).collect(NOON, outbound)
        assert values(found.ticks)[("redis_up",)] == 1.0
        for options in ({"tls": True}, {"tls": True, "ca_file": "/none"}):
            with pytest.raises(CollectError) as failure:
                await part(address, **options).collect(NOON, outbound)
            assert failure.value.reason == "tls"
        with pytest.raises(CollectError, match="no connection"):
            await part(f"localhost:{plain}").collect(NOON, outbound)


@pytest.mark.parametrize("address", ["", "host:port", "a:0", "a:70000", "http://a/b", ":6379"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        part(address)
