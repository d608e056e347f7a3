"""The parent of the demo: lays the folder out, starts everything, says where it is, and stops everything."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from watchkeeper.app.children import Child, die_with_parent, stop_all
from watchkeeper.app.client import Client
from watchkeeper.app.demo import config, contingency, estate, managers, postgres
from watchkeeper.app.demo.faults import Faults
from watchkeeper.app.demo.place import Place, free_ports
from watchkeeper.app.demo.shop import Shop
from watchkeeper.app.paths import write_private
from watchkeeper.app.up import LOOK, look, say
from watchkeeper.errors import WatchkeeperError

#: The account that the demo makes.
USER = "demo"
#: Rules whose way back is tried before the visitor comes.
REHEARSED = {"haproxy": ("checkout_failover",), "supervisord": ("queue_scale_out", "queue_scale_in")}
#: Seconds between two tries of what needs a ready engine.
AGAIN = 0.5
#: Seconds without success after which the reason is printed.
PATIENCE = 20.0


def run(place: Place, language: str) -> int:
    """Stay until Ctrl-C. Returns the exit code."""
    die_with_parent()
    lock = place.claim()
    place.begin()
    servers = estate.find_servers()
    for line in estate.missing(servers):
        say(line)
    now = datetime.now(UTC)
    cluster = database(place)
    try:
        return _play(place, language, now, servers, cluster)
    finally:
        if cluster is not None:
            cluster.stop()
            cluster.remove()
        lock.close()


def database(place: Place) -> postgres.Cluster | None:
    """The shop's PostgreSQL, running; None means SQLite. Says which, and why not the other."""
    binaries = postgres.find_binaries()
    if binaries is None:
        say("The shop's database is SQLite; with `sudo apt-get install postgresql` it is PostgreSQL.")
        return None
    try:
        found = postgres.start(place, binaries)
    except postgres.PostgresError as error:
        say(f"The shop's database is SQLite, as PostgreSQL of {binaries} does not start: {error}", sys.stderr)
        return None
    say(f"The shop's database is PostgreSQL of {binaries}, at {found.folder}; Watchkeeper only reads it.")
    return found


def _play(place: Place, language: str, now: datetime, servers: config.Servers, cluster: postgres.Cluster | None) -> int:
    ports = free_ports()
    shop = Shop.of(place)
    shop.create()
    orders = shop.seed(now)
    shop.close()
    if cluster is not None:
        postgres.grant(cluster)
    managers.write_bill(place, now)
    config.write(place, ports, servers, language, cluster.url if cluster else "")
    place.data.create()
    os.environ["WATCHKEEPER_DATA"] = str(place.data.root)
    services = estate.processes(place, ports, servers)
    parts = engine(place)
    children = [*services, *parts, *([cluster.child] if cluster else [])]
    killing = estate.Killing(next(one for one in services if one.name == estate.PRIMARY), Faults(place.faults))
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopping.append(got))
    place.tell({"faults": estate.possible(servers), "missing": estate.missing(servers), "seeded_orders": orders})
    greeting = Greeting(place, f"http://127.0.0.1:{ports['dashboard']}", language, rehearsals(servers))
    try:
        for child in services:
            child.start()
        estate.wait_until_listening(ports, stopping)
        for child in parts:
            child.start()
        greeting.start()
        while not stopping:
            killing.look()
            look(children)
            time.sleep(LOOK)
    finally:
        greeting.leave()
        stop_all([*services, *parts])  # the database last
        place.about_file.unlink(missing_ok=True)
    say("The demo has stopped; nothing of it is left running. The next start begins anew.")
    return 0


def engine(place: Place) -> list[Child]:
    """Watchkeeper itself, as `watchkeeper up` starts it, with the demo's page and API."""
    return [
        Child("engine", [sys.executable, "-m", "watchkeeper.app.demo.serve", "engine", str(place.root)]),
        Child("dashboard", [sys.executable, "-m", "watchkeeper.app.demo.serve", "dashboard", str(place.root)]),
        Child("actuator", [sys.executable, "-m", "watchkeeper", "actuator", "--config", str(place.config)]),
    ]


def rehearsals(servers: config.Servers) -> list[str]:
    found = [rule for name, rules in REHEARSED.items() if getattr(servers, name) for rule in rules]
    return [*found, *contingency.REHEARSED]


class Greeting(threading.Thread):
    """The first account, the rehearsals, and what a visitor needs to know: each as soon as it can be done."""

    def __init__(self, place: Place, dashboard: str, language: str, rules: Sequence[str]) -> None:
        super().__init__(name="greeting", daemon=True)
        self.place, self.dashboard, self.language, self.rules = place, dashboard, language, list(rules)
        self.password = secrets.token_urlsafe(12)
        self._leaving = threading.Event()

    def leave(self) -> None:
        self._leaving.set()
        if self.is_alive():
            self.join(5.0)

    def run(self) -> None:
        steps: list[Callable[[], None]] = [self.make_account, *(partial(self.rehearse, rule) for rule in self.rules)]
        for what in steps:
            if not self._until_done(what):
                return
        say(self.text())

    def _until_done(self, what: Callable[[], None]) -> bool:
        """False when the demo ends before; whoever waits for long is told why."""
        began, told = time.monotonic(), False
        while True:
            try:
                what()
            except (WatchkeeperError, OSError) as error:
                if not told and time.monotonic() - began > PATIENCE:
                    say(self.patience(error), sys.stderr)
                    told = True
            else:
                return True
            if self._leaving.wait(AGAIN):
                return False

    def patience(self, error: Exception) -> str:
        """An engine that is not there yet is no news: it is being started. All else is."""
        said = f" Last answer: {error}" if self.place.data.setup_secret.exists() else ""
        return f"Still starting; logs are in {self.place.data.root / 'log'}.{said}"

    def make_account(self) -> None:
        """With the one-time secret, as a person would on the first page."""
        client = Client.of(self.place.data.root)
        secret = self.place.data.setup_secret.read_text(encoding="utf-8").strip()
        zone = "Asia/Shanghai"
        client.post(
            "/api/wk/setup",
            {"secret": secret, "name": USER, "password": self.password, "language": self.language, "time_zone": zone},
        )
        write_private(self.place.password, self.password)

    def rehearse(self, rule: str) -> None:
        """A way back that nobody tried does not count; here it is tried on a target of its own."""
        Client.of(self.place.data.root).post(f"/api/wk/rules/{rule}/rehearse", {})

    def option(self) -> str:
        """What finds this demo from another terminal."""
        return "" if self.place.root == folder(None).root else f" --data {shlex.quote(str(self.place.root))}"

    def text(self) -> str:
        lines = [
            "",
            f"  Demo        {self.dashboard}/demo     user {USER}, password {self.password}",
            f"  Folder      {self.place.root}",
            "",
            "  Break something on that page, or in another terminal:",
            f"    watchkeeper demo{self.option()} break checkout-primary",
            "    watchkeeper demo faults",
            "",
            "  Ctrl-C stops everything.",
            "",
        ]
        return "\n".join(lines)


def folder(given: Path | None) -> Place:
    from watchkeeper.app.demo.place import default_folder

    return Place((given or default_folder()).expanduser().resolve())
