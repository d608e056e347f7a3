"""The shop's database: orders and jobs in the states of real shops, and a made-up past with a fixed seed."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.sessions import File, Server, Session, Sessions

#: Same seed, same past: visitors can compare notes.
SEED = 20_260_101
#: Days of made-up orders before today.
DAYS = 56
#: Orders of a usual weekday.
PER_DAY = 320
STAMP = "%Y-%m-%d %H:%M:%S"
SCHEMA = """
CREATE TABLE orders (
    id {key},
    user_id INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'failed', 'cancelled', 'refunded')),
    amount_cents INTEGER NOT NULL,
    currency TEXT NOT NULL DEFAULT 'CNY',
    demo_seed INTEGER NOT NULL DEFAULT 0,
    created_at {time} NOT NULL
);
CREATE INDEX orders_by_time ON orders (created_at);
CREATE TABLE jobs (
    id {key},
    order_id INTEGER,
    status TEXT NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed')),
    progress INTEGER NOT NULL DEFAULT 0,
    created_at {time} NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (status, id);
CREATE TABLE workers (pid INTEGER PRIMARY KEY, seen DOUBLE PRECISION NOT NULL);
CREATE TABLE cards (user_id INTEGER PRIMARY KEY, token TEXT NOT NULL);
"""
#: The oldest waiting job; what follows is the database's own way to lock it.
TAKE = (
    "UPDATE jobs SET status = 'processing', progress = 5 WHERE id ="
    " (SELECT id FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1 "
)
#: How a made-up order ended, in hundredths.
ENDS = (("paid", 88), ("cancelled", 5), ("failed", 3), ("refunded", 3), ("pending", 1))
USERS = 400


class Shop:
    """Short transactions, as the many processes of the demo need them; PostgreSQL where ``server`` is its address."""

    def __init__(self, file: Path, server: str = "") -> None:
        self.sessions: Sessions = Server(server) if server else File(file)
        self.open = 0  #: connections in use now
        self.most = 0  #: most at once since somebody asked
        self._count = threading.Lock()

    @classmethod
    def of(cls, place: Place) -> Shop:
        """The shop of a running demo: its PostgreSQL where it has one."""
        return cls(place.shop, place.shop_server())

    @contextmanager
    def connection(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back by an error."""
        self._opened(1)
        try:
            with self.sessions.begin() as found:
                yield found
        finally:
            self._opened(-1)

    def close(self) -> None:
        """Connections that are kept for later."""
        if isinstance(self.sessions, Server):
            self.sessions.close()

    def _opened(self, by: int) -> None:
        with self._count:
            self.open += by
            self.most = max(self.most, self.open)

    def create(self) -> None:
        with self.connection() as found:
            if isinstance(self.sessions, File):
                found.execute("PRAGMA journal_mode=WAL")
            for statement in filter(
                str.strip, SCHEMA.format(key=self.sessions.key, time=self.sessions.time).split(";")
            ):
                found.execute(statement)
            found.executemany(
                "INSERT INTO cards VALUES (?, ?)", [(user, f"tok-{user:06d}") for user in range(1, USERS + 1)]
            )

    def seed(self, now: datetime) -> int:
        """Write the made-up past; how many orders it has. Every such row says so in ``demo_seed``."""
        rows = list(past(now))
        with self.connection() as found:
            found.executemany(
                "INSERT INTO orders (user_id, status, amount_cents, demo_seed, created_at) VALUES (?, ?, ?, ?, ?)",
                [(user, status, cents, SEED, at.strftime(STAMP)) for user, status, cents, at in rows],
            )
        return len(rows)

    # --- orders ---

    def add_order(self, user: int, cents: int, now: datetime) -> int:
        with self.connection() as found:
            made = found.execute(
                "INSERT INTO orders (user_id, status, amount_cents, created_at)"
                " VALUES (?, 'pending', ?, ?) RETURNING id",
                (user, cents, now.strftime(STAMP)),
            )
            return int(made.fetchone()[0])

    def settle(self, order: int, status: str, now: datetime) -> None:
        """The order's end; a paid one becomes a job for the workers."""
        with self.connection() as found:
            found.execute("UPDATE orders SET status = ? WHERE id = ?", (status, order))
            if status == "paid":
                _queue(found, order, now)

    def refund_one(self) -> None:
        """One paid order of today goes back."""
        with self.connection() as found:
            found.execute(
                "UPDATE orders SET status = 'refunded' WHERE id ="
                " (SELECT max(id) FROM orders WHERE status = 'paid' AND demo_seed = 0)"
            )

    def card(self, user: int) -> str:
        with self.connection() as found:
            row = found.execute("SELECT token FROM cards WHERE user_id = ?", (user,)).fetchone()
        return str(row[0]) if row else ""

    # --- jobs ---

    def queue(self, count: int, now: datetime) -> None:
        with self.connection() as found:
            for _ in range(count):
                _queue(found, None, now)

    def take(self, worker: int, now: float) -> int | None:
        """The oldest waiting job, for this worker alone; None when there is none."""
        with self.connection() as found:
            found.execute(
                "INSERT INTO workers VALUES (?, ?) ON CONFLICT (pid) DO UPDATE SET seen = excluded.seen", (worker, now)
            )
            rows = found.execute(TAKE + self.sessions.locking + ") RETURNING id").fetchall()
        return int(rows[0][0]) if rows else None

    def finish(self, job: int) -> None:
        with self.connection() as found:
            found.execute("UPDATE jobs SET status = 'completed', progress = 100 WHERE id = ?", (job,))

    def give_back(self, job: int) -> None:
        """A worker that must stop leaves its job to another."""
        with self.connection() as found:
            found.execute("UPDATE jobs SET status = 'queued', progress = 0 WHERE id = ?", (job,))

    def leave(self, worker: int) -> None:
        with self.connection() as found:
            found.execute("DELETE FROM workers WHERE pid = ?", (worker,))

    def waiting(self) -> tuple[int, int]:
        """Jobs that wait, and jobs ever queued."""
        with self.connection() as found:
            pending = found.execute("SELECT count(*) FROM jobs WHERE status = 'queued'").fetchone()[0]
            ever = found.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone()[0]
        return int(pending), int(ever)


def _queue(found: Session, order: int | None, now: datetime) -> None:
    found.execute(
        "INSERT INTO jobs (order_id, status, created_at) VALUES (?, 'queued', ?)", (order, now.strftime(STAMP))
    )


def level(at: datetime) -> float:
    """Share of the usual business at this time: quiet nights, two peaks a day, fewer orders on weekends."""
    hour = at.hour + at.minute / 60 + 8  # the shop is in Shanghai
    day = 0.55 + 0.3 * math.sin((hour - 8) / 24 * 2 * math.pi) + 0.25 * math.sin((hour - 5) / 12 * 2 * math.pi)
    week = 0.75 if (at + timedelta(hours=8)).weekday() >= 5 else 1.0
    return max(day, 0.05) * week


def past(now: datetime) -> Iterator[tuple[int, str, int, datetime]]:
    """User, state, cents and time of every made-up order up to ``now``, growing a little from week to week."""
    dice = random.Random(SEED)  # noqa: S311 - made-up data, the same each time
    names, weights = [name for name, _ in ENDS], [weight for _, weight in ENDS]
    at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    mean = sum(level(at + timedelta(hours=hour)) for hour in range(168)) / 168
    while at < now:
        growth = 1 + 0.25 * (1 - (now - at) / timedelta(days=DAYS))
        expected = PER_DAY / 24 * level(at) / mean * growth
        for _ in range(max(round(dice.gauss(expected, math.sqrt(expected))), 0)):
            moment = at + timedelta(seconds=dice.uniform(0, 3600))
            status = dice.choices(names, weights)[0]
            if moment < now:
                yield dice.randint(1, USERS), status, price(dice), moment
        at += timedelta(hours=1)


def price(dice: random.Random) -> int:
    """Cents of one order: most are small, a few are large."""
    return max(round(dice.lognormvariate(math.log(8_900), 0.6)), 990)
