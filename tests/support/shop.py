"""A shop database with orders in the states of real shops, made from a plain rule, on any SQLAlchemy engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: Local time of day kept clear of midnight by tests whose "yesterday" must stay yesterday until they end.
NIGHT_HOURS = 1
STATES = ("paid", "failed", "cancelled", "refunded", "pending")


def quiet_zone(now: datetime | None = None) -> ZoneInfo:
    """Shanghai, or UTC while midnight in Shanghai is near: the day does not change under a running test."""
    local = (now or datetime.now(UTC)).astimezone(SHANGHAI)
    return ZoneInfo("UTC") if local.hour in {24 - NIGHT_HOURS, 0} else SHANGHAI


@dataclass(frozen=True, slots=True)
class Day:
    """What one day of the shop looks like."""

    paid: int = 20
    failed: int = 0
    cancelled: int = 2
    refunded: int = 1
    pending: int = 1
    users: int = 10
    cents: int = 1999

    @property
    def orders(self) -> int:
        return self.paid + self.failed + self.cancelled + self.refunded + self.pending

    @property
    def revenue(self) -> Decimal:
        return Decimal(self.paid * self.cents).scaleb(-2)


def usual(day: date) -> Day:
    """Weekends sell half as much; a little movement from day to day that no weekday repeats exactly."""
    level = 10 if day.weekday() >= 5 else 20
    return Day(paid=level + day.toordinal() * 7 % 4, users=level // 2)


def create(engine: Engine) -> None:
    with engine.begin() as connection:
        stamp = {"postgresql": "TIMESTAMPTZ", "mysql": "DATETIME"}.get(engine.dialect.name, "TEXT")
        connection.execute(
            text(
                "CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER, status TEXT, amount BIGINT,"
                f" created_at {stamp})"
            )
        )
        connection.execute(text(f"CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, created_at {stamp})"))
        connection.execute(text("CREATE INDEX orders_by_time ON orders (created_at)"))


def fill(
    engine: Engine, first: date, last: date, odd: Mapping[date, Day] | None = None, *, zone: ZoneInfo = SHANGHAI
) -> None:
    """Orders of each local day from ``first`` to ``last``, spread over the day, ids going on from what is there."""
    with engine.begin() as connection:
        number = int(connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM orders")).scalar_one())
        rows = []
        day = first
        while day <= last:
            made = (odd or {}).get(day) or usual(day)
            for place, state in enumerate(one for one in STATES for _ in range(getattr(made, one))):
                number += 1
                at = datetime(day.year, day.month, day.day, 0, 5, tzinfo=zone) + timedelta(minutes=20 * place % 1400)
                rows.append(
                    {
                        "id": number,
                        "user": place % made.users,
                        "state": state,
                        "amount": made.cents,
                        "at": _at(engine, at),
                    }
                )
            day += timedelta(days=1)
        statement = (
            "INSERT INTO orders (id, user_id, status, amount, created_at) VALUES (:id, :user, :state, :amount, :at)"
        )
        if rows:
            connection.execute(text(statement), rows)


def add_job(engine: Engine, number: int, state: str, at: datetime) -> None:
    with engine.begin() as connection:
        values = {"id": number, "state": state, "at": _at(engine, at)}
        connection.execute(text("INSERT INTO jobs VALUES (:id, :state, :at)"), values)


def _at(engine: Engine, moment: datetime) -> datetime | str:
    if engine.dialect.name == "postgresql":
        return moment
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
