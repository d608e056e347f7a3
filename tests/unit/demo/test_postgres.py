"""The shop on PostgreSQL: a private cluster without a port, one account that writes and one that only reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml
from support.servers import need

from watchkeeper.app.compose import check
from watchkeeper.app.demo import config, managers, postgres
from watchkeeper.app.demo.place import CLUSTER, Place, free_ports
from watchkeeper.app.demo.run import database
from watchkeeper.app.demo.shop import SEED, Shop
from watchkeeper.app.pipeline.business_read import sql_reader
from watchkeeper.config.business import Business
from watchkeeper.config.shop import all_kpis

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NONE = config.Servers(haproxy="", supervisord="")


def begun(folder: Path) -> Place:
    found = Place(folder)
    found.claim().close()
    found.begin()
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, postgres.Cluster]]:
    need("initdb")
    place = begun(tmp_path_factory.mktemp("postgres") / "demo")
    cluster = database(place)
    assert cluster is not None
    try:
        shop = Shop.of(place)
        shop.create()
        shop.seed(NOON)
        postgres.grant(cluster)
        shop.close()
        yield place, cluster
    finally:
        cluster.stop()
        cluster.remove()


Running = tuple[Place, postgres.Cluster]


@pytest.mark.servers
def test_the_past_is_there_and_marked_as_made_up(running: Running) -> None:
    shop = Shop.of(running[0])
    with shop.connection() as found:
        (count, least) = found.execute(
            "SELECT count(*), min(demo_seed) FROM orders WHERE created_at < ?", (NOON,)
        ).fetchone()
    shop.close()
    assert count > 10_000
    assert least == SEED


@pytest.mark.servers
def test_an_order_becomes_a_job_that_one_worker_takes_and_finishes(running: Running) -> None:
    shop = Shop.of(running[0])
    order = shop.add_order(7, 500, NOON)
    shop.settle(order, "paid", NOON)
    shop.settle(shop.add_order(8, 600, NOON), "paid", NOON)
    taken: list[int | None] = []
    workers = [threading.Thread(target=lambda: taken.append(shop.take(1, 0.0))) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    jobs = [job for job in taken if job is not None]
    assert len(jobs) == len(set(jobs)) == 2
    shop.finish(jobs[0])
    shop.give_back(jobs[1])
    assert shop.waiting()[0] == 1
    shop.leave(1)
    shop.refund_one()
    with shop.connection() as found:
        assert found.execute("SELECT count(*) FROM orders WHERE status = 'refunded' AND demo_seed = 0").fetchone() == (
            1,
        )
    assert shop.card(7) == "tok-000007"
    assert (shop.open, shop.most > 0) == (0, True)
    shop.close()


@pytest.mark.servers
def test_an_error_undoes_its_transaction_and_the_connection_goes_on(running: Running) -> None:
    shop = Shop.of(running[0])

    def spoil() -> None:
        with shop.connection() as found:
            found.execute("DELETE FROM cards")
            found.execute("UPDATE orders SET status = 'lost'")

    with pytest.raises(psycopg.errors.CheckViolation):
        spoil()
    assert shop.card(7) == "tok-000007"
    shop.close()


@pytest.mark.servers
def test_the_readers_account_reads_what_the_configuration_asks_and_changes_nothing(running: Running) -> None:
    import sqlalchemy

    place, cluster = running
    config.write(place, free_ports(), NONE, "en", cluster.url)
    assert f"data: {place.data.root}" in check(place.config)
    sources = yaml.safe_load(place.config.read_text(encoding="utf-8"))["collect"]["sources"]
    engine = sqlalchemy.create_engine(cluster.url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as reader:
        assert reader.execute(sqlalchemy.text("SELECT current_user")).scalar() == postgres.READER
        for source in (one for one in sources if one["kind"] == "sql_query"):
            assert source["url"] == cluster.url
            for query in source["queries"]:
                rows = reader.execute(sqlalchemy.text(query["sql"]))
                assert set(query["values"]) <= set(rows.keys())
    with engine.connect() as reader, pytest.raises(sqlalchemy.exc.DBAPIError, match=r"read-only|permission denied"):
        reader.execute(sqlalchemy.text("DELETE FROM orders"))
    with engine.connect() as reader:
        reader.execute(sqlalchemy.text("SET TRANSACTION READ WRITE"))
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="permission denied"):
            reader.execute(sqlalchemy.text("DELETE FROM orders"))


@pytest.mark.servers
def test_the_cluster_has_no_port_and_its_folder_is_closed_to_others(running: Running) -> None:
    _, cluster = running
    assert cluster.folder.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(cluster.address()) as found:
        row = found.execute("SELECT current_setting('listen_addresses')").fetchone()
    assert row == ("",)


@pytest.mark.servers
def test_a_server_that_does_not_start_is_said_and_the_shop_lies_in_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(postgres, "find_binaries", lambda: tmp_path / "nothing")
    place = begun(tmp_path / "demo")
    assert database(place) is None
    assert "does not start: initdb: " in capsys.readouterr().err
    assert place.shop_server() == ""
    shop = Shop.of(place)
    shop.create()
    assert place.shop.exists()
    assert not place.postgres.exists()  # nor what a link there names


def test_without_postgresql_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("watchkeeper.app.demo.run.say", said.append)
    monkeypatch.setattr(postgres, "find_binaries", lambda: None)
    assert database(begun(tmp_path / "demo")) is None
    assert "SQLite" in said[0]


def test_a_cluster_that_a_killed_demo_left_outside_is_removed_at_the_next_start(tmp_path: Path) -> None:
    place = begun(tmp_path / "demo")
    left = tmp_path / f"{CLUSTER}x"
    (left / "data").mkdir(parents=True)
    place.postgres.symlink_to(left)
    place.begin()
    assert not left.exists()
    assert not place.postgres.is_symlink()


@pytest.mark.servers
def test_yesterdays_key_figures_are_the_same_as_of_sqlite(running: Running, tmp_path: Path) -> None:
    beside = Shop(tmp_path / "shop.sqlite")
    beside.create()
    beside.seed(NOON)
    day = NOON.replace(hour=0)
    span = (day - timedelta(days=1), day)

    def figures(url: str) -> dict[str, Decimal | None]:
        shops = managers.sections(running[0], url, "en")["business"]
        kpis = [kpi for kpi in all_kpis(Business.model_validate(shops)) if kpi.source.kind == "sql"]
        readers = {kpi.name: sql_reader(kpi, ZoneInfo("UTC")) for kpi in kpis}
        return {name: reader.of_periods([span])[0] for name, reader in readers.items() if reader.by_period}

    found = figures(running[1].url)
    assert found == figures(f"sqlite:///{tmp_path / 'shop.sqlite'}")
    assert (found["shop.orders"] or 0) > 100
