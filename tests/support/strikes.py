"""Engines, actuator and database, killed and frozen while one of the engines acts; and what came of it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import text
from support.servers import Running, postgres_server
from support.watchers import Watchers

from watchkeeper.errors import StoreError
from watchkeeper.model import ActionRecord, ActionState
from watchkeeper.store.state import State
from watchkeeper.store.state.migrations import migrate
from watchkeeper.store.state.repositories import Unit

#: Shares of the lease that somebody stands still for.
SHORTEST, LONGEST = 0.1, 1.6
#: Seconds in which what was sent before a strike has reached the target: it is nobody's sign of life.
IN_FLIGHT = 0.2
#: A session of somebody else's, for one of the ways to strike the database.
OTHERS = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
DAYS = timedelta(days=2)


@dataclass(frozen=True)
class Strike:
    what: str
    acted: float  #: seconds until an effect: from the blow to an engine, or from when actuator or database were back
    led: float = 0.0  #: seconds from the blow to the leader until another life or engine held the lease


class Estate:
    """The database, the engines, and what the database says of them."""

    def __init__(self, tmp_path: Path, database: Running, ttl: float) -> None:
        self.database, self.state, self.ttl = database, State(database.url), ttl
        migrate(self.state)
        self.all = Watchers(database.url, tmp_path, ttl)

    def lease(self) -> tuple[str, int]:
        """Who holds the lease now, and its number; nobody, or the database does not answer: empty and 0."""
        now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        asked = text(f"SELECT holder, token FROM lease WHERE expires_at > {now}")
        try:
            with self.state.read() as unit:
                found = unit.connection.execute(asked).first()
        except StoreError:
            return "", 0
        return (str(found[0]), int(found[1])) if found else ("", 0)

    def acts(self, since: int) -> bool:
        return len(self.all.effects()) > since

    def until(self, question: Callable[[], bool], seconds: float) -> float:
        """Seconds it took; the dead are started again meanwhile."""
        began = time.monotonic()
        while not question():
            assert time.monotonic() - began < seconds, f"not within {seconds} s"
            self.all.tend()
            time.sleep(0.05)
        return time.monotonic() - began

    def open_actions(self) -> int:
        with self.state.read() as unit:
            return len([one for one in unit.actions.active() if one.state is not ActionState.CONFIRMING])

    def strike(self, chance: random.Random, victim: str, within: float) -> Strike:
        """One blow at a random moment. AssertionError when nobody acts ``within`` seconds."""
        time.sleep(chance.uniform(0.0, 0.6))
        kills, still = chance.random() < 0.5, chance.uniform(SHORTEST, LONGEST) * self.ttl
        if victim == "database":
            return self._database(chance, within, still=0.0 if kills else still)
        holder, token = self.lease()
        name = holder if victim == "leader" else victim
        if not name:
            return Strike("nobody led", self.until(self._another(), within))
        began = time.monotonic()
        if name == "actuator":
            return self._actuator(within, still=0.0 if kills else still)
        if kills:
            self.all.kill(name)
        else:
            self.all.freeze(name)
        time.sleep(IN_FLIGHT)
        another, awake = self._another(), began + still
        if name != holder:
            if not kills:
                time.sleep(max(awake - time.monotonic(), 0.0))
                self.all.wake(name)
            return Strike(f"another engine {'killed' if kills else 'frozen'}", self.until(another, within))
        self.until(lambda: self.lease()[1] > token or (not kills and time.monotonic() > awake), within)
        led = time.monotonic() - began if self.lease()[1] > token else 0.0
        self.until(lambda: another() or (not kills and time.monotonic() > awake), within)
        acted = time.monotonic() - began
        if not kills:
            time.sleep(max(awake - time.monotonic(), 0.0))
            self.all.wake(name)
            self.until(another, within)
        if not (kills or led):
            return Strike("leader frozen, and awake in time", time.monotonic() - began)
        return Strike(f"leader {'killed' if kills else 'frozen'}", acted, led)

    def _actuator(self, within: float, *, still: float) -> Strike:
        if not still:
            self.all.kill("actuator")
            return Strike("actuator killed", self.until(self._another(), within))
        self.all.freeze("actuator")
        time.sleep(still)
        another = self._another()
        self.all.wake("actuator")
        return Strike("actuator frozen", self.until(another, within))

    def _another(self) -> Callable[[], bool]:
        """Whether anything was done since now."""
        seen = len(self.all.effects())
        return lambda: self.acts(seen)

    def _database(self, chance: random.Random, within: float, *, still: float) -> Strike:
        if still:
            frozen = [psutil.Process(self.database.process.pid)]
            frozen[0].send_signal(signal.SIGSTOP)  # the parent first: nobody is born meanwhile
            frozen += frozen[0].children(recursive=True)
            for process in frozen[1:]:
                process.send_signal(signal.SIGSTOP)
            time.sleep(still)
            for process in reversed(frozen):
                process.send_signal(signal.SIGCONT)
            return Strike("database frozen", self.until(self._another(), within))
        with self.state.read() as unit:
            sessions = list(unit.connection.execute(text(f"SELECT pid {OTHERS}")).scalars())
        if chance.random() < 0.5 and sessions:
            os.kill(chance.choice(sessions), signal.SIGKILL)  # the whole server recovers as from a crash
            return Strike("database killed", self.until(self._another(), within))
        with self.state.read() as unit:
            unit.connection.execute(text(f"SELECT pg_terminate_backend(pid) {OTHERS}"))
        return Strike("every session of the database ended", self.until(self._another(), within))


@contextmanager
def estate(tmp_path: Path, ttl: float) -> Iterator[Estate]:
    with postgres_server(tmp_path, "-c", "max_connections=60") as database:
        found = Estate(tmp_path, database, ttl)
        try:
            yield found
        finally:
            found.all.close()
            found.state.close()


@dataclass(frozen=True)
class Verdict:
    states: Counter[str]
    longest: float  #: seconds from an action's way to the effect to its end


def judge(found: Estate) -> Verdict:
    """What RELIABILITY R13 and R17 promise, from the target's own log and the rows."""
    effects = found.all.effects()
    tokens, keys = [each["token"] for each in effects], Counter(each["key"] for each in effects)
    assert tokens == sorted(set(tokens)), "tokens went backwards"
    assert max(keys.values()) == 1, "an effect was doubled"
    done = {each["action"] for each in effects if each["key"].endswith("/execute")}
    with found.state.read() as unit:
        records = unit.actions.recent(datetime.now(UTC) - DAYS, limit=100_000)
        committed = {row.idempotency_key for row in unit.actions.intents_since(datetime.now(UTC) - DAYS)}
        assert unit.audit.verify() is None
        longest = max((_seconds(unit, record) for record in records), default=0.0)
    assert set(keys) <= committed, "an effect without a committed intent"
    states = {record.id: record.state for record in records}
    stale = [action for action in done if states[action] is ActionState.ABORTED]
    assert stale == [], "done although it had been given up"
    assert [one for one, state in states.items() if state is ActionState.SUCCEEDED and one not in done] == []
    return Verdict(Counter(str(state) for state in states.values()), longest)


def _seconds(unit: Unit, record: ActionRecord) -> float:
    """From being proposed to the last step, by the rows."""
    path = unit.transitions.of(record.id)
    begun = next((each.at for each in path if each.new_state == ActionState.PROPOSED), path[-1].at)
    return (path[-1].at - begun).total_seconds()
