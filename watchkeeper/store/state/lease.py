"""Which of several engines on one PostgreSQL may act: a row, whose expiry the database's own clock decides.

The row is the truth. Whoever holds it does every write under its token (``State.fence``), so that an engine that slept
through its own replacement changes nothing any more when it wakes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from watchkeeper.errors import ConfigError, StoreError
from watchkeeper.telemetry import logger

log = logger(__name__)

#: Row of the engine that acts.
NAME = "engine"
#: How long a lease lasts: the next one acts within this, one question and its first step, with as much again to spare
#: in the promised 15 s. Early is safe: whoever is replaced can write nothing, and the actuator takes no lower number.
TTL = timedelta(seconds=6)
#: Shares of that: how often it is renewed and asked for, when its holder gives up by its own monotonic clock.
RENEW, ASK, FENCE = 0.2, 0.1, 0.7
#: Milliseconds after which the system gives up a connection whose words nobody takes, and the database a transaction
#: in which nothing is said: before the lease of its holder, who may have fallen asleep in it, runs out.
STATEMENT_MS, IDLE_MS = 3000, 4000
#: Seconds in which two sessions must have got each a transaction of its own.
POOLED_SECONDS = 5.0
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# Only constants of ours are put into these texts.
_TAKE = text(f"""
INSERT INTO lease (name, holder, token, expires_at) VALUES (:name, :holder, 1, {_NOW} + :ttl)
ON CONFLICT (name) DO UPDATE SET holder = :holder, token = lease.token + 1, expires_at = {_NOW} + :ttl
WHERE lease.expires_at <= {_NOW} OR lease.holder = :holder RETURNING token
""")  # noqa: S608
#: Nobody has acted since while the token is still there, however long the database did not answer.
_RENEW = text(f"""
UPDATE lease SET expires_at = {_NOW} + :ttl WHERE name = :name AND holder = :holder AND token = :token RETURNING token
""")  # noqa: S608
_RELEASE = text("UPDATE lease SET expires_at = 0 WHERE name = :name AND holder = :holder AND token = :token")
_FENCED = text(f"""
SELECT set_config('idle_in_transaction_session_timeout', '{IDLE_MS}', true) FROM lease
WHERE name = '{NAME}' AND token = :token AND expires_at > {_NOW} FOR SHARE
""")  # noqa: S608


def holds(connection: Connection, token: int) -> bool:
    """True while this token is the newest and not expired; until the transaction ends nobody else can take over.

    A holder that falls asleep inside the transaction loses it: the database ends the session.
    """
    return connection.execute(_FENCED, {"token": token}).first() is not None


class Lease:
    """One candidate. ``take`` once in a while, ``keep`` while it is held; both from one thread at a time."""

    def __init__(
        self,
        url: str,
        holder: str,
        *,
        ttl: timedelta = TTL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``holder`` names the data folder: its lock sees to it that one process alone uses the name."""
        self.holder, self._ttl, self._monotonic = holder, ttl.total_seconds(), monotonic
        self.renew_every, self.ask_every = RENEW * self._ttl, ASK * self._ttl  #: seconds
        self._engine = _direct(url)
        self._token, self._sent = 0, 0.0

    @property
    def token(self) -> int:
        """The token while the lease is surely held, else 0: counted from before the renewal was sent."""
        held = self._token and self._monotonic() - self._sent < FENCE * self._ttl
        return self._token if held else 0

    def take(self) -> int:
        """Become the one who acts, if nobody else is: the new token, else 0. The same holder is our own former life."""
        return self._token if self._say(_TAKE, {"holder": self.holder}, keep=False) else 0

    def keep(self) -> bool:
        """Renew. False: somebody else has it, and it never comes back under this token.

        True as well while the database does not answer: then ``token`` alone says for how long we may act.
        """
        return self._say(_RENEW, {"holder": self.holder, "token": self._token}, keep=True)

    def _say(self, statement: object, values: dict[str, object], *, keep: bool) -> bool:
        sent = self._monotonic()
        given = {"name": NAME, "ttl": round(self._ttl * 1000), **values}
        try:
            with self._engine.begin() as connection:
                token = connection.execute(statement, given).scalar()  # type: ignore[call-overload]
        except SQLAlchemyError as error:
            log.warning("the lease cannot be asked for", error=str(getattr(error, "orig", error)))
            return keep
        self._token, self._sent = int(token or 0), sent
        return token is not None

    def release(self) -> None:
        """Let the next one take over at once."""
        if self._token:
            try:
                with self._engine.begin() as connection:
                    values = {"name": NAME, "holder": self.holder, "token": self._token}
                    connection.execute(_RELEASE, values)
            except SQLAlchemyError as error:
                log.warning("the lease was not released; it runs out by itself", error=str(error))
        self._token = 0
        self._engine.dispose()

    def refuse_pooler(self) -> None:
        """Raises ConfigError when transactions of one session meet different servers: locks and settings leak there.

        Two sessions, and the second in the middle of a transaction: a pooler must give the first another server.
        """
        pooled: list[bool | DBAPIError] = []
        asking = threading.Thread(target=lambda: pooled.append(self._is_pooled()), daemon=True)
        asking.start()
        asking.join(POOLED_SECONDS)
        if pooled and isinstance(pooled[0], DBAPIError):
            raise StoreError(f"state database: {pooled[0].orig}") from pooled[0]
        if pooled != [False]:  # a pool of one makes the second session wait for ever
            raise ConfigError(
                "this is a pooler that shares sessions between transactions (pgbouncer's pool_mode transaction); "
                "give the address of PostgreSQL itself",
                key="store.state.url",
            )

    def _is_pooled(self) -> bool | DBAPIError:
        try:
            with self._engine.connect() as one, self._engine.connect() as other:
                first = _server(one)
                one.commit()
                _server(other)  # its transaction stays open
                second = _server(one)
                one.commit()
                other.commit()
        except DBAPIError as error:
            return error
        return first != second


def _server(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def _direct(url: str) -> Engine:
    """Sessions of our own that give up soon: a lease that hangs is a lease that is lost."""
    return create_engine(
        url,
        pool_size=2,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 3, "tcp_user_timeout": STATEMENT_MS},
    )
