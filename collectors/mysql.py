"""MySQL, MariaDB and Percona Server, read by PyMySQL."""

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

from . import mysql_status as ask
from .base import STRICT, Sheet, target_labels
from .credentials import one_secret, split_address
from .database import Database
from .one_thread import OneThread
from .sql_server import SqlServer

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(kw_only=True, config=STRICT)
class Mysql:
    """Global status and variables, replication, transactions, and the costliest statements where they are recorded.

    Good for: MySQL 5.7 and later, MariaDB 10.3 and later; names as mysqld_exporter's. Not for: sizes of single tables.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    address: str  #: host:port
    username: str = "watchkeeper"  #: needs PROCESS and REPLICATION CLIENT (docs/databases.md)
    password: SecretStr | None = None
    password_file: str = ""  #: file with the password, read for every reading
    tls: bool = False  #: TLS with the server's certificate checked; without, TLS unchecked where it is offered
    ca_file: str = ""  #: authorities to check against; the system's when empty
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole reading
    max_bytes: int = Field(default=16 << 20, gt=0)  #: all answers of one reading together
    statements: int = Field(default=20, ge=0, le=500)  #: costliest statements of performance_schema; 0: none
    sample_limit: int = Field(default=10_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; the address when empty

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, 3306)
        where = f"{self._host}:{self._port}"
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self._sheet = Sheet(f"mysql/{self.name}", self.target_labels, limit=self.sample_limit)
        self._server = SqlServer(
            self._sheet,
            "mysql_up",
            {
                "status": ask.status,
                "variables": ask.variables,
                "replica": ask.replica,
                "transactions": ask.transactions,
                "statements": lambda connection: ask.statements(connection, self.statements),
            },
            lambda url: Database(url, self.timeout, max_bytes=self.max_bytes, tls=self.tls, ca_file=self.ca_file),
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
        return URL.create("mysql+pymysql", self.username, password or None, self._host, self._port)
