"""The lease on a real PostgreSQL: one holder, tokens that only rise, and a database that refuses whoever slept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text
from support.remedies import PLAN
from support.servers import Running, free_port, need, own_folder, start
from support.servers import listens as listening
from support.states import NOON, empty_database

from watchkeeper.errors import ConfigError, LeaseLostError, StoreError
from watchkeeper.model import ActionRecord, ActionState
from watchkeeper.store.state import State
from watchkeeper.store.state.database import sqlite_url
from watchkeeper.store.state.lease import Lease

pytestmark = pytest.mark.servers
SOON = timedelta(milliseconds=300)


@pytest.fixture
def url(postgres: Running, migrated: str) -> str:
    return empty_database(postgres, migrated)


@pytest.fixture
def candidate(url: str) -> Iterator[Callable[..., Lease]]:
    made: list[Lease] = []

    def make(holder: str, ttl: timedelta = SOON, clock: Callable[[], float] = time.monotonic) -> Lease:
        made.append(Lease(url, holder, ttl=ttl, monotonic=clock))
        return made[-1]

    yield make
    for one in made:
        one.release()


def until(question: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_database_says_what_time_it_is(url: str, tmp_path: Path) -> None:
    state, before = State(url), datetime.now(UTC)
    found = state.now()
    state.close()
    assert found is not None
    assert found.tzinfo is UTC
    assert before <= found <= datetime.now(UTC)  # it runs on this machine
    assert State(sqlite_url(tmp_path / "state.db")).now() is None


def test_one_of_three_holds_it_and_the_next_one_has_a_higher_token(candidate: Callable[..., Lease]) -> None:
    three = [candidate(name, timedelta(seconds=30)) for name in ("a", "b", "c")]
    assert [one.take() for one in three] == [1, 0, 0]
    assert [one.token for one in three] == [1, 0, 0]
    assert three[0].keep()
    three[0].release()
    assert [one.take() for one in three[1:]] == [2, 0]


def test_the_clock_of_the_database_ends_it_and_it_never_comes_back_under_its_token(
    candidate: Callable[..., Lease],
) -> None:
    one, other = candidate("a"), candidate("b", timedelta(seconds=30))
    assert one.take()
    until(other.take)
    assert other.token == 2
    assert not one.keep()
    assert one.token == 0
    assert not one.take()


def test_a_holder_gives_up_by_its_own_clock_before_the_database_does(candidate: Callable[..., Lease]) -> None:
    now = [100.0]
    one = candidate("a", timedelta(seconds=10), lambda: now[0])
    assert one.take()
    now[0] += 6.9
    assert one.token == 1
    now[0] += 0.2
    assert one.token == 0
    assert one.keep()  # the row is still its own: with a renewal it is sure again
    assert one.token == 1


def test_a_database_that_did_not_answer_for_long_costs_the_lease_only_if_somebody_else_took_it(
    url: str, candidate: Callable[..., Lease]
) -> None:
    now = [100.0]
    one, other = candidate("a", timedelta(seconds=10), lambda: now[0]), candidate("b", timedelta(seconds=30))
    assert one.take() == 1
    now[0] += 60
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
        connection.execute("UPDATE lease SET expires_at = 0")
    assert one.token == 0
    assert one.keep()  # nobody was there meanwhile
    assert one.token == 1
    one._engine.dispose()
    one._engine = create_engine("postgresql+psycopg://postgres@127.0.0.1:1/none")
    now[0] += 60
    assert one.keep()  # not known to be lost, and not enough to act on
    assert one.token == 0
    assert other.take() == 0


def test_a_life_that_ended_without_a_word_is_taken_up_at_once_by_the_same_holder(
    candidate: Callable[..., Lease],
) -> None:
    assert candidate("a", timedelta(seconds=30)).take()
    again = candidate("a", timedelta(seconds=30))
    assert again.take()
    assert again.token == 2


def test_whoever_slept_through_its_replacement_writes_nothing(url: str, candidate: Callable[..., Lease]) -> None:
    old, new = candidate("a", timedelta(seconds=30)), candidate("b", timedelta(seconds=30))
    state = State(url)
    state.fence = old.take()
    assert state.fence == 1
    with state.begin() as unit:
        unit.audit.append("engine", "before", "x", {}, at=NOON)
        unit.connection.execute(text("UPDATE lease SET expires_at = 0"))  # its time is over
    assert new.take() == 2
    with pytest.raises(LeaseLostError), state.begin() as unit:
        unit.audit.append("engine", "after", "x", {}, at=NOON)
    with state.read() as unit:
        assert [row.action for row in unit.audit.rows()] == ["before"]
    state.close()


def test_nobody_takes_over_in_the_middle_of_a_write_and_a_sleeper_in_one_loses_it(
    url: str, candidate: Callable[..., Lease]
) -> None:
    old, new = candidate("a", timedelta(seconds=3)), candidate("b", timedelta(seconds=30))
    state = State(url)
    state.fence = old.take()
    assert state.fence == 1
    began = time.monotonic()
    with pytest.raises(StoreError, match="state database"), state.begin() as unit:  # noqa: PT012 - the second write
        unit.audit.append("engine", "never", "x", {}, at=NOON)
        until(new.take)  # waits for the transaction, which the database ends as idle
        unit.audit.append("engine", "too late", "x", {}, at=NOON)
    assert time.monotonic() - began > 2.0
    with state.read() as unit:
        assert unit.audit.rows() == []
    state.close()


def test_numbers_of_intents_begin_with_the_timeline_of_the_database(url: str) -> None:
    state = State(url)
    record = ActionRecord(
        id="act-1", state=ActionState.ARMED, plan=PLAN, created_at=NOON, updated_at=NOON, requester="r",
        correlation_id="c",
    )  # fmt: skip
    with state.begin() as unit:
        intent = unit.actions.commit_intent(record, "execute", "web", NOON)
        following = unit.actions.commit_intent(record, "rollback", "web", NOON)
        timeline = int(
            unit.connection.execute(text("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")).scalar_one(), 16
        )
    assert intent.token >> 40 == timeline
    assert following.token == intent.token + 1
    state.close()


def pgbouncer(folder: Path, server: Running, mode: str) -> Running:
    port, place = free_port(), own_folder(folder, f"pgbouncer-{mode}", "postgres")
    (place / "users.txt").write_text('"postgres" ""\n')
    (place / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {place}/users.txt\n"
        f"pool_mode = {mode}\ndefault_pool_size = 4\nignore_startup_parameters = extra_float_digits\n"
    )
    for name in ("users.txt", "pgbouncer.ini"):
        (place / name).chmod(0o644)
    argv = [need("pgbouncer"), str(place / "pgbouncer.ini")]
    return start(argv, lambda: listening(port), cwd=place, user="postgres", url="", port=port)


@pytest.mark.parametrize(("mode", "refused"), [("transaction", True), ("session", False)])
def test_a_pooler_that_shares_sessions_between_transactions_is_refused(
    tmp_path: Path, postgres: Running, url: str, mode: str, *, refused: bool
) -> None:
    with pgbouncer(tmp_path, postgres, mode) as pooler:
        name = make_url(url).database
        lease = Lease(f"postgresql+psycopg://postgres@127.0.0.1:{pooler.port}/{name}", "a")
        if refused:
            with pytest.raises(ConfigError, match=r"pooler that shares sessions.*PostgreSQL itself"):
                lease.refuse_pooler()
        else:
            lease.refuse_pooler()
        lease.release()


def test_postgresql_itself_is_no_pooler(candidate: Callable[..., Lease]) -> None:
    candidate("a").refuse_pooler()
