"""Three engines' remediation on one PostgreSQL, one actuator, one pool of servers that always wants a change.

``main`` is one engine, or the actuator; ``Watchers`` starts, freezes and kills them, and reads what happened.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from support.remediator import Pool
from support.remedies import RULE

from remediation.actuator import SocketClient, serve
from remediation.book import REHEARSED_KEY
from remediation.engine import Remediator
from remediation.settings import Breakers, Budgets, Settings
from remediation.situation import Facts, Watched
from watchkeeper.app.lead import Leading
from watchkeeper.errors import ActionError, WatchkeeperError
from watchkeeper.model import Intent, Labels, Observation, RemedyRule, Target
from watchkeeper.ports import Reading
from watchkeeper.store.state import State
from watchkeeper.store.state.lease import Lease
from watchkeeper.telemetry import Telemetry

SECOND = timedelta(seconds=1)
WEB: dict[str, Any] = {"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}
#: Nothing rests: there is always something to do, so that every moment is one at which something can go wrong.
RESTLESS = Settings(
    targets=[WEB], cooldown=timedelta(0), flap_changes=10**9, foreign_hold=timedelta(0), retry_after=timedelta(0),
    budgets=Budgets(actions=10**9, per_day=10**9, failovers=10**9), observe_after_gap=timedelta(milliseconds=100),
    breakers=Breakers(rule_failures=10**9, global_failures=10**9, rollback_failures=10**9), read_every=SECOND,
    verify_within=2 * SECOND, deadline=20 * SECOND, default_severity="P1",
)  # fmt: skip


def rules() -> list[RemedyRule]:
    """One drains a server, the other makes it ready again."""
    common: dict[str, Any] = {
        "confirm_k": 1, "confirm_n": 1, "interval": 2 * SECOND, "hold": timedelta(0), "cooldown": timedelta(0),
        "service": "",
    }  # fmt: skip
    return [
        replace(RULE, name=word, parameters={word: "web1"}, when=word, verify=f"not_{word}", **common)
        for word in ("drain", "ready")
    ]


class Filed(Pool):
    """Servers whose states outlive the process; each effect is a line on disk with its token and its key."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file, self.log = folder / "pool.json", folder / "effects"
        if not self.file.exists():
            self._keep()

    def _keep(self) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.servers))
        fresh.replace(self.file)

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        self.servers = json.loads(self.file.read_text())
        return super().read(target, settings)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        with self.log.open("a") as out:
            out.write(
                json.dumps({"token": intent.token, "key": intent.idempotency_key, "action": intent.action_id}) + "\n"
            )
        done = super().apply(desired, intent, settings)
        self._keep()
        return done


class Watcher:
    """One engine: its lease, its remediator, and what it sees."""

    def __init__(self, url: str, folder: Path, name: str, ttl: float) -> None:
        self.state, self.folder = State(url), folder
        own = folder / name
        own.mkdir(exist_ok=True)
        self.leads = Leading(self.state, Lease(url, name, ttl=timedelta(seconds=ttl)), Telemetry())
        self.client = SocketClient(folder / "a.sock", timeout=3.0)
        self.remediator = Remediator(self.state, RESTLESS, rules(), self.client, data_dir=own, monotonic=time.monotonic)

    def drained(self) -> bool:
        servers = json.loads((self.folder / "pool.json").read_text())
        return bool(servers["web1"]["state"] == "drain")

    def query(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        """The symptom of ``drain`` is a server that is not drained yet."""
        assert at.tzinfo is not None
        return [((), float((expr == "not_drain") != self.drained()))]

    async def step(self) -> None:
        now, monotonic = datetime.now(UTC), time.monotonic()
        wanted = "ready" if self.drained() else "drain"
        seen = [
            Observation(
                rule=name, at=now, bad=name == wanted, observers={"probe": name == wanted}, newest_sample_at=now
            )
            for name in ("drain", "ready")
        ]
        watched = [Watched(name=f"t{number}", service=f"s{number}", up=True) for number in range(5)]
        facts = Facts(query=self.query, watched=watched, leader=self.leads())
        await self.remediator.step(now, monotonic, seen, facts)

    async def run(self) -> None:
        self.leads.start(_nothing, lambda: os._exit(75))
        while True:
            if self.leads():
                try:
                    await self.step()
                except WatchkeeperError:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)


async def _nothing() -> None:
    pass


#: Whoever dies is there again at once, from a process that has imported everything: Python's start is not tried.
WARM = multiprocessing.get_context("forkserver")


class Watchers:
    """The processes. ``names`` of engines: a, b, c."""

    def __init__(self, url: str, folder: Path, ttl: float) -> None:
        self.url, self.folder, self.ttl = url, folder, ttl
        state = State(url)
        with state.begin() as unit:
            unit.documents.put(f"{REHEARSED_KEY}haproxy/web", {"at": "now"}, at=datetime.now(UTC))
        state.close()
        Filed(folder)
        WARM.set_forkserver_preload(["support.watchers"])
        self.processes: dict[str, ForkServerProcess] = {}
        for name in ("actuator", "a", "b", "c"):
            self.start(name)

    def start(self, name: str) -> None:
        self.processes[name] = WARM.Process(target=main, args=(name, self.url, self.folder, self.ttl), daemon=True)
        self.processes[name].start()

    def tend(self) -> None:
        """Whoever ended is started again, as ``up`` does."""
        for name, process in self.processes.items():
            if process.exitcode is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].join(10)

    def freeze(self, name: str) -> None:
        self._send(name, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        self._send(name, signal.SIGCONT)

    def _send(self, name: str, sign: signal.Signals) -> None:
        pid = self.processes[name].pid
        assert pid is not None
        with suppress(ProcessLookupError):  # it ended by itself, when it found that another one leads
            os.kill(pid, sign)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.join(10)

    def effects(self) -> list[dict[str, Any]]:
        file = self.folder / "effects"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [json.loads(line) for line in lines]


def main(name: str, url: str, folder: Path, ttl: float) -> None:
    """One process, until it is killed; what it says is kept."""
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for output in (1, 2):
        os.dup2(log, output)
    try:
        if name == "actuator":
            pool, kill_switch = Filed(folder), folder / "kill-switch"
            asyncio.run(serve(folder / "a.sock", folder / "journal", [WEB], kill_switch, kinds=lambda _: pool))
        else:
            asyncio.run(Watcher(url, folder, name, ttl).run())
    except ActionError as error:
        sys.exit(str(error))
