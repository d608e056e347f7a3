"""Short jobs push as to a Pushgateway, by the official client too, and what they left is read until it is deleted."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from starlette.testclient import TestClient
from support.engines import NOON, clock_of, engine
from support.remote_write import sender

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline import pushing
from watchkeeper.model import format_series, is_stale

BACKUP = "/metrics/job/backup/instance/db-1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def client(house: Engine) -> TestClient:
    return sender(house)


def read(house: Engine) -> dict[str, float]:
    """Series of the next reading; gone ones are left out."""
    clock_of(house).advance(timedelta(seconds=15))
    found = asyncio.run(house.pushing.collect(house.clock.now(), house.outbound))
    rows: dict[str, float] = {}
    for tick in found.ticks:
        stale = is_stale(tick.values)
        values = zip(tick.layout.series, tick.values.tolist(), stale.tolist(), strict=True)
        rows |= {format_series(series): value for series, value, gone in values if not gone}
    return rows


def test_put_replaces_a_group_post_only_families_of_the_same_name_and_delete_forgets(
    house: Engine, client: TestClient
) -> None:
    first = '# TYPE t histogram\nt_bucket{le="+Inf"} 1\nt_sum 2\nt_count 1\nrows{instance="me"} 5\n'
    assert client.put(BACKUP, content=first).status_code == 200
    pushed = house.clock.now().timestamp()
    own = 'instance="db-1",job="backup"'
    assert read(house) == {
        f't_bucket{{{own},le="+Inf"}}': 1.0, f"t_sum{{{own}}}": 2.0, f"t_count{{{own}}}": 1.0,
        f"rows{{{own}}}": 5.0, f"push_time_seconds{{{own}}}": pushed, f"push_failure_time_seconds{{{own}}}": 0.0,
    }  # fmt: skip
    assert client.post(BACKUP, content="# TYPE t gauge\nt 7\n").status_code == 200
    rows = read(house)
    assert rows[f"t{{{own}}}"] == 7.0
    assert rows[f"rows{{{own}}}"] == 5.0
    assert f"t_sum{{{own}}}" not in rows
    assert client.put(BACKUP, content="rows 6").status_code == 200
    assert {name for name in read(house) if not name.startswith("push_")} == {f"rows{{{own}}}"}
    assert client.delete("/metrics/job/other").status_code == 202
    assert client.delete(BACKUP).status_code == 202
    assert read(house) == {}


def test_a_bad_push_changes_nothing_but_the_time_of_failure(house: Engine, client: TestClient) -> None:
    client.put(BACKUP, content="rows 5\n")
    for body, told in (
        ("rows five\ngood 1\n", "wrong are: 1 parse"),
        ("rows 5 1700000000000\n", "must not have time stamps"),
        ("rows{", ""),
        ('rows{instance="a"} 1\nrows{instance="b"} 2\n', "are one series"),
        ("push_time_seconds 1\n", "said by the engine itself"),
    ):
        answer = client.post(BACKUP, content=body)
        assert answer.status_code == 400
        assert told in answer.text
    rows = read(house)
    assert rows['rows{instance="db-1",job="backup"}'] == 5.0
    assert rows['push_failure_time_seconds{instance="db-1",job="backup"}'] == NOON.timestamp()


def test_grouping_values_come_in_base64_and_a_body_in_gzip(house: Engine, client: TestClient) -> None:
    path = "/metrics/job@base64/YS9i/path@base64/L3Zhci90bXA/empty@base64/="
    packed = {"content": gzip.compress(b"rows 1\n"), "headers": {"content-encoding": "gzip"}}
    assert client.put(path, **packed).status_code == 200  # type: ignore[arg-type]
    assert 'rows{job="a/b",path="/var/tmp"}' in read(house)


WRONG = ("job", "jobs/a", "job/a/b", "job/a/job/b", "job//instance/a", "job/a/2x/b", "job@base64/*")


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_grouping_key_is_refused(client: TestClient, path: str) -> None:
    assert client.put(f"/metrics/{path}", content="rows 1\n").status_code == 400


def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    with engine(tmp_path) as first:
        assert sender(first).put(BACKUP, content="a NaN\nb +Inf\n").status_code == 200
        assert pushing.SOURCE in first.sources
        assert f"collect/{pushing.SOURCE}" in first.scheduler.jobs
        before = read(first)
    with engine(tmp_path) as second:
        assert pushing.SOURCE in second.sources
        assert str(read(second)) == str(before)


def test_who_may_only_read_may_not_push(house: Engine, client: TestClient) -> None:
    token, _ = create_system_token(house.state, "reader", Role.VIEWER, now=house.clock.now())
    answer = client.put(BACKUP, content="a 1\n", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert client.put(BACKUP, content="a 1\n", headers={"authorization": ""}).status_code == 401


def test_groups_and_samples_are_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "MOST_GROUPS", 1)
    monkeypatch.setattr(pushing, "MOST_SAMPLES", 2)
    assert client.put(BACKUP, content="a 1\nb 2\n").status_code == 200
    assert client.put("/metrics/job/other", content="a 1\n").status_code == 413
    assert client.post(BACKUP, content="c 3\n").status_code == 413
    assert client.put(BACKUP, content="c 3\n").status_code == 200


def test_what_the_official_client_renders_is_taken_whole(house: Engine, client: TestClient) -> None:
    registry: Any = CollectorRegistry()
    Gauge("last_success_unixtime", "When.", registry=registry).set(12)
    Histogram("took_seconds", "Time.", buckets=(1, 5), registry=registry).observe(3)
    assert client.put(BACKUP, content=generate_latest(registry)).status_code == 200
    assert read(house)['took_seconds_bucket{instance="db-1",job="backup",le="5.0"}'] == 1.0
