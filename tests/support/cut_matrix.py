"""A dual link whose observer, proxy, primary and standby are hosts of their own, with every wire between them to cut.

The watcher looks at the service as its users do, through the proxy: its front door, and a door to each copy. So what
it sees is what the proxy can reach, and the truth of every combination of cuts is three wires: watcher to proxy,
proxy to primary, proxy to standby.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support.failover import HERE as SUPPORT
from support.failover import PER_SECOND, UNTOUCHED, Double, Estate, User, calm, settle, trusted
from support.failover_config import LINK, rules, sections
from support.namespaces import Net, net
from support.servers import need, start
from support.up import running
from support.wires import Wires

from remediation.actions.haproxy import Haproxy
from watchkeeper.model import Target

WATCHER, PROXY, PRIMARY, STANDBY, ELSEWHERE = "watcher", "proxy", "primary", "standby", "elsewhere"
HOSTS = (WATCHER, PROXY, PRIMARY, STANDBY)
WIRES = tuple(itertools.combinations(HOSTS, 2))
#: What may happen to a wire between two hosts: directions that are lost.
WAYS = ("", "there", "back", "both")
RULE, WAY_BACK = "checkout_failover", "checkout_failover:return"
FRONT, FIGURES, CONTROL, DOORS = 80, 8405, 9999, {"primary": 8001, "backup": 8002}
CONFIG = """
global
    stats socket {folder}/api.sock mode 600 level admin
    stats socket ipv4@:9999 level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 2s
    timeout server 500ms
    retries 0
frontend in
    bind :80
    default_backend shop
frontend figures
    bind :8405
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny
listen door-primary
    bind :8001
    server primary {primary}:80
listen door-backup
    bind :8002
    server backup {standby}:80
backend shop
    server primary {primary}:80
    server backup {standby}:80 disabled
backend rehearsal
    server primary {primary}:80
    server backup {standby}:80 disabled
"""


@dataclass(frozen=True)
class Case:
    """``ways``: of each wire, in the order of ``WIRES``."""

    ways: tuple[str, ...]

    def directions(self) -> Iterator[tuple[str, str]]:
        for (one, other), way in zip(WIRES, self.ways, strict=True):
            if way in ("there", "both"):
                yield one, other
            if way in ("back", "both"):
                yield other, one

    def whole(self, one: str, other: str) -> bool:
        return self.ways[WIRES.index((one, other))] == ""

    @property
    def should_switch(self) -> bool:
        """The users' path is broken, the standby would mend it, and whoever decides can see and say so."""
        reached = self.whole(WATCHER, PROXY) and self.whole(PROXY, STANDBY)
        return reached and not self.whole(PROXY, PRIMARY)

    def __str__(self) -> str:
        cut = [f"{one}-{other} {way}" for (one, other), way in zip(WIRES, self.ways, strict=True) if way]
        return ", ".join(cut) or "nothing"


def single() -> list[Case]:
    """Nothing cut, and every wire in every way."""
    whole = ("",) * len(WIRES)
    cut = [(*whole[:place], way, *whole[place + 1 :]) for place in range(len(WIRES)) for way in WAYS[1:]]
    return [Case(whole), *map(Case, cut)]


def every() -> list[Case]:
    """All combinations, 4,096 of them; the calm ones and the single ones first."""
    first = single()
    known = {case.ways for case in first}
    return [*first, *(Case(ways) for ways in itertools.product(WAYS, repeat=len(WIRES)) if ways not in known)]


class InProxy(User):
    """A user beside the proxy: no cut is between them."""

    def __init__(self, made: Net, file: Path) -> None:
        self.file = file
        argv = [sys.executable, str(SUPPORT / "one_client.py"), str(FRONT), str(PER_SECOND // 2), str(file)]
        self._process = subprocess.Popen(made.inside(PROXY, *argv))


class Divided(Estate):
    """An estate over a net that can be cut."""

    net: Net

    def servers(self) -> dict[str, str]:
        settings = {"socket": str(self.proxy.log.parent / "api.sock"), "backend": "shop"}
        reading = Haproxy().read(Target(kind="haproxy", name="web"), settings)
        return {name: str(dict(state)["state"]) for name, state in reading.state.items()}  # type: ignore[call-overload]


@contextmanager
def divided(folder: Path, **remediation: Any) -> Iterator[Divided]:
    """Started and settled."""
    (folder / "rules").mkdir()
    (folder / "rules" / "checkout.yaml").write_text(_rules())
    with ExitStack() as ending:
        made = ending.enter_context(net(PROXY, PRIMARY, STANDBY, ELSEWHERE))
        double = Double()
        ending.callback(double.stop)
        copies = {
            name: _copy(made, host, name)
            for name, host in (("primary", PRIMARY), ("backup", STANDBY), ("elsewhere", ELSEWHERE))
        }
        ending.callback(lambda: _end(*copies.values()))
        (folder / "haproxy").mkdir()
        config = folder / "haproxy" / "haproxy.cfg"
        config.write_text(
            CONFIG.format(folder=config.parent, primary=made.address(PRIMARY), standby=made.address(STANDBY))
        )
        argv = made.inside(PROXY, need("haproxy"), "-db", "-f", str(config))
        socket = config.parent / "api.sock"
        proxy = ending.enter_context(start(argv, socket.exists, cwd=config.parent))
        user = InProxy(made, folder / "requests.log")
        ending.callback(user.stop)
        wires = Wires()
        ending.callback(wires.close)
        up = ending.enter_context(running(folder, **_sections(made, double.robots.base, remediation)))
        found = Divided(up, user, double, wires, copies, {}, proxy)
        found.net = made
        settle(found)
        yield found


def _rules() -> str:
    """The users' own path decides, the proxy's own errors are the second witness."""
    text = rules("auto")
    return text.replace('when: probe_success{copy="primary"} == 0', 'when: probe_success{copy="front"} == 0')


def _sections(made: Net, robots: str, remediation: dict[str, Any]) -> dict[str, Any]:
    proxy, elsewhere = made.address(PROXY), made.address(ELSEWHERE)
    found = sections(
        robots, dict.fromkeys(("primary", "backup", "front", "north", "south", "figures", "control"), 1), {}
    )
    places = {"front": f"{proxy}:{FRONT}", "north": elsewhere, "south": elsewhere}
    places |= {name: f"{proxy}:{port}" for name, port in DOORS.items()}
    for source in found["collect"]["sources"]:
        if source["kind"] == "openmetrics":
            source["url"] = f"http://{proxy}:{FIGURES}/metrics"
        else:
            source["steps"][0]["url"] = f"http://{places[source['name']]}/"
    for target in found["remediation"]["targets"]:
        target["socket"] = f"{proxy}:{CONTROL}"
    calmly = {"flap_window": "1s", "retry_after": "2s", "observe_after_gap": "5s"}
    budgets = {"failovers": 10_000, "actions": 10_000, "per_day": 10_000, "window": "1m"}
    breakers = {"rule_failures": 10_000, "global_failures": 10_000, "rollback_failures": 10_000}
    found["remediation"]["links"][0] |= {**LINK, "budget": 10_000}
    found["remediation"] |= {**calmly, "budgets": budgets, "breakers": breakers, **remediation}
    return found


def _copy(made: Net, host: str, name: str) -> subprocess.Popen[bytes]:
    argv = made.inside(host, sys.executable, str(SUPPORT / "one_copy.py"), name, "80")
    return subprocess.Popen(argv, env={**os.environ, "HOST": "0.0.0.0"})


def _end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Outcome:
    """What a case led to: effects of the rule while the cut lasted, and of the way back, then and afterwards."""

    case: Case
    switches: int
    returns_meanwhile: int
    returns: int = 0
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        return self.switches > int(self.case.should_switch) or self.returns_meanwhile > 0

    @property
    def missed(self) -> bool:
        return self.case.should_switch and self.switches == 0


def lived(found: Divided, case: Case, *, watched: float = 10.0, patience: float = 60.0) -> Outcome:
    """Cut, watched, mended and calm again. A switch that should be is waited for, one that should not is looked for."""
    open_ones = ("observed", "confirming")  #: of the case before: what becomes of them is this one's
    known = {str(row["id"]) for row in found.actions() if row["state"] not in open_ones}

    def effects(rule: str) -> int:
        return sum(row["plan"]["rule"] == rule and row["state"] not in UNTOUCHED for row in found.since(known))

    began = time.monotonic()
    for source, to in case.directions():
        found.net.cut(source, to)
    if case.should_switch:
        while effects(RULE) == 0 and time.monotonic() - began < patience:
            time.sleep(0.2)
    took = time.monotonic() - began
    time.sleep(watched)  # the case's own duration: what is wrong would happen now
    outcome = Outcome(case, effects(RULE), effects(WAY_BACK), seconds=took)
    found.net.mend()
    found.until("traffic on the primary", lambda: found.servers()["primary"] == "ready", 180)
    calm(found)
    trusted(found)
    return replace(outcome, returns=effects(WAY_BACK))


def chosen(cases: Sequence[Case], deadline: float) -> Iterator[Case]:
    """Of these as many as there is time for."""
    for case in cases:
        if time.monotonic() > deadline:
            return
        yield case
