"""PostgreSQL, read by psycopg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from . import postgresql_views as ask
from .base import STRICT, Sheet, target_labels
from .credentials import one_secret, split_address
from .database import Database
from .one_thread import OneThread
from .sql_server import SqlServer

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(kw_only=True, config=STRICT)
class Postgresql:
    """Databases, sizes, settings, replication, locks, sessions, checkpoints, dead rows and the costliest statements.

    Good for: PostgreSQL 12 and later; names as postgres_exporter's. Not for: pgbouncer's own figures.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    address: str  #: host:port
    database: str = "postgres"  #: where it connects; tables and statements are those of this one
    username: str = "watchkeeper"  #: needs the role pg_monitor (docs/databases.md)
    password: SecretStr | None = None
    password_file: str = ""  #: file with the password, read for every reading
    tls: bool = False  #: TLS with the server's certificate and name checked; without, TLS unchecked where it is offered
    ca_file: str = ""  #: authorities to check against; the system's when empty
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole reading
    statements: int = Field(default=20, ge=0, le=500)  #: costliest statements of pg_stat_statements; 0: none
    sample_limit: int = Field(default=10_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; the address when empty

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, 5432)
        where = f"{self._host}:{self._port}"
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self._sheet = Sheet(f"postgresql/{self.name}", self.target_labels, limit=self.sample_limit)
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

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        self._server.close()

    def _url(self) -> URL:
        from sqlalchemy.engine import URL

        password = one_secret(self.password, self.password_file)
        where = (self._host, self._port, self.database)
        return URL.create("postgresql+psycopg", self.username, password or None, *where)
