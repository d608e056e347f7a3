"""The mysql collector against a real MariaDB: its figures are those of the server's own console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
from support.kinds import of_service, unseen, values
from support.raw_target import misbehaving
from support.servers import Running, mariadb_console, mariadb_server, shared_mariadb
from support.targets import TRUST

from collectors.mysql import Mysql
from collectors.mysql_status import _old_name, _status_name
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Metric, its label, and the variable of SHOW GLOBAL STATUS that must say the same at the same second.
MAIN = {
    ("mysql_global_status_slow_queries", ""): "Slow_queries",
    ("mysql_global_status_max_used_connections", ""): "Max_used_connections",
    ("mysql_global_status_aborted_clients", ""): "Aborted_clients",
    ("mysql_global_status_innodb_row_lock_waits", ""): "Innodb_row_lock_waits",
    ("mysql_global_status_handlers_total", "delete"): "Handler_delete",
    ("mysql_global_status_innodb_buffer_pool_reads", ""): "Innodb_buffer_pool_reads",
    ("mysql_global_status_buffer_pool_pages", "free"): "Innodb_buffer_pool_pages_free",
    ("mysql_global_status_commands_total", "insert"): "Com_insert",
    ("mysql_global_status_commands_total", "delete"): "Com_delete",
    ("mysql_global_status_innodb_deadlocks", ""): "Innodb_deadlocks",
    ("mysql_global_status_table_locks_waited", ""): "Table_locks_waited",
}
#: These move by the very reading: the console connects and asks a few statements later.
MOVING = {
    "mysql_global_status_questions": ("Questions", 20.0),
    "mysql_global_status_queries": ("Queries", 20.0),
    "mysql_global_status_connections": ("Connections", 3.0),
    "mysql_global_status_threads_connected": ("Threads_connected", 1.0),
    "mysql_global_status_bytes_sent": ("Bytes_sent", 200_000.0),
    "mysql_global_status_uptime": ("Uptime", 2.0),
}
#: What docs/databases.md tells people to grant.
GRANTS = """
CREATE OR REPLACE USER watch@'127.0.0.1' IDENTIFIED BY 's3cret-word' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, SLAVE MONITOR ON *.* TO watch@'127.0.0.1';
GRANT SELECT ON performance_schema.* TO watch@'127.0.0.1'
"""


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def server() -> Running:
    made = shared_mariadb()
    mariadb_console(made.port, "create table if not exists shop.t (n int primary key, v int) engine=innodb")
    mariadb_console(made.port, "delete from shop.t; insert into shop.t values (1, 1), (2, 2), (3, 3)")
    return made


def part(server: Running | str, **options: Any) -> Mysql:
    address = server if isinstance(server, str) else f"127.0.0.1:{server.port}"
    return Mysql(name="shop", address=address, **{"username": "root", **options})


async def test_the_main_figures_equal_those_of_the_console_at_the_same_second(
    server: Running, outbound: Outbound
) -> None:
    found = await part(server).collect(NOON, outbound)
    said = {row[0]: row[1] for row in mariadb_console(server.port, "show global status")}
    got = {key: value for own in ("", "handler", "state", "command") for key, value in values(found.ticks, own).items()}
    for (name, own), variable in MAIN.items():
        assert got[name, own] == float(said[variable]), name
    for name, (variable, apart) in MOVING.items():
        assert abs(got[name, ""] - float(said[variable])) <= apart, name
    assert got["mysql_global_variables_max_connections", ""] == 77
    assert found.rejected == {}
    assert unseen("mysql", found.ticks) == set()
    assert unseen("mariadb", found.ticks) == set()


async def test_the_documented_grants_are_enough_and_statements_show_no_values(
    server: Running, outbound: Outbound
) -> None:
    mariadb_console(server.port, GRANTS)
    mariadb_console(server.port, "select * from shop.t where v = 424242")
    watch = part(server, username="watch", password="s3cret-word", statements=200)
    found = await watch.collect(NOON, outbound)
    assert watch.problems == {}
    texts = {text for _, text in values(found.ticks, "digest_text")}
    assert any("`shop` . `t` WHERE `v` = ?" in text for text in texts)
    assert not any("424242" in text for text in texts)
    await watch.close()


async def test_a_user_with_few_rights_loses_only_what_is_refused(server: Running, outbound: Outbound) -> None:
    mariadb_console(server.port, "CREATE OR REPLACE USER poor@'127.0.0.1'")
    poor = part(server, username="poor")
    found = await poor.collect(NOON, outbound)
    success = {key[1]: value for key, value in values(found.ticks, "query").items() if key[0].endswith("query_success")}
    assert success == {"status": 1, "variables": 1, "replica": 0, "transactions": 0, "statements": 0}
    assert "SLAVE MONITOR" in poor.problems["replica"]
    assert values(found.ticks)[("mysql_up",)] == 1.0


async def test_an_open_transaction_is_counted_and_nothing_is_written(server: Running, outbound: Outbound) -> None:
    before = mariadb_console(server.port, "select * from shop.t")
    holder = pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="shop")
    with holder, holder.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("update t set v = 9 where n = 1")
        deadline = time.monotonic() + 10  # InnoDB answers from a cache while others read it
        while not (got := values((await part(server).collect(NOON, outbound)).ticks))[("mysql_innodb_transactions",)]:
            assert time.monotonic() < deadline, got
            await asyncio.sleep(0.3)
        assert got[("mysql_innodb_transactions",)] >= 1.0
        assert got[("mysql_innodb_oldest_transaction_seconds",)] >= 0.0
        holder.rollback()
    assert mariadb_console(server.port, "select * from shop.t") == before


async def test_a_replica_that_cannot_reach_its_primary_is_told_by_its_connection(
    server: Running, outbound: Outbound
) -> None:
    link = "change master 'east' to master_host='127.0.0.1', master_port=1, master_user='x', master_password='y'"
    mariadb_console(server.port, f"{link}; start slave 'east'")
    try:
        found = await part(server).collect(NOON, outbound)
    finally:
        mariadb_console(server.port, "stop slave 'east'; reset slave 'east' all")
    got = values(found.ticks, "master_host", "connection_name")
    assert got["mysql_slave_status_slave_io_running", "127.0.0.1", "east"] == 0.0
    assert got["mysql_slave_status_slave_sql_running", "127.0.0.1", "east"] == 1.0
    assert ("mysql_slave_status_seconds_behind_master", "127.0.0.1", "east") not in got  # NULL: unknown is not 0


async def test_a_replica_tells_its_link_and_its_lag_until_it_has_caught_up(
    server: Running, tmp_path: Path, outbound: Outbound
) -> None:
    link = f"change master to master_host='127.0.0.1', master_port={server.port}, master_user='root'"
    with mariadb_server(tmp_path, "--server-id=2") as replica:
        mariadb_console(replica.port, f"{link}, master_use_gtid=no; start slave")
        deadline = time.monotonic() + 20
        while True:
            got = values((await part(replica).collect(NOON, outbound)).ticks)
            if got.get(("mysql_slave_status_seconds_behind_master",)) == 0.0:
                break
            assert time.monotonic() < deadline, mariadb_console(replica.port, "show slave status")
        assert got[("mysql_slave_status_slave_sql_running",)] == 1.0
        assert got[("mysql_slave_status_slave_io_running",)] == 1.0
        assert got[("mysql_slave_status_master_port",)] == server.port


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
async def test_a_service_of_the_kind_is_read_with_its_options(kind: str, server: Running, tmp_path: Path) -> None:
    ticks = await of_service(tmp_path, kind, f"127.0.0.1:{server.port}", username="root", statements="5")
    assert unseen(kind, ticks) == set()
    assert ("mysql_up", "mysql", f"127.0.0.1:{server.port}") in values(ticks, "job", "instance")


async def test_a_wrong_password_is_said_without_repeating_it(
    server: Running, outbound: Outbound, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter-two\n")
    for options in ({"password": "hunter-two"}, {"password": "密码 hunter"}, {"password_file": str(secret)}):
        with pytest.raises(CollectError, match="Access denied") as failure:
            await part(server, **options).collect(NOON, outbound)
        assert failure.value.reason == "token"
        assert "hunter" not in str(failure.value)
    secret.write_text("")
    with pytest.raises(CollectError, match="holds nothing"):
        await part(server, password_file=str(secret)).collect(NOON, outbound)
    assert "hunter" not in repr(part(server, password="hunter-two"))


async def test_a_server_without_tls_gets_no_password_when_tls_is_asked_for(server: Running, outbound: Outbound) -> None:
    with pytest.raises(CollectError, match="SSL is required") as failure:
        await part(server, tls=True).collect(NOON, outbound)
    assert failure.value.reason == "tls"


@pytest.mark.parametrize(("way", "most", "reason"), [("flood", 1 << 20, "too_large"), ("drip", 32 << 20, "timeout")])
async def test_a_packet_that_never_ends_is_left_in_time(way: str, most: int, reason: str, outbound: Outbound) -> None:
    async with misbehaving(way, b"\xff\xff\xff\x00") as raw:  # says that 16 MB follow, and then more
        with pytest.raises(CollectError) as failure:
            await part(raw.address, timeout=0.6, max_bytes=most).collect(NOON, outbound)
        assert failure.value.reason == reason
        assert raw.sent < 20 << 20


async def test_a_greeting_that_ends_before_its_salt_is_a_reason(outbound: Outbound) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b"\x0a8.0\0" + bytes(4) + b"saltsalt\0" + b"\xff\xff"  # and no further
        writer.write(len(said).to_bytes(3, "little") + b"\0" + said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        one = part(f"127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        with pytest.raises(CollectError, match="the greeting ends early"):
            await one.collect(NOON, outbound)
        await one.close()


async def test_a_port_where_nothing_listens_is_no_connection(outbound: Outbound) -> None:
    with pytest.raises(CollectError, match="no session") as failure:
        await part("127.0.0.1:1").collect(NOON, outbound)
    assert failure.value.reason == "connect"


def test_names_of_variables_and_columns_are_those_of_the_exporter() -> None:
    assert _status_name("innodb_buffer_pool_pages_dirty") == ("mysql_global_status_buffer_pool_dirty_pages", ())
    assert _status_name("innodb_buffer_pool_pages_flushed") == (
        "mysql_global_status_buffer_pool_page_changes_total",
        (("operation", "flushed"),),
    )
    assert _old_name("Seconds_Behind_Source") == "seconds_behind_master"
    assert _old_name("Replica_SQL_Running") == "slave_sql_running"
