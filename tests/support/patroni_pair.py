"""A PostgreSQL cluster under Patroni, with etcd: what Debian ships, on free ports, with a short lease."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.driven import Driven, silence
from support.haproxy import wait_until
from support.queue_servers import etcd
from support.servers import Running, free_port, need, own_folder, psql, start

#: Seconds: Patroni's own lower limits are 20 for the lease of a leader, 1 for its loop (config.py, get_int_value).
LEASE, LOOP = 20, 1


@dataclass
class Member:
    name: str
    api: int
    port: int
    folder: Path
    running: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api}"

    def kill(self) -> None:
        """Agent and PostgreSQL at once, as the death of their machine would."""
        assert self.running is not None
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        self.running.kill()
        with suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGKILL)
        self.running = None

    def leads(self) -> bool:
        """Its own word that it is the primary, as a proxy would ask for it."""
        try:
            with urllib.request.urlopen(f"{self.url}/primary", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@dataclass
class Cluster:
    etcd: Running
    members: list[Member] = field(default_factory=list)

    @property
    def target(self) -> dict[str, Any]:
        return {"name": "db", "kind": "patroni", "members": [each.url for each in self.members]}

    def start(self, member: Member) -> None:
        config = member.folder / "patroni.json"
        argv = ["/usr/bin/python3", need("patroni"), str(config)]
        ready = f"{member.url}/liveness"
        member.running = start(argv, ready, cwd=member.folder, user="postgres", url=member.url, port=member.api)

    def leader(self) -> str:
        return next((each.name for each in self.members if each.running and each.leads()), "")

    def timeline(self) -> int:
        """How often the primary was another one, plus one: from the name of the log it writes."""
        leader = next(each for each in self.members if each.running and each.leads())
        ((name,),) = psql(leader.port, "select pg_walfile_name(pg_current_wal_lsn())")
        return int(name[:8], 16)

    def streaming(self) -> bool:
        """Every member that runs follows the leader, without a lag, by Patroni's own word."""
        leader = next((each for each in self.members if each.running and each.leads()), None)
        if leader is None:
            return False
        with urllib.request.urlopen(f"{leader.url}/cluster", timeout=2) as answer:
            rows = json.loads(answer.read())["members"]
        follow = [row for row in rows if row["role"] != "leader"]
        steady = all(row["state"] in ("running", "streaming") and row.get("lag") == 0 for row in follow)
        walreceivers = "select count(*) from pg_stat_replication where application_name <> 'pg_basebackup'"
        return steady and psql(leader.port, walreceivers) == [[str(len(follow))]] and len(rows) == len(self.members)


@contextmanager
def cluster(tmp: Path, names: Sequence[str] = ("a", "b"), *, lease: int = LEASE, loop: int = LOOP) -> Iterator[Cluster]:
    """Its first member leads, the others stream from it."""
    with ExitStack() as stack:
        made = Cluster(stack.enter_context(etcd(tmp)))
        for name in names:
            member = Member(name, free_port(), free_port(), own_folder(tmp, f"patroni-{name}", "postgres"))
            text = json.dumps(_config(made, member, lease, loop))
            (member.folder / "patroni.json").write_text(text)
            made.members.append(member)
            made.start(member)
            stack.callback(_stop, member)
            if name == names[0]:
                wait_until(member.leads, 120)
        wait_until(made.streaming, 120)
        yield made


def _stop(member: Member) -> None:
    if member.running is not None:
        member.running.stop(within=3.0)


def _config(made: Cluster, member: Member, lease: int, loop: int) -> dict[str, Any]:
    where = str(Path(need("pg_rewind")).resolve().parent)
    login = {"username": "postgres", "password": "p"}
    return {
        "scope": "shop",
        "name": member.name,
        "restapi": {"listen": f"127.0.0.1:{member.api}", "connect_address": f"127.0.0.1:{member.api}"},
        "etcd3": {"hosts": [f"127.0.0.1:{made.etcd.port}"]},
        "bootstrap": {
            "dcs": {
                "ttl": lease,
                "loop_wait": loop,
                "retry_timeout": 3,
                "maximum_lag_on_failover": 1 << 20,
                "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 30}},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
        },
        "postgresql": {
            "listen": f"127.0.0.1:{member.port}",
            "connect_address": f"127.0.0.1:{member.port}",
            "data_dir": str(member.folder / "data"),
            "bin_dir": where,
            "pgpass": str(member.folder / "pgpass"),
            "authentication": {"superuser": login, "replication": login, "rewind": login},
            "parameters": {"fsync": "off", "unix_socket_directories": str(member.folder)},
            "pg_hba": [
                "local all all trust",
                "host all all 127.0.0.1/32 trust",
                "host replication all 127.0.0.1/32 trust",
            ],
        },
        "watchdog": {"mode": "off"},
    }


@contextmanager
def driven(tmp: Path) -> Iterator[Driven]:
    with cluster(tmp) as made, silence() as port:
        yield Driven(
            settings=made.target,
            parameters={"primary": "b"},
            effects=lambda: made.timeline() - 1,
            hang={"members": [f"http://127.0.0.1:{port}"], "timeout_seconds": 0.1},
            settle=lambda: wait_until(made.streaming, 120),
        )
