"""Two MariaDB servers, the second following the first by GTID, both read-only when they start except for the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.driven import Driven, silence
from support.haproxy import wait_until
from support.servers import Running, mariadb_console, mariadb_server

USER = "watchkeeper"


@dataclass
class Pair:
    servers: dict[str, Running]

    @property
    def target(self) -> dict[str, Any]:
        addresses = {name: f"127.0.0.1:{each.port}" for name, each in self.servers.items()}
        return {
            "name": "db",
            "kind": "mysql",
            "servers": addresses,
            "user": USER,
            "password": "p",
            "timeout_seconds": 2.0,
            "catch_up_seconds": 2.0,
        }

    def ask(self, name: str, sql: str) -> list[list[str]]:
        return mariadb_console(self.servers[name].port, sql)

    def value(self, name: str, sql: str) -> str:
        return self.ask(name, sql)[0][0]

    def writable(self) -> list[str]:
        return [name for name in self.servers if self.value(name, "select @@global.read_only") == "0"]

    def follows(self, name: str) -> bool:
        said = "\n".join("\t".join(row) for row in self.ask(name, "show slave status"))
        return "\tYes\tYes\t" in said

    def switches(self) -> int:
        """How often a server was told whom to follow: once for each switch of a pair."""
        asked = "show global status like 'Com_change_master'"
        return sum(int(self.ask(name, asked)[0][1]) for name in self.servers)


@contextmanager
def pair(tmp: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        servers = {}
        for number, name in enumerate(("a", "b"), 1):
            (tmp / name).mkdir()
            options = [
                f"--server-id={number}",
                f"--gtid-domain-id={number}",
                "--log-bin=changes",
                "--log-slave-updates",
            ]
            servers[name] = stack.enter_context(mariadb_server(tmp / name, *options))
        made = Pair(servers)
        grants = "reload, replication slave, replication slave admin, read_only admin, replica monitor, binlog monitor"
        for name in servers:
            made.ask(
                name,
                f"set sql_log_bin=0; create user {USER}@'%' identified by 'p'; grant {grants} on *.* to {USER}@'%'",
            )
        port = servers["a"].port
        follow = (
            f"change master to master_host='127.0.0.1', master_port={port}, master_user='{USER}', master_password='p'"
        )
        made.ask(
            "b", f"set global read_only=1; {follow}, master_connect_retry=1, master_use_gtid=slave_pos; start slave"
        )
        wait_until(lambda: made.follows("b"))
        yield made


@contextmanager
def driven(tmp: Path) -> Iterator[Driven]:
    with pair(tmp) as made, silence() as port:

        def settled() -> bool:
            return sum(made.follows(name) for name in made.servers) == 1

        yield Driven(
            settings=made.target,
            parameters={"primary": "b"},
            effects=made.switches,
            hang={"servers": {"a": f"127.0.0.1:{port}"}, "timeout_seconds": 0.1, "catch_up_seconds": 0.1},
            settle=lambda: wait_until(settled),
        )
