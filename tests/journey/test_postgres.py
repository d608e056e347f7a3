"""The alert journey once more with every row of state on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, both_robots, gauges, rule_file, scraped, walk
from support.robots import Robots, robots
from support.servers import Running, postgres_server
from support.targets import target

from watchkeeper.app.engine import Engine
from watchkeeper.app.explain import explain
from watchkeeper.app.lifecycle import stop
from watchkeeper.model import AlertState

pytestmark = pytest.mark.servers

RULES = """
groups:
  - name: checkout
    interval: 5s
    rules:
      - alert: QueueBacklog
        expr: job_queue_pending_count > 100
        for: 30s
        labels: {severity: critical}
        annotations: {summary: 'backlog of {{ $value }} jobs'}
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Running]:
    with postgres_server(tmp_path) as server:
        yield server


def said(double: Robots, kind: str) -> list[str]:
    return [str(request.json) for request in double.accepted if request.kind == kind]


def rows(server: Running, table: str) -> int:
    """Asked of PostgreSQL itself, past everything of ours."""
    with psycopg.connect(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres") as connection:
        found = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    assert found is not None
    return int(found[0])


def state_of(engine: Engine) -> list[tuple[str, AlertState]]:
    with engine.state.read() as unit:
        return [(alert.rule, alert.state) for alert in unit.alerts.open()]


async def test_an_alert_is_judged_told_and_resolved_across_a_restart(tmp_path: Path, database: Running) -> None:
    rule_file(tmp_path, RULES)
    async with target() as server, robots() as double:
        options: dict[str, Any] = {
            "collect": scraped(server),
            "notify": both_robots(double),
            "store": {"state": {"url": database.url}},
        }
        server.pages["/metrics"] = gauges(job_queue_pending_count=250)
        engine = build(tmp_path, **options)
        await begin(engine)
        await walk(engine, 20)
        assert state_of(engine) == [("QueueBacklog", AlertState.PENDING)]
        await walk(engine, 40)
        assert state_of(engine) == [("QueueBacklog", AlertState.FIRING)]
        assert "backlog of 250 jobs" in said(double, "dingtalk")[0]
        assert "backlog of 250 jobs" in said(double, "wecom")[0]
        clock = clock_of(engine)
        await stop(engine)
        assert not (tmp_path / "data" / "state.db").exists()
        assert rows(database, "alerts") == 1

        server.pages["/metrics"] = gauges(job_queue_pending_count=3)
        again = build(tmp_path, clock=clock, **options)
        await begin(again)
        assert state_of(again) == [("QueueBacklog", AlertState.FIRING)]
        await walk(again, 30)
        with again.state.read() as unit:
            assert unit.alerts.open() == []
            assert unit.incidents.open() == []
            (alert,) = unit.alerts.recent(clock.now().replace(year=2000))
            found = explain(unit, alert.id, again.config.zone)
        assert found is not None
        states = [(row["kind"], row["new_state"]) for row in found["chain"]]
        wanted = [("alert", "pending"), ("alert", "firing"), ("delivery", "sent"), ("alert", "resolved")]
        places = [states.index(one) for one in wanted]
        assert places == sorted(places)
        assert len(said(double, "dingtalk")) == len(said(double, "wecom")) == 2
        assert_ledgers(again)
        await stop(again)


async def test_connections_that_the_server_cut_are_made_anew_and_nothing_is_told_twice(
    tmp_path: Path, database: Running
) -> None:
    rule_file(tmp_path, RULES.replace("for: 30s", "for: 0s"))
    async with target() as server, robots() as double:
        server.pages["/metrics"] = gauges(job_queue_pending_count=250)
        store = {"state": {"url": database.url}}
        engine = build(tmp_path, collect=scraped(server), notify=both_robots(double), store=store)
        await begin(engine)
        await walk(engine, 20)
        assert len(double.accepted) == 2
        cut(database)
        await walk(engine, 30)
        assert engine.judging.ask("job_queue_pending_count", clock_of(engine).now())
        assert state_of(engine) == [("QueueBacklog", AlertState.FIRING)]
        assert len(double.accepted) == 2
        server.pages["/metrics"] = gauges(job_queue_pending_count=3)
        await walk(engine, 30)
        assert len(double.accepted) == 4
        assert_ledgers(engine)
        await stop(engine)


def cut(server: Running) -> None:
    """Every connection of ours is ended by the server, as its restart would."""
    with psycopg.connect(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres") as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
        ).fetchall()
    assert ended
