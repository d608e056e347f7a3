"""The postgresql collector against real servers: its figures are those of the server's own console."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.kinds import of_service, unseen, values
from support.servers import Running, postgres_standby, psql, shared_postgres
from support.targets import TRUST

from collectors.postgresql import Postgresql
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Columns of pg_stat_database of a database that nobody uses: the console must say the same.
MAIN = (
    *("numbackends", "xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_returned", "tup_inserted"),
    *("deadlocks", "temp_files", "temp_bytes", "conflicts"),
)
#: What docs/databases.md tells people to grant.
GRANTS = """
DROP ROLE IF EXISTS watch;
CREATE ROLE watch LOGIN PASSWORD 's3cret-word' CONNECTION LIMIT 3;
GRANT pg_monitor TO watch
"""


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def server() -> Running:
    made = shared_postgres()
    psql(made.port, "create extension if not exists pg_stat_statements")
    psql(
        made.port, "create table if not exists t (n int primary key); delete from t; insert into t values (1), (2), (3)"
    )
    return made


def part(server: Running | str, **options: Any) -> Postgresql:
    address = server if isinstance(server, str) else f"127.0.0.1:{server.port}"
    return Postgresql(name="shop", address=address, **{"username": "postgres", **options})


async def test_the_main_figures_equal_those_of_the_console_at_the_same_second(
    server: Running, outbound: Outbound
) -> None:
    psql(server.port, "select pg_stat_reset()")
    found = await part(server).collect(NOON, outbound)
    (said,) = psql(server.port, f"select {', '.join(MAIN)} from pg_stat_database where datname = 'template1'")
    got = values(found.ticks, "datname")
    for name, value in zip(MAIN, said, strict=True):
        assert got[f"pg_stat_database_{name}", "template1"] == float(value), name
    (size,) = psql(server.port, "select pg_database_size('template1')")
    assert got["pg_database_size_bytes", "template1"] == float(size[0])
    assert got["pg_stat_database_numbackends", "postgres"] == 1.0  # the reading itself
    one = values(found.ticks)
    asked = "select current_setting('max_connections'), pg_size_bytes(current_setting('shared_buffers'))"
    ((connections, buffers),) = psql(server.port, asked)
    assert one[("pg_settings_max_connections",)] == float(connections) == 42
    assert one[("pg_settings_shared_buffers_bytes",)] == float(buffers)
    assert one[("pg_settings_statement_timeout_seconds",)] == 10.0  # of the reading's own session
    assert found.rejected == {}
    assert unseen("postgresql", found.ticks) == set()


async def test_the_documented_grants_are_enough(server: Running, outbound: Outbound) -> None:
    psql(server.port, GRANTS)
    watch = part(server, username="watch", password="s3cret-word")
    found = await watch.collect(NOON, outbound)
    assert watch.problems == {}
    assert ("pg_database_size_bytes", "postgres") in values(found.ticks, "datname")
    assert ("pg_stat_statements_calls_total", "postgres") in values(found.ticks, "user")
    await watch.close()


async def test_one_question_that_fails_leaves_the_others(server: Running, outbound: Outbound) -> None:
    psql(server.port, "drop role if exists poor; create role poor login")
    psql(server.port, "revoke execute on function pg_database_size(oid) from public")
    try:
        poor = part(server, username="poor")
        found = await poor.collect(NOON, outbound)
    finally:
        psql(server.port, "grant execute on function pg_database_size(oid) to public")
    assert list(poor.problems) == ["sizes"]
    assert "permission denied" in poor.problems["sizes"]
    success = values(found.ticks, "query")
    assert success["watchkeeper_query_success", "sizes"] == 0.0
    assert success["watchkeeper_query_success", "statements"] == 1.0


async def test_locks_and_long_transactions_are_told(server: Running, outbound: Outbound) -> None:
    where = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    with psycopg.connect(where) as holder:
        holder.execute("lock table t in access exclusive mode")
        found = await part(server).collect(NOON, outbound)
        assert values(found.ticks, "mode")["pg_locks_count", "accessexclusivelock"] == 1.0
        got = values(found.ticks, "state")
        assert got["pg_stat_activity_count", "idle in transaction"] == 1.0
        assert got["pg_stat_activity_max_tx_duration", "idle in transaction"] > 0.0
        holder.rollback()


async def test_a_standby_and_its_primary_tell_the_lag(server: Running, tmp_path: Path, outbound: Outbound) -> None:
    psql(server.port, "select pg_create_physical_replication_slot('unused', true)")
    try:
        with postgres_standby(tmp_path, server) as standby:
            deadline = time.monotonic() + 20
            while True:
                got = values((await part(standby).collect(NOON, outbound)).ticks)
                if got[("pg_stat_wal_receiver_streaming",)] == 1.0:
                    break
                assert time.monotonic() < deadline, standby.said()
            assert got[("pg_replication_is_replica",)] == 1.0
            assert got[("pg_replication_lag_seconds",)] < 20.0
            while True:  # a primary says "catchup" for a moment after its standby says that it streams
                found = await part(server).collect(NOON, outbound)
                behind = values(found.ticks, "state")
                if ("pg_stat_replication_pg_wal_lsn_diff", "streaming") in behind:
                    break
                assert time.monotonic() < deadline, behind
            assert behind["pg_stat_replication_pg_wal_lsn_diff", "streaming"] >= 0.0
            assert values(found.ticks, "slot_name")["pg_replication_slots_active", "unused"] == 0.0
            assert values(found.ticks)[("pg_replication_is_replica",)] == 0.0
    finally:
        psql(server.port, "select pg_drop_replication_slot('unused')")


async def test_a_service_of_the_kind_is_read_with_its_options(server: Running, tmp_path: Path) -> None:
    ticks = await of_service(
        tmp_path, "postgresql", f"127.0.0.1:{server.port}", username="postgres", database="template1"
    )
    assert ("pg_up", "postgresql", f"127.0.0.1:{server.port}") in values(ticks, "job", "instance")
    assert ("pg_stat_statements_calls_total", "postgres") not in values(ticks, "user")  # no extension in this database


async def test_who_is_refused_is_told_without_the_password(server: Running, outbound: Outbound) -> None:
    for options in ({"username": "nobody"}, {"database": "none"}):
        with pytest.raises(CollectError, match="does not exist") as failure:
            await part(server, password="hunter-two", **options).collect(NOON, outbound)
        assert failure.value.reason == "token"
        assert "hunter" not in str(failure.value)
    assert "hunter" not in repr(part(server, password="hunter-two"))
    with pytest.raises(CollectError) as failure:
        await part(server, tls=True).collect(NOON, outbound)
    assert failure.value.reason == "tls"


async def test_a_port_where_nothing_listens_is_no_connection(outbound: Outbound) -> None:
    with pytest.raises(CollectError, match="no session") as failure:
        await part("127.0.0.1:1").collect(NOON, outbound)
    assert failure.value.reason == "connect"
