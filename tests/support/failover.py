"""A dual link as somebody runs it: two copies behind HAProxy, a user, robots, and a real Watchkeeper.

HAProxy checks nothing by itself (its server lines have no ``check``) and holds the backup in maintenance, so whoever
moves the traffic is Watchkeeper. Everything that Watchkeeper sees goes over wires that can be cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from support.failover_config import HAPROXY, rules, sections
from support.robots import Robots, robots
from support.servers import Running, free_port, haproxy
from support.up import Up, running
from support.wires import Wires

HERE = Path(__file__).parent
#: Requests a second of the user.
PER_SECOND = 50
GAPS = "watchkeeper_clock_gaps_total"
#: ``observe_after_gap`` where nothing else is said, and a beat.
DISTRUST, BEAT = 30.0, 2.0
#: States of an action that has touched nothing.
UNTOUCHED = frozenset({"observed", "confirming", "cleared", "suppressed", "dry_run", "suggested", "aborted"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the user: monotonic seconds, and who answered, or ``!`` and what went wrong."""

    sent: float
    taken: float
    who: str

    @property
    def answered(self) -> float:
        return self.sent + self.taken

    @property
    def failed(self) -> bool:
        return self.who.startswith("!")


class User:
    """Somebody who uses the service all the time, in a process of their own."""

    def __init__(self, port: int, file: Path) -> None:
        self.file = file
        argv = [sys.executable, str(HERE / "one_client.py"), str(port), str(PER_SECOND), str(file)]
        self._process = subprocess.Popen(argv)

    def requests(self, since: float = 0.0) -> list[Request]:
        """What was answered so far, in the order in which it was sent."""
        text = self.file.read_text() if self.file.exists() else ""
        lines = [line.split(" ", 2) for line in text[: text.rfind("\n") + 1].splitlines()]
        found = [Request(float(sent), float(taken), who) for sent, taken, who in lines]
        return sorted((one for one in found if one.sent >= since), key=lambda one: one.sent)

    def last(self) -> str:
        found = self.requests(time.monotonic() - 1.0)
        return found[-1].who if found else ""

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Double:
    """The robots on a loop of their own, beside real processes."""

    def __init__(self) -> None:
        self.robots = Robots()
        self._loop = asyncio.new_event_loop()
        self._ready, self._ending = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="robots", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with robots() as self.robots:
            self._ready.set()
            await self._ending.wait()
        await asyncio.sleep(0.1)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(5)

    def texts(self, kind: str) -> list[str]:
        """Every message a robot took, oldest first, with its title in front."""
        found = []
        for request in list(self.robots.accepted):
            if request.kind == kind:
                body = request.json[request.json["msgtype"]]
                found.append(f"{body.get('title', '')}\n{body.get('text') or body.get('content', '')}")
        return found

    def count(self, kind: str, *words: str) -> int:
        """Messages that hold all of these words."""
        return sum(all(word in text for word in words) for text in self.texts(kind))


@dataclass
class Estate:
    """Everything that runs."""

    up: Up
    user: User
    double: Double
    wires: Wires
    copies: dict[str, subprocess.Popen[bytes]]
    ports: dict[str, int]
    proxy: Running
    frozen: list[int] = field(default_factory=list)

    def kill(self, *names: str) -> float:
        """``kill -9``; when it was done, by the clock that the user writes down."""
        for name in names:
            self.copies[name].send_signal(signal.SIGKILL)
        at = time.monotonic()
        for name in names:
            self.copies[name].wait()
        return at

    def revive(self, name: str) -> None:
        self.copies[name] = one_copy(name, self.ports[name])

    def freeze(self) -> None:
        """Stop engine and actuator in mid-step, as a paused virtual machine would."""
        self.frozen = [pid for pid in self.up.pids() if named(pid) in ("engine", "actuator")]
        assert len(self.frozen) == 2, self.frozen
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def wake(self) -> None:
        for pid in self.frozen:
            os.kill(pid, signal.SIGCONT)
        self.frozen = []

    def actions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.up.ask("GET", "/api/wk/actions")["actions"]
        return found

    def states(self, rule: str = "checkout_failover") -> list[str]:
        return [str(row["state"]) for row in self.actions() if row["plan"]["rule"] == rule]

    def touched(self, rule: str) -> list[str]:
        """States of those actions of the rule that did something; one that was called off before is none."""
        return [state for state in self.states(rule) if state not in UNTOUCHED]

    def since(self, known: Collection[str]) -> list[dict[str, Any]]:
        """Actions besides those."""
        return [row for row in self.actions() if row["id"] not in known]

    def value(self, query: str) -> float | None:
        from urllib.parse import quote

        rows = self.up.ask("GET", f"/api/v1/query?query={quote(query)}")["data"]["result"]
        return float(rows[0]["value"][1]) if rows else None

    def pauses(self) -> int:
        """How often the engine noticed that it had stood still, from its own counter."""
        text = self.up.text("/metrics")
        return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith(GAPS))))

    def servers(self) -> dict[str, str]:
        """What HAProxy itself says about the two copies: ready, drain or maint."""
        from remediation.actions.haproxy import Haproxy
        from watchkeeper.model import Target

        settings = {"socket": str(self.proxy.log.parent / "api.sock"), "backend": "shop"}
        reading = Haproxy().read(Target(kind="haproxy", name="web"), settings)
        return {name: str(dict(state)["state"]) for name, state in reading.state.items()}  # type: ignore[call-overload]

    def until(self, what: str, look: Callable[[], Any], seconds: float = 120.0) -> Any:
        return self.up.until(what, look, seconds)


def named(pid: int) -> str:
    """``engine`` of ``python -m watchkeeper engine``."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return words[words.index("watchkeeper") + 1] if "watchkeeper" in words else ""


def one_copy(name: str, *ports: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / "one_copy.py"), name, *map(str, ports)])


@contextmanager
def estate(folder: Path, *, mode: str = "auto", **remediation: Any) -> Iterator[Estate]:
    """Started and settled: the primary serves, every witness has been good for a while, the way back is rehearsed."""
    names = ("primary", "backup", "figures", "control", "north", "south")
    ports = {name: free_port() for name in names}
    (folder / "rules").mkdir()
    (folder / "rules" / "checkout.yaml").write_text(rules(mode))
    with ExitStack() as ending:
        double = Double()
        ending.callback(double.stop)
        copies = {name: one_copy(name, ports[name]) for name in ("primary", "backup")}
        copies["elsewhere"] = one_copy("elsewhere", ports["north"], ports["south"])
        ending.callback(lambda: _end(*copies.values()))
        proxy = ending.enter_context(haproxy(HAPROXY.format(**ports), folder))
        wires = Wires()
        ending.callback(wires.close)
        seen = {name: wires.to(port) for name, port in {**ports, "front": proxy.port}.items()}
        user = User(proxy.port, folder / "requests.log")
        ending.callback(user.stop)
        up = ending.enter_context(running(folder, **sections(double.robots.base, seen, remediation)))
        found = Estate(up, user, double, wires, copies, ports, proxy)
        ending.callback(found.wake)  # a frozen child cannot be stopped politely
        settle(found)
        yield found


def settle(found: Estate) -> None:
    found.up.sign_in()
    found.up.ask("POST", "/api/wk/rules/checkout_failover/rehearse", {})
    calm(found)


def calm(found: Estate) -> None:
    """Wait until the primary serves, every witness has been good for a while and the engine trusts itself."""
    found.until("the primary serves", lambda: found.user.last() == "primary")
    good = "count(min_over_time(probe_success[5s]) == 1 and count_over_time(probe_success[5s]) >= 4)"
    found.until("every witness is good", lambda: found.value(good) == 5)
    trusted(found)


def trusted(found: Estate) -> None:
    """Wait until the engine has not stood still for longer than it distrusts itself after that."""
    said = str(found.up.config["remediation"].get("observe_after_gap", f"{DISTRUST:g}s"))
    distrust = float(said.removesuffix("s")) + BEAT
    while (at := _stood_still(found.up.data / "log" / "engine.log")) and time.time() - at < distrust:
        time.sleep(0.5)


def _stood_still(log: Path) -> float:
    """When the engine last noticed a pause that makes it observe only, by its log; 0 for never."""
    rows = [json.loads(line) for line in log.read_text().splitlines() if "woke late" in line]
    return max((datetime.fromisoformat(row["timestamp"]).timestamp() for row in rows if row["seconds"] >= 2), default=0)


def _end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def switched(requests: Sequence[Request], killed: float) -> float | None:
    """Seconds from the kill to the first answer of the backup."""
    moments = [one.answered for one in requests if one.sent >= killed and one.who == "backup"]
    return min(moments) - killed if moments else None


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other work on the machine: so many processes that never rest."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        _end(*running)
