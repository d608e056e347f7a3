"""Against a real pair of MariaDB servers: nothing committed is lost, and never do two take writes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.haproxy import wait_until
from support.mariadb_pair import Pair, pair
from support.remedies import PLAN, intent_of

from remediation.actions.mysql import Mysql
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

KIND, TARGET = Mysql(), Target(kind="mysql", name="db")
OPTIONS: dict[str, Any] = {"name": "db", "servers": {"a": "h:1", "b": "h:2", "c": "h:3"}, "user": "u"}
STATE: dict[str, object] = {
    "primary": "a",
    "answers": True,
    "writable": ["a"],
    "read_only": {"a": False, "b": True, "c": True},
    "fit": ["b", "c"],
    "choice": "b",
    "acknowledges": ["c"],
    "receive": [],
}
READING = Reading(state=STATE, epoch="e", capacity={"healthy": 3, "total": 3, "lag_seconds.b": 0, "lag_seconds.c": 60})


def reading(**changes: object) -> Reading:
    return replace(READING, state={**STATE, **changes})


@pytest.fixture(scope="module")
def db() -> Iterator[Pair]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    with pair(folder) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.servers
def test_a_switch_that_cannot_be_finished_is_undone_and_a_dead_primary_is_replaced(db: Pair) -> None:
    db.ask("a", "create table shop.orders (id int primary key); insert into shop.orders values (1)")
    wait_until(lambda: db.value("b", "select count(*) from information_schema.tables where table_name='orders'") == "1")
    settings = db.target
    db.ask("b", "set sql_log_bin=0; lock tables shop.orders read; select sleep(0)")  # released with the console
    db.ask("b", "stop slave io_thread")
    db.ask("a", "insert into shop.orders values (2)")  # b never hears of it
    with pytest.raises(ActionError, match="did not apply") as caught:
        KIND.apply({"primary": "b"}, intent_of(PLAN), {**settings, "catch_up_seconds": 1.0})
    assert (caught.value.unknown, db.writable()) == (False, ["a"])  # partial failure: as before
    db.ask("b", "start slave")
    wait_until(lambda: db.value("b", "select count(*) from shop.orders") == "2")

    db.ask("a", "set sql_log_bin=0; alter user watchkeeper@'%' account lock")  # we are kept out, b stays connected
    with pytest.raises(ActionError, match="a lives and sends to b"):
        KIND.apply({"primary": "b"}, intent_of(PLAN), settings)
    assert db.writable() == ["a"]  # or two would take writes
    db.ask("a", "set sql_log_bin=0; alter user watchkeeper@'%' account unlock")

    db.servers["a"].kill()
    dead = KIND.read(TARGET, settings)
    assert (dead.state["primary"], dead.state["answers"], dead.state["fit"]) == ("a", False, ["b"])
    desired, _ = KIND.desired(dead, {"away_from": "a"})
    assert KIND.impact(dead, desired, settings).risk is RiskClass.A4  # asynchronous, and it may come back writable
    evidence = KIND.apply(desired, intent_of(PLAN), settings)
    assert evidence["primary"] == "b"
    db.ask("b", "insert into shop.orders values (3)")
    assert db.value("b", "select @@global.read_only") == "0"


@pytest.mark.parametrize(
    ("state", "wanted", "says"),
    [
        (READING, "b", ""),
        (reading(writable=["a", "b"]), "b", "two servers take writes already"),
        (reading(fit=["c"]), "b", "b is not fit to lead; fit are c"),
        (reading(primary="", writable=[]), "a", ""),  # half of a switch
        (reading(answers=False, writable=[], fit=["c"]), "b", "b is not fit to lead; fit are c"),
        (
            reading(answers=False, writable=[], receive=["b", "c"]),
            "b",
            "a lives and sends to b, c, only we do not reach it",
        ),
        (READING, "a", ""),
    ],
)
def test_what_stands_in_the_way_is_told_beforehand(state: Reading, wanted: str, says: str) -> None:
    assert KIND.impact(state, {"primary": wanted}, OPTIONS).problem == says


@pytest.mark.parametrize(
    ("state", "wanted", "more", "risk"),
    [
        (READING, "b", {}, RiskClass.A2),
        (READING, "c", {}, RiskClass.A4),  # a minute behind
        (reading(answers=False), "b", {"starts_read_only": True}, RiskClass.A4),
        (reading(answers=False, acknowledges=["b"]), "b", {}, RiskClass.A4),
        (reading(answers=False, acknowledges=["b"]), "b", {"starts_read_only": True}, RiskClass.A2),
    ],
)
def test_data_is_at_risk_behind_a_dead_primary_unless_the_replica_acknowledged(
    state: Reading, wanted: str, more: dict[str, Any], risk: RiskClass
) -> None:
    assert KIND.impact(state, {"primary": wanted}, {**OPTIONS, **more}).risk is risk


def test_a_server_is_frozen_and_thawed_but_never_two_of_them() -> None:
    desired, back = KIND.desired(READING, {"read_only": {"a": True}})
    assert (desired, back) == ({"read_only": {"a": True}}, {"read_only": {"a": False}})
    assert KIND.impact(READING, desired, OPTIONS).direction == "in"
    assert KIND.impact(READING, {"read_only": {"b": False}}, OPTIONS).problem == "two servers would take writes"
    unreached = reading(answers=False, writable=[], read_only={"b": True, "c": True}, receive=["c"])
    assert KIND.impact(unreached, {"read_only": {"b": False}}, OPTIONS).problem.startswith("a lives and sends to c")
    frozen = reading(primary="", writable=[], read_only={"a": True, "b": True, "c": True})
    assert KIND.impact(frozen, back, OPTIONS).problem == ""
    assert KIND.reached(frozen, desired)


def test_nobody_writable_is_half_of_ours_and_somebody_else_is_not() -> None:
    before, desired = {"primary": "a"}, {"primary": "b"}
    assert KIND.ours(reading(primary="", writable=[]), before, desired)
    assert not KIND.ours(reading(primary="c", writable=["c"]), before, desired)
    assert not KIND.ours(reading(primary="", writable=["a", "b"]), before, desired)


def test_options_name_the_wrong_key() -> None:
    with pytest.raises(ConfigError, match=r"remediation\.targets\.db\.servers"):
        KIND.read(TARGET, {**OPTIONS, "servers": {"a": "h"}})
