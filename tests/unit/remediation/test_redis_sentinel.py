"""Against a real Redis group and its Sentinel, with a dead primary; and what is refused beforehand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.haproxy import wait_until
from support.redis_group import Group, group
from support.remedies import LINK, PLAN, RULE, intent_of
from support.servers import redis_cli

from remediation.actions.redis_sentinel import RedisSentinel
from remediation.links import failover_rule, return_rule
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

KIND, TARGET = RedisSentinel(), Target(kind="redis_sentinel", name="cache")
OPTIONS: dict[str, Any] = {"name": "cache", "sentinels": ["127.0.0.1:1"], "master": "shop"}
READING = Reading(
    state={"primary": "a:1", "fit": ["b:1", "c:1"], "choice": "b:1"},
    epoch="e",
    capacity={"healthy": 3, "total": 3, "lag_bytes.b:1": 0, "lag_bytes.c:1": 0},
)


@pytest.fixture
def cache() -> Iterator[Group]:
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    with group(folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.mark.servers
def test_a_dead_primary_is_replaced_and_becomes_a_replica_when_it_returns(cache: Group) -> None:
    redis_cli(cache.nodes[0].port, "set", "order", "7")
    wait_until(lambda: redis_cli(cache.nodes[1].port, "get", "order").strip() == "7")
    settings = {**cache.target, "sentinels": ["127.0.0.1:1", *cache.target["sentinels"]]}  # the first one is gone
    dead, spare = cache.address(0), cache.address(1)
    cache.nodes[0].kill()
    reading = KIND.read(TARGET, settings)
    assert (reading.state["primary"], reading.state["choice"], reading.capacity["healthy"]) == (dead, spare, 1)
    desired, back = KIND.desired(reading, {"away_from": dead})
    assert (desired, back) == ({"primary": [spare]}, {"primary": [dead]})
    evidence = KIND.apply(desired, intent_of(PLAN), settings)
    assert (evidence["primary"], evidence["demoted"]) == (spare, False)
    assert redis_cli(cache.nodes[1].port, "set", "order", "8").strip() == "OK"
    assert KIND.read(TARGET, settings).epoch != reading.epoch
    with pytest.raises(ActionError, match="would promote -"):  # nobody is left to go back to
        KIND.apply(back, intent_of(PLAN), settings)


@pytest.mark.servers
def test_a_group_the_sentinel_does_not_know_is_an_error(cache: Group) -> None:
    with pytest.raises(ActionError, match="refused SENTINEL MASTER nobody: ERR No such master"):
        KIND.read(TARGET, {**cache.target, "master": "nobody"})


def test_a_replica_that_sentinel_would_not_choose_is_refused_beforehand() -> None:
    desired, _ = KIND.desired(READING, {"primary": "c:1"})
    assert "would promote b:1" in KIND.impact(READING, desired, OPTIONS).problem
    assert KIND.impact(READING, {"primary": ["c:1", "b:1"]}, OPTIONS).problem == ""


@pytest.mark.parametrize(("lag", "risk"), [(0, RiskClass.A2), (2 << 20, RiskClass.A4)])
def test_a_replica_far_behind_loses_data(lag: int, risk: RiskClass) -> None:
    reading = replace(READING, capacity={**READING.capacity, "lag_bytes.b:1": lag})
    assert KIND.impact(reading, {"primary": ["b:1"]}, OPTIONS).risk is risk


def test_nobody_fit_means_nothing_to_do() -> None:
    alone = replace(READING, state={"primary": "a:1", "fit": [], "choice": ""})
    assert KIND.desired(alone, {"away_from": "a:1"})[0] == {}
    assert KIND.desired(READING, {"away_from": "b:1"})[0] == {"primary": ["a:1"]}  # it is away already


def test_a_dual_link_of_a_group_moves_its_primary_there_and_back() -> None:
    rule = replace(RULE, action="redis_sentinel", parameters={}, link="maps")
    assert failover_rule(rule, LINK).parameters == {"primary": "web2"}
    assert return_rule(rule, LINK).parameters == {"primary": "web1"}


@pytest.mark.parametrize(
    ("options", "key"),
    [({"sentinels": []}, "sentinels"), ({"sentinels": ["cache"]}, "sentinels"), ({"master": "a b"}, "master")],
)
def test_options_name_the_wrong_key(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"remediation\.targets\.cache\.{key}"):
        KIND.read(TARGET, {**OPTIONS, **options})
