"""Readers of key figures on real databases, real files and a real loopback server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, text
from support import shop
from support.servers import mariadb_server, postgres_server
from support.targets import answer, target

from collectors import kpi_csv, kpi_http
from collectors.kpi_points import Clockwork, TimeFormat, number
from collectors.kpi_sql import KpiSql
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

SHANGHAI, UTC_ZONE = ZoneInfo("Asia/Shanghai"), ZoneInfo("UTC")
CLOCK = Clockwork(form="datetime", zone=UTC_ZONE, calendar=SHANGHAI)
DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 1, 16, tzinfo=UTC)  #: the first moment of 2 March in Shanghai
BY_STATE = "SELECT COUNT(*) AS value FROM orders WHERE created_at >= :start AND created_at < :end AND status = 'paid'"


def clock(form: TimeFormat = "datetime", zone: str = "UTC") -> Clockwork:
    return Clockwork(form=form, zone=ZoneInfo(zone), calendar=SHANGHAI)


def reader(url: str, query: str, *, value: str = "value", time: str = "", **more: object) -> KpiSql:
    return KpiSql(url, query, value=value, time=time, clockwork=more.pop("clockwork", CLOCK), **more)  # type: ignore[arg-type]


SERVERS = {"postgresql": postgres_server, "mariadb": mariadb_server}


@pytest.fixture(scope="module", params=["sqlite", *(pytest.param(name, marks=pytest.mark.servers) for name in SERVERS)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A shop with two weeks of orders, on each kind of database."""
    folder = tmp_path_factory.mktemp("shop")
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{folder}/shop.db")
        shop.create(engine)
        shop.fill(engine, date(2026, 2, 20), date(2026, 3, 3))
        yield engine
        return
    with SERVERS[request.param](folder) as server:
        engine = create_engine(server.url)
        shop.create(engine)
        shop.fill(engine, date(2026, 2, 20), date(2026, 3, 3))
        yield engine
        engine.dispose()


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_a_query_with_start_and_end_answers_each_local_day_exactly(database: Engine) -> None:
    found = reader(url_of(database), BY_STATE).of_periods([(MONDAY, MONDAY + DAY), (MONDAY + DAY, MONDAY + 2 * DAY)])
    assert found == [shop.usual(date(2026, 3, 2)).paid, shop.usual(date(2026, 3, 3)).paid]


def test_a_slow_database_answers_the_newest_periods_first_and_the_rest_another_time(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.kpi_sql.MOST_SECONDS", -1.0)
    spans = [(MONDAY, MONDAY + DAY), (MONDAY - DAY, MONDAY)]
    assert reader(url_of(database), BY_STATE).of_periods(spans) == [shop.usual(date(2026, 3, 2)).paid]


def test_cents_become_money_exactly(database: Engine) -> None:
    query = "SELECT SUM(amount) FROM orders WHERE created_at >= :start AND created_at < :end AND status = 'paid'"
    assert reader(url_of(database), query, value="", minor_units=2).of_periods([(MONDAY, MONDAY + DAY)]) == [
        shop.usual(date(2026, 3, 2)).revenue
    ]


def test_a_period_without_rows_is_null_not_zero(database: Engine) -> None:
    query = "SELECT SUM(amount) AS value FROM orders WHERE created_at >= :start AND created_at < :end"
    assert reader(url_of(database), query).of_periods([(MONDAY - 99 * DAY, MONDAY - 98 * DAY)]) == [None]


def test_rows_with_their_own_time_come_as_points(database: Engine) -> None:
    query = "SELECT created_at AS at, 1 AS value FROM orders WHERE status = 'refunded'"
    points = reader(url_of(database), query, time="at").points()
    assert len(points) == 12
    assert {moment.tzinfo for moment, _ in points} == {UTC}
    assert all(MONDAY - 11 * DAY <= moment < MONDAY + 2 * DAY for moment, _ in points)


def test_the_age_of_the_oldest_job_and_none_is_zero(database: Engine) -> None:
    query = "SELECT MIN(created_at) AS value FROM jobs WHERE status IN ('queued', 'processing')"
    oldest = reader(url_of(database), query, age=True)
    assert oldest.now(MONDAY) == 0
    shop.add_job(database, 1, "completed", MONDAY - timedelta(hours=9))
    shop.add_job(database, 2, "processing", MONDAY - timedelta(minutes=14))
    shop.add_job(database, 3, "queued", MONDAY - timedelta(minutes=2))
    assert oldest.now(MONDAY) == 840


def test_nothing_can_be_changed_through_a_figure(database: Engine) -> None:
    with pytest.raises(CollectError):
        reader(url_of(database), "DELETE FROM orders").now(MONDAY)
    with database.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM orders")).scalar_one() > 100


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT nothing FROM orders", "nothing"),
        ("SELECT id, status FROM orders LIMIT 1", "no column 'value'; there are id, status"),
        ("SELECT status AS value FROM orders LIMIT 1", "'paid' is no number"),
    ],
)
def test_a_wrong_query_is_told_in_the_databases_own_words(database: Engine, query: str, said: str) -> None:
    with pytest.raises(CollectError, match=said):
        reader(url_of(database), query).now(MONDAY)


def test_more_than_one_row_for_a_period_is_refused(database: Engine) -> None:
    query = "SELECT amount AS value FROM orders WHERE created_at >= :start AND created_at < :end"
    with pytest.raises(CollectError, match="more than one row"):
        reader(url_of(database), query).of_periods([(MONDAY, MONDAY + DAY)])


@pytest.mark.parametrize(("form", "factor"), [("epoch", 1), ("epoch_ms", 1000)])
def test_tables_that_count_seconds_are_asked_in_seconds(tmp_path: Path, form: TimeFormat, factor: int) -> None:
    url = f"sqlite:///{tmp_path}/epoch.db"
    engine = create_engine(url)
    second = round(MONDAY.timestamp())
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (status TEXT, created_at INTEGER)"))
        for at in (second - 1, second, second + 86_399, second + 86_400):
            connection.execute(text("INSERT INTO orders VALUES ('paid', :at)"), {"at": at * factor})
    engine.dispose()
    found = reader(url, BY_STATE, clockwork=clock(form))
    assert found.of_periods([(MONDAY, MONDAY + DAY)]) == [2]


def test_naive_times_are_read_in_the_zone_of_the_source(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/naive.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (status TEXT, created_at TEXT)"))
        for at in ("2026-03-01 23:59:59", "2026-03-02 00:00:00", "2026-03-02 23:59:59.9", "2026-03-03 00:00:00"):
            connection.execute(text("INSERT INTO orders VALUES ('paid', :at)"), {"at": at})
    engine.dispose()
    assert reader(url, BY_STATE, clockwork=clock(zone="Asia/Shanghai")).of_periods([(MONDAY, MONDAY + DAY)]) == [2]


def test_a_missing_database_is_not_created_and_a_wrong_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="unable to open"):
        reader(f"sqlite:///{tmp_path}/none.db", "SELECT 1 AS value").now(MONDAY)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="url must be of"):
        reader("oracle://x", "SELECT 1")
    with pytest.raises(ValueError, match="no SQLAlchemy URL"):
        reader("nonsense", "SELECT 1")


# --- CSV -------------------------------------------------------------------------------------------------------------


def csv_file(folder: Path, text: str, encoding: str) -> Path:
    file = folder / "figures.csv"
    file.write_bytes(text.encode(encoding))
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_a_file_as_excel_saves_it_in_china(tmp_path: Path, encoding: str) -> None:
    file = csv_file(
        tmp_path, "日期,满意度,备注\r\n2026年3月2日,4.8,很好\r\n2026/3/3,4.6,\r\n2026-03-04,,缺\r\n", encoding
    )
    found = kpi_csv.read_csv(file, time="日期", value="满意度", clockwork=CLOCK)
    assert found == [(MONDAY, Decimal("4.8")), (MONDAY + DAY, Decimal("4.6"))]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    rows = [("date", "value"), ("2026-03-02", "12,345,678.5"), ("2026-03", "¥1,000.5")]
    file = csv_file(tmp_path, "\n".join(separator.join(row) for row in rows), "utf-8")
    found = kpi_csv.read_csv(file, clockwork=CLOCK)
    assert found == [(MONDAY, Decimal("12345678.5")), (datetime(2026, 2, 28, 16, tzinfo=UTC), Decimal("1000.5"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,value\n1,2\n", "no column date in the first line"),
        ("date,value\n2026-03-02,x\n", "figures.csv:2: 'x' is no number"),
        ("date;value\n2026-03-02;1234,50\n", "figures.csv:2: '1234,50' is no number"),
        ("date,value\n2026-03-02,1\nyesterday,2\n", "figures.csv:3: 'yesterday' is no time"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CollectError, match=said):
        kpi_csv.read_csv(csv_file(tmp_path, text, "utf-8"), clockwork=CLOCK)


def test_a_file_that_is_not_there_or_far_too_large(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="cannot be read: No such file"):
        kpi_csv.read_csv(tmp_path / "none.csv", clockwork=CLOCK)
    large = tmp_path / "large.csv"
    with large.open("wb") as out:
        out.truncate(kpi_csv.MOST_BYTES + 1)
    with pytest.raises(CollectError, match="larger than 16 MiB"):
        kpi_csv.read_csv(large, clockwork=CLOCK)


def test_bytes_of_no_known_encoding_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "figures.csv"
    file.write_bytes(b"date,value\n\xff\xff\xff,1\n")
    with pytest.raises(CollectError, match="neither UTF-8 nor GB 18030"):
        kpi_csv.read_csv(file, clockwork=CLOCK)


# --- numbers and times -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "minor", "value"),
    [
        ("1,234.50", 0, "1234.50"), ("98%", 0, "0.98"), ("９８", 0, "98"), (199900, 2, "1999.00"), ("-5", 0, "-5"),
        (True, 0, "1"), (Decimal("0.10"), 0, "0.10"), ("12元", 0, "12"), ("", 0, None), (None, 0, None),
        ("NaN", 0, None),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(raw: object, minor: int, value: str | None) -> None:
    assert number(raw, minor) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("raw", "form", "moment"),
    [
        ("2026-03-02", "datetime", MONDAY),
        ("20260302", "datetime", MONDAY),
        (date(2026, 3, 2), "datetime", MONDAY),
        ("2026-03-01T16:00:00Z", "datetime", MONDAY),
        ("2026-03-01 16:00:00", "datetime", MONDAY),
        ("2026-03-02T00:00:00+08:00", "datetime", MONDAY),
        (datetime(2026, 3, 1, 16), "datetime", MONDAY),  # noqa: DTZ001 - databases answer so
        (1772380800, "epoch", MONDAY),
        ("1772380800000", "epoch_ms", MONDAY),
    ],
)
def test_moments_as_systems_write_them(raw: object, form: TimeFormat, moment: datetime) -> None:
    assert clock(form).moment(raw) == moment


@pytest.mark.parametrize(
    ("raw", "form"), [("soon", "datetime"), ("2026-13-01", "datetime"), ("x", "epoch"), (1e300, "epoch")]
)
def test_what_is_no_moment_is_refused(raw: object, form: TimeFormat) -> None:
    with pytest.raises(CollectError, match="is no time of the form"):
        clock(form).moment(raw)


# --- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    found = Outbound(allow_private=True)
    yield found
    await found.aclose()


@pytest.mark.parametrize("raw", [Decimal("1e999999999"), "1e999999", "-1e-999999", "9" * 5000, 10**4000])
def test_a_number_that_would_fill_the_memory_with_zeros_is_refused(raw: object) -> None:
    with pytest.raises(CollectError, match="more digits than figures have"):
        number(raw)


def test_a_path_leads_into_the_answer_or_says_where_it_ends() -> None:
    answer = {"data": {"items": [{"value": 3}, {"value": 4}]}}
    assert kpi_http.at_path(answer, "data.items.1.value") == 4
    assert kpi_http.at_path(answer, "") is answer
    with pytest.raises(CollectError, match="has no '2' of"):
        kpi_http.at_path(answer, "data.items.2.value")
    with pytest.raises(CollectError, match="has no 'rows' of"):
        kpi_http.at_path(answer, "rows")


def test_lists_and_single_values_are_not_mistaken_for_each_other() -> None:
    rows = [{"day": "2026-03-02", "n": "7"}, {"day": "2026-03-03", "n": None}]
    assert kpi_http.points(rows, time="day", value="n", clockwork=CLOCK, minor_units=0) == [(MONDAY, Decimal(7))]
    assert kpi_http.now_value(1999, 2) == Decimal("19.99")
    with pytest.raises(CollectError, match="not one value"):
        kpi_http.now_value(rows, 0)
    with pytest.raises(CollectError, match="no list of values"):
        kpi_http.points({}, time="day", value="n", clockwork=CLOCK, minor_units=0)
    with pytest.raises(CollectError, match="a row lacks 'at' or 'n'"):
        kpi_http.points(rows, time="at", value="n", clockwork=CLOCK, minor_units=0)


async def test_json_over_http_keeps_its_decimals_and_sends_its_headers(outbound: Outbound) -> None:
    async with target(stats=answer(b'{"data": {"revenue": 0.1}}')) as served:
        url, headers = served.url("/stats"), {"authorization": "Bearer t0ken"}
        found = await kpi_http.fetch(outbound, url, path="data.revenue", headers=headers, timeout=5.0)
        assert kpi_http.now_value(found, 0) == Decimal("0.1")
        assert b"t0ken" in served.requests[0][2]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (answer(b"{}", status="503 Busy"), "HTTP 503"),
        (answer(b"<html>"), "no JSON"),
        (answer(b"[" * 200_000), "no JSON"),
        (answer(b"[]"), "has no 'a'"),
    ],
)
async def test_an_answer_that_is_none_is_told(outbound: Outbound, page: bytes, said: str) -> None:
    async with target(stats=page) as served:
        with pytest.raises(CollectError, match=said):
            await kpi_http.fetch(outbound, served.url("/stats"), path="a", headers={}, timeout=5.0)
