"""PostgreSQL, read by psycopg."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from . import postgresql_views as ask
from .base import STRICT
from .database import Database
from .one_thread import OneThread
from .part import ServerPart
from .sql_server import SqlServer

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(kw_only=True, config=STRICT)
class Postgresql(ServerPart):
    """Databases, sizes, settings, replication, locks, sessions, checkpoints, dead rows and the costliest statements.

    Good for: PostgreSQL 12 and later; names as postgres_exporter's. Not for: pgbouncer's own figures.
    """

    KIND: ClassVar[str] = "postgresql"
    PORT: ClassVar[int] = 5432

    database: str = "postgres"  #: where it connects; tables and statements are those of this one
    username: str = "watchkeeper"  #: needs the role pg_monitor (docs/databases.md)
    tls: bool = False  #: TLS with the server's certificate and name checked; without, TLS unchecked where it is offered
    statements: int = Field(default=20, ge=0, le=500)  #: costliest statements of pg_stat_statements; 0: none
    sample_limit: int = Field(default=10_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        super().__post_init__()
        self._server = SqlServer(
            self._sheet,
            "pg_up",
            {
                **{one.__name__: one for one in (ask.server, ask.databases, ask.sizes, ask.settings, ask.replication)},
                **{one.__name__: one for one in (ask.standbys, ask.locks, ask.activity, ask.writing, ask.tables)},
                "statements": lambda connection: ask.statements(connection, self.statements),
            },
            lambda url: Database(url, self.timeout, tls=self.tls, ca_file=self.ca_file),
        )
        self._thread = OneThread()

    @property
    def problems(self) -> Mapping[str, str]:
        """Question -> what the server said instead of answering it, in the last reading."""
        return self._server.problems

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        url = self._url()
        return await self._thread.run(lambda: self._server.read(now, url), self.timeout)

    async def close(self) -> None:
        self._server.close()

    def _url(self) -> URL:
        from sqlalchemy.engine import URL

        password = self.secret()
        where = (self._host, self._port, self.database)
        return URL.create("postgresql+psycopg", self.username, password or None, *where)
