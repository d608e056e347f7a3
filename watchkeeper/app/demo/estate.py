"""The processes of the demo: which there are, and what faults do to them."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.app.children import Child
from watchkeeper.app.demo.config import Servers
from watchkeeper.app.demo.faults import FAULTS, Faults
from watchkeeper.app.demo.place import Place

#: Where Debian keeps what is not on every user's PATH.
EXTRA_PATH = ("/usr/sbin", "/sbin", "/usr/local/sbin")
#: The one command that brings what is missing.
INSTALL = {
    "haproxy": "sudo apt-get install haproxy (in a checkout: make servers)",
    "supervisord": "sudo apt-get install supervisor (in a checkout: make servers)",
}
#: Seconds that services get until they listen.
READY = 20.0
#: The copy that ``checkout-primary`` kills.
PRIMARY = "checkout-primary"


def find_servers() -> Servers:
    """Beside this Python first, then on the PATH, then where system programs are."""
    return Servers(haproxy=_which("haproxy"), supervisord=_which("supervisord"))


def _which(name: str) -> str:
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), *EXTRA_PATH]
    return shutil.which(name, path=os.pathsep.join(places)) or ""


def missing(servers: Servers) -> list[str]:
    """For each program that is not there: what is not shown without it, and what installs it."""
    without = {"haproxy": "the dual link", "supervisord": "the scaling of workers"}
    return [
        f"{name} is not installed: {without[name]} is not shown. Install it: {INSTALL[name]}"
        for name in INSTALL
        if not getattr(servers, name)
    ]


def possible(servers: Servers) -> list[str]:
    """Faults that somebody here would mend or tell of; a kill that nothing mends is not offered."""
    return [fault.name for fault in FAULTS.values() if not fault.needs or getattr(servers, fault.needs)]


def processes(place: Place, ports: Mapping[str, int], servers: Servers) -> list[Child]:
    """Everything but the engine, in the order of starting."""
    root = str(place.root)
    payment, storage, robot = (str(ports[name]) for name in ("payment", "storage", "robot"))
    # without a proxy buyers go to the primary itself
    front = str(ports["front"] if servers.haproxy else ports["primary"])
    found = [
        _ours("payment", "payment", root, payment),
        _ours(PRIMARY, "checkout", "primary", root, str(ports["primary"]), payment),
        _ours("checkout-backup", "checkout", "backup", root, str(ports["backup"]), payment),
        _ours("storage", "storage", root, storage),
        _ours("robot", "robot", root, robot),
        _ours("traffic", "traffic", root, str(ports["traffic"]), front, payment),
    ]
    if servers.haproxy:
        found.append(_theirs("haproxy", servers.haproxy, "-db", "-q", "-f", str(place.root / "haproxy.cfg")))
    if servers.supervisord:
        found.append(_theirs("supervisord", servers.supervisord, "-n", "-c", str(place.root / "supervisord.conf")))
    else:
        found += [_ours(f"worker-{number}", "worker", root) for number in range(2)]
    return found


def wait_until_listening(ports: Mapping[str, int], stopping: Sequence[int]) -> None:
    """Nobody is watched before it runs: what starts would look like what is down. Waits so long and no longer."""
    deadline = time.monotonic() + READY
    waiting = [ports[name] for name in ("payment", "primary", "backup", "storage", "robot", "traffic")]
    while waiting and not stopping and time.monotonic() < deadline:
        waiting = [port for port in waiting if not _listens(port)]
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def _ours(name: str, module: str, *arguments: str) -> Child:
    return Child(name, [sys.executable, "-m", f"watchkeeper.app.demo.{module}", *arguments])


def _theirs(name: str, *argv: str) -> Child:
    return Child(name, [sys.executable, "-m", "watchkeeper.app.demo.tied", "", *argv])


@dataclass(slots=True)
class Killing:
    """``checkout-primary``: killed at once when the fault begins, started again when it is over."""

    child: Child
    faults: Faults
    down: bool = False

    def look(self) -> None:
        on = self.faults.on(PRIMARY)
        if on and not self.down:
            if self.child.process is not None:
                self.child.process.kill()
                self.child.process.wait()
            self.child.process, self.child.restart_at = None, None  # nobody starts it before the fault is over
            self.down = True
        elif self.down and not on:
            self.child.start()
            self.down = False
