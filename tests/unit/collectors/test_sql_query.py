from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.servers import mariadb_server, postgres_server
from support.targets import TRUST

from collectors.sql_query import Query, SqlQuery
from watchkeeper.errors import CollectError
from watchkeeper.model import Tick, is_stale, label, metric_name
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A queue table with every kind of cell."""
    path = tmp_path / "my shop.db"
    with sqlite3.connect(path) as db:
        db.execute("create table jobs (queue text, pending, age real)")
        rows = [("mail", 120, 1.5), ("sms", "7", None), ("push", "many", 2.0), (None, None, 3.0)]
        db.executemany("insert into jobs values (?, ?, ?)", rows)
    db.close()
    return path


def source(url: object, *queries: Query, **options: Any) -> SqlQuery:
    text = f"sqlite:///{url}" if isinstance(url, Path) else str(url)
    return SqlQuery(name="shop", url=text, queries=list(queries), **options)  # type: ignore[arg-type]


def jobs(**options: Any) -> Query:
    given = {"name": "job_queue", "sql": "select * from jobs", "values": ["pending", "age"], "labels": ["queue"]}
    return Query(**{**given, **options})


def shown(ticks: Sequence[Tick], own: str = "queue") -> dict[tuple[str, str], float]:
    (tick,) = ticks
    rows = zip(tick.layout.series, tick.values.tolist(), is_stale(tick.values), strict=True)
    return {(metric_name(s), label(s, own)): v for s, v, gone in rows if not gone}


async def test_numbers_become_series_null_is_nothing_and_text_is_refused(database: Path, outbound: Outbound) -> None:
    part = source(database, jobs())
    found = await part.collect(NOON, outbound)
    values = shown(found.ticks)
    del values["watchkeeper_query_success", ""]
    assert values == {
        ("job_queue_pending", "mail"): 120.0,
        ("job_queue_pending", "sms"): 7.0,
        ("job_queue_age", "mail"): 1.5,
        ("job_queue_age", "push"): 2.0,
        ("job_queue_age", ""): 3.0,
    }
    assert found.rejected == {"type": 1}
    assert part.target_labels == {"job": "shop", "instance": str(database)}
    await part.close()


async def test_a_single_value_column_is_named_by_the_query_alone(database: Path, outbound: Outbound) -> None:
    query = jobs(name="job_queue_pending_count", sql="select sum(pending) as n from jobs", values=["n"], labels=[])
    found = await source(database, query).collect(NOON, outbound)
    assert shown(found.ticks)["job_queue_pending_count", ""] == 127.0


async def test_rows_over_the_limit_are_refused_and_counted(database: Path, outbound: Outbound) -> None:
    found = await source(database, jobs(values=["age"], labels=[]), max_rows=2).collect(NOON, outbound)
    assert found.rejected == {"max_rows": 1}
    same = await source(database, jobs(values=["age"], labels=[])).collect(NOON, outbound)
    assert same.rejected == {"duplicate": 2}


async def test_the_database_cannot_be_changed(database: Path, outbound: Outbound) -> None:
    before = database.read_bytes()
    for sql in (
        "delete from jobs",
        "create table x (a)",
        "delete from jobs returning 1 as pending, 2 as age, 3 as queue",
    ):
        with pytest.raises(CollectError, match="readonly") as failure:
            await source(database, jobs(sql=sql)).collect(NOON, outbound)
        assert failure.value.reason == "query"
    assert database.read_bytes() == before


async def test_a_wrong_path_makes_no_file(tmp_path: Path, outbound: Outbound) -> None:
    with pytest.raises(CollectError, match="unable to open database file"):
        await source(tmp_path / "none.db", jobs()).collect(NOON, outbound)
    assert list(tmp_path.iterdir()) == []


async def test_a_statement_that_takes_too_long_is_ended(database: Path, outbound: Outbound) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as pending from n"
    began = time.monotonic()
    with pytest.raises(CollectError, match="interrupted") as failure:
        await source(database, jobs(sql=endless, values=["pending"], labels=[]), timeout=0.3).collect(NOON, outbound)
    assert failure.value.reason == "timeout"
    assert time.monotonic() - began < 1.3


async def test_one_query_that_fails_leaves_the_others(database: Path, outbound: Outbound) -> None:
    bad = jobs(name="bad", sql="select nothing from nowhere")
    part = source(database, jobs(), bad, jobs(name="wrong", values=["no_such"]))
    found = await part.collect(NOON, outbound)
    success = {k[1]: v for k, v in shown(found.ticks, "query").items() if k[0] == "watchkeeper_query_success"}
    assert success == {"job_queue": 1.0, "bad": 0.0, "wrong": 0.0}
    assert part.problems["wrong"] == "no column no_such"
    assert part.problems.keys() == {"bad", "wrong"}
    (stale,) = part.stale_ticks(NOON)
    assert is_stale(stale.values).all()
    assert part.stale_ticks(NOON) == []


@pytest.mark.parametrize(
    ("sql", "message"), [("select 1 as x", "no column pending, age, queue"), ("pragma query_only = 1", "no rows")]
)
async def test_statements_without_the_named_columns_are_refused(
    database: Path, outbound: Outbound, sql: str, message: str
) -> None:
    with pytest.raises(CollectError, match=message):
        await source(database, jobs(sql=sql)).collect(NOON, outbound)


async def test_a_password_is_in_no_error(outbound: Outbound) -> None:
    part = source("postgresql+psycopg://u:hunter2@127.0.0.1:1/db", jobs(), timeout=2)
    with pytest.raises(CollectError) as failure:
        await part.collect(NOON, outbound)
    assert "hunter2" not in str(failure.value)
    assert "hunter2" not in repr(part)
    assert part.target_labels["instance"] == "127.0.0.1:1/db"


@pytest.mark.parametrize("url", ["nonsense", "oracle://x/y"])
def test_addresses_that_cannot_work_are_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"no SQLAlchemy URL|must be of sqlite"):
        source(url, jobs())


@pytest.mark.servers
async def test_real_postgresql_is_read_and_neither_changed_nor_held_up(tmp_path: Path, outbound: Outbound) -> None:
    with postgres_server(tmp_path) as server:
        numbers = jobs(sql="select 'a' as queue, 1.5::numeric as pending, true as age", values=["pending", "age"])
        found = await source(server.url, numbers).collect(NOON, outbound)
        assert shown(found.ticks)["job_queue_pending", "a"] == 1.5
        assert shown(found.ticks)["job_queue_age", "a"] == 1.0
        with pytest.raises(CollectError, match="read-only transaction"):
            await source(server.url, jobs(sql="create table x (a int)")).collect(NOON, outbound)
        with pytest.raises(CollectError, match="statement timeout") as failure:
            await source(server.url, jobs(sql="select pg_sleep(30)"), timeout=0.3).collect(NOON, outbound)
        assert failure.value.reason == "timeout"


@pytest.mark.servers
async def test_real_mariadb_is_read_and_neither_changed_nor_held_up(tmp_path: Path, outbound: Outbound) -> None:
    with mariadb_server(tmp_path) as server:
        numbers = jobs(sql="select '队列' as queue, cast(1.5 as decimal(9, 2)) as pending, true as age")
        for url in (server.url, server.url.replace("mysql+", "mariadb+")):
            found = await source(url, numbers).collect(NOON, outbound)
            assert shown(found.ticks)["job_queue_pending", "队列"] == 1.5
            assert shown(found.ticks)["job_queue_age", "队列"] == 1.0
        with pytest.raises(CollectError, match="READ ONLY transaction") as failure:
            await source(server.url, jobs(sql="create table x (a int)")).collect(NOON, outbound)
        assert failure.value.reason == "query"
        with pytest.raises(CollectError, match="max_statement_time exceeded") as failure:
            await source(server.url, jobs(sql="select sleep(30)"), timeout=0.3).collect(NOON, outbound)
        assert failure.value.reason == "timeout"
        with pytest.raises(CollectError, match="Access denied") as failure:
            await source(server.url.replace("root@", "eve:hunter2@"), jobs()).collect(NOON, outbound)
        assert "hunter2" not in str(failure.value)
        server.kill()
        with pytest.raises(CollectError, match="Can't connect"):
            await source(server.url, jobs()).collect(NOON, outbound)
