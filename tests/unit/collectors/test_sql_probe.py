"""A database that answers rightly, wrongly and not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.probes import shown
from support.targets import TRUST

from collectors.sql_probe import SqlProbe
from watchkeeper.model import label
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    path = folder / "shop.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table orders (n)")
        db.execute("insert into orders values (7)")
    db.close()
    yield f"sqlite:///{path}"


async def test_a_database_is_good_when_its_answer_is_the_expected_one(tmp_path: Path, outbound: Outbound) -> None:
    with shop(tmp_path) as url:
        good = await shown(SqlProbe(url=url, sql="select n from orders", expect="7"), outbound)  # type: ignore[arg-type]
        wrong = await shown(SqlProbe(url=url, sql="select n from orders", expect="8"), outbound)  # type: ignore[arg-type]
        broken = await shown(SqlProbe(url=url, sql="select n from nothing"), outbound)  # type: ignore[arg-type]
        writing = await shown(SqlProbe(url=url, sql="delete from orders"), outbound)  # type: ignore[arg-type]
    nowhere = await shown(SqlProbe(url=f"sqlite:///{tmp_path}/none.db"), outbound)  # type: ignore[arg-type]
    assert (good["probe_success"], good["probe_sql_duration_seconds/statement"] > 0) == (1.0, True)
    assert wrong["probe_failure_info/body"] == 1.0
    assert broken["probe_failure_info/query"] == 1.0
    assert writing["probe_success"] == 0.0
    assert nowhere["probe_failure_info/connect"] == 1.0


def test_secrets_stay_out_of_what_is_shown() -> None:
    part = SqlProbe(name="db", url="postgresql+psycopg://u:hush@db:5432/shop")  # type: ignore[arg-type]
    assert "hush" not in repr(part)
    assert label(tuple(sorted(part.target_labels.items())), "instance") == "db:5432/shop"
