"""Three engines on one PostgreSQL, killed and frozen at random moments: one acts, and nothing is ever done twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from support.servers import Running, postgres_server
from support.watchers import Watchers

from watchkeeper.errors import StoreError
from watchkeeper.model import ActionState
from watchkeeper.store.state import State
from watchkeeper.store.state.migrations import migrate

pytestmark = pytest.mark.servers
CUT_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
#: Seconds a machine that is busy with other tests may take for what takes one.
PATIENCE = 120.0
#: Promised: seconds until somebody acts again, and until whatever was under way has an end.
NEW_LEADER, ENDED = 15.0, 60.0


class Estate:
    """The database, the engines, and what the database says of them."""

    def __init__(self, tmp_path: Path, database: Running, ttl: float) -> None:
        self.database, self.state = database, State(database.url)
        migrate(self.state)
        self.all = Watchers(database.url, tmp_path, ttl)

    def leader(self) -> str:
        """Who holds the lease now; empty for nobody, or while the database does not answer."""
        now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        try:
            with self.state.read() as unit:
                found = unit.connection.execute(text(f"SELECT holder FROM lease WHERE expires_at > {now}")).scalar()
        except StoreError:
            return ""
        return str(found or "")

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


@contextmanager
def estate(tmp_path: Path, ttl: float) -> Iterator[Estate]:
    with postgres_server(tmp_path, "-c", "max_connections=60") as database:
        found = Estate(tmp_path, database, ttl)
        try:
            yield found
        finally:
            found.all.close()
            found.state.close()


def strike(found: Estate, chance: random.Random, victim: str, ttl: float) -> str:
    """One fault at a random moment; what it was."""
    time.sleep(chance.uniform(0.0, 0.6))
    name = found.leader() if victim == "leader" else victim
    if victim == "database":
        with found.state.read() as unit:
            unit.connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        return "every session of the database ended"
    if not name:
        return "nobody led"
    if chance.random() < 0.5:
        found.all.kill(name)
        return f"{victim} killed"
    found.all.freeze(name)
    time.sleep(chance.uniform(0.1, 1.6) * ttl)
    found.all.wake(name)
    return f"{victim} frozen"


def judge(found: Estate) -> Counter[str]:
    """What RELIABILITY R13 and R17 promise, from the target's own log and the rows."""
    effects = found.all.effects()
    tokens, keys = [each["token"] for each in effects], Counter(each["key"] for each in effects)
    assert tokens == sorted(set(tokens)), "tokens went backwards"
    assert max(keys.values()) == 1, "an effect was doubled"
    done = {each["action"] for each in effects if each["key"].endswith("/execute")}
    with found.state.read() as unit:
        records = unit.actions.recent(datetime.now(UTC) - timedelta(days=2), limit=100_000)
        committed = {row.idempotency_key for row in unit.actions.intents_since(datetime.now(UTC) - timedelta(days=2))}
        assert unit.audit.verify() is None
    assert set(keys) <= committed, "an effect without a committed intent"
    states = {record.id: record.state for record in records}
    stale = [action for action in done if states[action] is ActionState.ABORTED]
    assert stale == [], "done although it had been given up"
    assert [one for one, state in states.items() if state is ActionState.SUCCEEDED and one not in done] == []
    return Counter(str(state) for state in states.values())


def programme(tmp_path: Path, seed: int, victims: list[str], *, ttl: float, within: float, seconds: float) -> None:
    chance, deadline = random.Random(seed), time.monotonic() + seconds
    done: Counter[str] = Counter()
    slowest = 0.0
    with estate(tmp_path, ttl) as found:
        found.until(lambda: found.acts(0), PATIENCE)
        for victim in victims:
            if time.monotonic() > deadline:
                break
            done[strike(found, chance, victim, ttl)] += 1
            seen = len(found.all.effects())
            slowest = max(slowest, found.until(partial(found.acts, seen), within))
        assert sum(done.values()) > 0
        open_now = found.open_actions()
        ended = found.until(lambda: found.open_actions() <= 1, ENDED)
        states = judge(found)
    print(f"\nseed {seed}: {dict(done)}; acted again after {slowest:.1f} s at most")
    print(f"{open_now} open ended in {ended:.1f} s")
    print(f"{sum(states.values())} actions, {dict(states)}")


def test_killed_and_frozen_at_a_few_moments_one_engine_acts_and_nothing_is_doubled(tmp_path: Path) -> None:
    programme(
        tmp_path, 7, ["leader", "leader", "actuator", "database", "leader"], ttl=2.0, within=PATIENCE, seconds=120
    )


@pytest.mark.long
def test_killed_and_frozen_at_three_hundred_moments_one_engine_acts_and_nothing_is_doubled(tmp_path: Path) -> None:
    """With the real lease of ten seconds. ``LONG_SECONDS`` bounds it, ``SEED`` repeats it."""
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    victims = random.Random(seed).choices(["leader", "actuator", "database", "a"], [6, 2, 1, 1], k=300)
    programme(
        tmp_path, seed, victims, ttl=10.0, within=NEW_LEADER, seconds=float(os.environ.get("LONG_SECONDS", "3600"))
    )
