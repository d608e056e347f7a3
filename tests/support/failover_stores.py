"""A Redis group and a PostgreSQL cluster whose primary dies, each watched by a real Watchkeeper that moves it.

The Sentinel waits ten minutes before it would act by itself: whoever moves Redis is Watchkeeper. Patroni acts by
itself when the dead leader's lease ends; Watchkeeper tells it whom to take, and both wait for that lease.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from support.failover import Double, one_copy, trusted
from support.failover_config import probe
from support.patroni_pair import LEASE, Cluster, cluster
from support.redis_group import Group, group
from support.servers import free_port
from support.up import Up, running

from remediation.actions.redis_nodes import talk
from watchkeeper.errors import ActionError

RULES = """
groups: []
remediations:
  - name: store_failover
    when: probe_success{{copy="primary"}} == 0
    observers: {{passive: '{passive}'}}
    confirm: 3 of 4
    interval: {looks}
    action: {kind}
    target: store
    link: store
    mode: auto
    owner: ada
    service: store
    verify: '{verify}'
    labels: {{service: store}}
"""
LINK = {"hold": "4s", "dwell": "10m", "cooldown": "5s", "budget": 10}
#: How often the user writes.
EVERY = 0.02


class Writer:
    """Somebody who writes all the time, to whoever is the primary; keeps when writes were taken."""

    def __init__(self, write: Callable[[], bool]) -> None:
        self.taken: list[tuple[float, float]] = []  #: begun, answered
        self._write, self._ending = write, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(EVERY):
            began = time.monotonic()
            if self._write():
                self.taken.append((began, time.monotonic()))

    def first_after(self, moment: float) -> float | None:
        """When the first write that began after the moment was answered."""
        return next((answered for began, answered in list(self.taken) if began > moment), None)

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One kill -9 of a primary. ``seconds``: until the next write was taken."""

    seconds: float
    beyond_lease: float
    confirmed: float  #: from the kill to the look that confirmed it and decided
    load: float  #: average of the machine, when it was over
    states: tuple[str, ...]  #: of the actions that touched something
    who: str  #: what the action's effect says: who was moved


@contextmanager
def _watched(
    folder: Path, kind: str, target: dict[str, Any], trial: dict[str, Any], looks: str = "1s", **link: Any
) -> Iterator[Up]:
    """``target`` moves ``link``'s primary; ``trial`` is where the way back is rehearsed."""
    sources, witness = link.pop("sources"), link.pop("witness")
    (folder / "rules").mkdir()
    (folder / "rules" / "store.yaml").write_text(RULES.format(kind=kind, looks=looks, **witness))
    with ExitStack() as ending:
        ports = {"north": free_port(), "south": free_port()}
        elsewhere = one_copy("elsewhere", *ports.values())
        ending.callback(_end, elsewhere)
        double = Double()
        ending.callback(double.stop)
        canaries = [probe(name, port, name) for name, port in ports.items()]
        sections: dict[str, Any] = {
            "collect": {"host": False, "own_logs": False, "sources": [*sources, *canaries]},
            "rules": {"packs": [], "directories": ["rules"]},
            "forecasting": {"enabled": False},
            "capacity": {"enabled": False},
            "notify": {"channels": []},
            "remediation": {
                "canaries": ["north", "south"],
                "targets": [{**target, "name": "store", "test_target": "trial"}, {**trial, "name": "trial"}],
                "links": [{"name": "store", "service": "store", "target": "store", **LINK, **link}],
                "default_severity": "P1",
            },
        }
        up = ending.enter_context(running(folder, **sections))
        up.sign_in()
        up.ask("POST", "/api/wk/rules/store_failover/rehearse", {})
        yield up


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _calm(up: Up, good: str, count: int) -> None:
    def seen() -> bool:
        from urllib.parse import quote

        rows = up.ask("GET", f"/api/v1/query?query={quote(good)}")["data"]["result"]
        return bool(rows) and float(rows[0]["value"][1]) == count

    up.until("every witness is good", seen)

    @dataclass
    class Bare:
        up: Up

    trusted(Bare(up))  # type: ignore[arg-type]  # it only reads the engine's log


def _measured(up: Up, writer: Writer, killed: float, lease: float) -> Switch:
    wall = time.time() - (time.monotonic() - killed)
    up.until("a write is taken again", lambda: writer.first_after(killed), 120)

    def done() -> list[dict[str, Any]]:
        rows = up.ask("GET", "/api/wk/actions")["actions"]
        return [row for row in rows if row["plan"]["rule"] == "store_failover" and row["state"] in ENDED]

    rows = up.until("the action is over", done, 120)
    seconds = (writer.first_after(killed) or killed) - killed
    wanted = str(dict(rows[0]["plan"]["desired"]))
    steps = up.ask("GET", f"/api/wk/actions/{rows[0]['id']}")["timeline"]
    why = f": {steps[-1]['reason']}"
    states = tuple(row["state"] + why * (row["state"] != "succeeded") for row in rows)
    decided = (each["at"] for each in steps if each["new_state"] == "executing")
    return Switch(
        seconds=seconds,
        beyond_lease=seconds - lease,
        confirmed=next((datetime.fromisoformat(at).timestamp() - wall for at in decided), math.nan),
        load=os.getloadavg()[0],
        states=states,
        who=wanted,
    )


ENDED = ("succeeded", "rolled_back", "escalated", "aborted", "suppressed")


def redis() -> Switch:
    with tempfile.TemporaryDirectory(prefix="wk-redis-") as text, ExitStack() as stack:
        folder = Path(text)
        for name in ("shop", "trial", "up"):
            (folder / name).mkdir()
        made, trial = (stack.enter_context(group(folder / name)) for name in ("shop", "trial"))
        copies = [("primary", made.nodes[0].port), ("backup", made.nodes[1].port)]
        sources: list[dict[str, Any]] = [
            {
                "kind": "tcp_probe", "name": name, "address": f"127.0.0.1:{port}", "interval": "500ms", "timeout": 0.4,
                "send": "PING\r\n", "expect": "PONG", "service": "store", "labels": {"copy": name},
            }
            for name, port in copies
        ]  # fmt: skip
        replica = {"kind": "redis", "name": "replica", "address": made.address(1), "interval": "500ms", "timeout": 0.4}
        sources.append({**replica, "service": "store"})
        # Replicas alone tell their link: once promoted the backup says no more of it, so its role is asked for.
        role = {"name": "leads", "send": "ROLE\r\n", "expect": r"\$6\r\nmaster", "labels": {"leads": "backup"}}
        sources.append({**sources[1], **role})
        witness = {"passive": "redis_master_link_up == 0", "verify": 'probe_success{leads="backup"} == 0'}
        link = {
            "primary": made.address(0),
            "backup": made.address(1),
            "primary_probe": 'probe_success{copy="primary"}',
            "backup_probe": 'probe_success{copy="backup"}',
        }
        trial_target = {**trial.target, "test_parameters": {"primary": trial.address(1)}}
        up = stack.enter_context(
            _watched(
                folder / "up",
                "redis_sentinel",
                made.target,
                trial_target,
                "500ms",
                sources=sources,
                witness=witness,
                **link,
            )
        )
        seen = 'probe_success{leads=""}[5s]'
        _calm(up, f"count(min_over_time({seen}) == 1 and count_over_time({seen}) >= 4)", 4)
        writer = Writer(lambda: _redis_write(made))
        stack.callback(writer.stop)
        up.until("writes are taken", lambda: len(writer.taken) > 3)
        made.nodes[0].kill()
        killed = time.monotonic()
        return _measured(up, writer, killed, 0.0)


def _redis_write(made: Group) -> bool:
    try:
        ask = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")]
        (address,) = talk(f"127.0.0.1:{made.sentinel.port}", ask, timeout=1.0)
        assert isinstance(address, list)
        (answer,) = talk(":".join(map(str, address)), [("SET", "k", "v")], timeout=1.0)
    except ActionError:
        return False
    return answer == "OK"


def patroni() -> Switch:
    with tempfile.TemporaryDirectory(prefix="wk-patroni-") as text, ExitStack() as stack:
        folder = Path(text)
        for name in ("shop", "trial", "up"):
            (folder / name).mkdir()
        made, trial = (stack.enter_context(cluster(folder / name)) for name in ("shop", "trial"))
        sources: list[dict[str, Any]] = []
        for name, member in zip(("primary", "backup"), made.members, strict=True):
            path = "primary" if name == "primary" else "liveness"
            found = probe(name, member.api, "store", copy=name)
            found["steps"][0]["url"] += path
            port = {"kind": "tcp_probe", "name": f"{name}-port", "address": f"127.0.0.1:{member.port}"}
            sources += [found, {**port, "interval": "1s", "timeout": 0.8, "service": "store", "labels": {"port": name}}]
        leads = probe("leads", made.members[1].api, "store", leads="backup")
        leads["steps"][0]["url"] += "primary"
        witness = {"passive": 'probe_success{port="primary"} == 0', "verify": 'probe_success{leads="backup"} == 0'}
        link = {
            "primary": "a",
            "backup": "b",
            "primary_probe": 'probe_success{copy="primary"}',
            "backup_probe": 'probe_success{copy="backup"}',
        }
        trial_target = {**trial.target, "test_parameters": {"primary": "b"}}
        given: dict[str, Any] = {"sources": [*sources, leads], "witness": witness, **link}
        up = stack.enter_context(_watched(folder / "up", "patroni", made.target, trial_target, **given))
        _calm(up, 'count(min_over_time(probe_success{leads=""}[5s]) == 1)', 6)
        writer = Writer(lambda: _sql_write(made))
        stack.callback(writer.stop)
        up.until("writes are taken", lambda: len(writer.taken) > 3)
        made.members[0].kill()
        killed = time.monotonic()
        return _measured(up, writer, killed, LEASE)


def _sql_write(made: Cluster) -> bool:
    import psycopg

    for member in made.members:
        where = f"host=127.0.0.1 port={member.port} user=postgres dbname=postgres connect_timeout=1"
        try:
            with psycopg.connect(where, autocommit=True) as connection:
                connection.execute("create table if not exists w (n int)")
                connection.execute("insert into w values (1)")
        except psycopg.Error:
            continue
        return True
    return False
