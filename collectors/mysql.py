"""MySQL, MariaDB and Percona Server, read by PyMySQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from . import mysql_status as ask
from .base import STRICT
from .database import Database
from .one_thread import OneThread
from .part import ServerPart
from .sql_server import SqlServer

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


@dataclass(kw_only=True, config=STRICT)
class Mysql(ServerPart):
    """Global status and variables, replication, transactions, and the costliest statements where they are recorded.

    Good for: MySQL 5.7 and later, MariaDB 10.3 and later; names as mysqld_exporter's. Not for: sizes of single tables.
    """

    KIND: ClassVar[str] = "mysql"
    PORT: ClassVar[int] = 3306

    username: str = "watchkeeper"  #: needs PROCESS and REPLICATION CLIENT (docs/databases.md)
    tls: bool = False  #: TLS with the server's certificate checked; without, TLS unchecked where it is offered
    max_bytes: int = Field(default=16 << 20, gt=0)  #: all answers of one reading together
    statements: int = Field(default=20, ge=0, le=500)  #: costliest statements of performance_schema; 0: none
    sample_limit: int = Field(default=10_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        super().__post_init__()
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

    async def close(self) -> None:
        self._server.close()

    def _url(self) -> URL:
        from sqlalchemy.engine import URL

        password = self.secret()
        return URL.create("mysql+pymysql", self.username, password or None, self._host, self._port)
