"""What every kind of action promises, whatever it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from support.remedies import PLAN, intent_of

from remediation.actions import BUILTIN, Kind, kind_of
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target
from watchkeeper.ports import Reading

#: A cloud that nobody serves.
CLOUD = {"region": "eu-1", "access_key": "AKID", "secret": "s", "endpoint": "http://127.0.0.1:1"}
#: A scaling group of three, and a balancer of three, as every cloud's kind reads them.
GROUP = Reading(
    state={"count": 3, "min": 2, "max": 6, "rival": "", "halted": ""},
    epoch="e",
    capacity={"healthy": 3, "total": 3, "protected": 0},
)
WEIGHTS = Reading(
    state={name: {"weight": 100} for name in ("i-1", "i-2", "i-3")},
    epoch="e",
    capacity={"healthy": 3, "total": 3, "full": 100, "up.i-1": 1, "up.i-2": 1, "up.i-3": 1},
)
SLOTS = [f"pool:pool_{number}" for number in range(4)]
#: kind -> (options of a target nobody serves, a reading, parameters that change something)
SAMPLES: dict[str, tuple[dict[str, Any], Reading, dict[str, Any]]] = {
    "aliyun_ess": ({**CLOUD, "group": "asg-1"}, GROUP, {"count": 4}),
    "aliyun_slb": ({**CLOUD, "balancer": "lb-1"}, WEIGHTS, {"drain": "i-1"}),
    "aws_autoscaling": ({**CLOUD, "group": "shop"}, GROUP, {"count": 4}),
    "tencent_as": ({**CLOUD, "group": "asg-1"}, GROUP, {"count": 4}),
    "tencent_clb": ({**CLOUD, "balancer": "lb-1", "listener": "lbl-1"}, WEIGHTS, {"drain": "i-1"}),
    "dns_update": (
        {
            "servers": ["127.0.0.1:1"],
            "zone": "example.com",
            "record": "shop.example.com",
            "answers": {"primary": ["10.0.0.1"], "backup": ["10.0.0.2"]},
        },
        Reading(
            state={
                "values": ["10.0.0.1"],
                "ttl": 30,
                "answers": {"primary": ["10.0.0.1"], "backup": ["10.0.0.2"]},
                "behind": [],
                "silent": [],
            },
            epoch="e",
            capacity={"healthy": 1, "total": 1, "settles_seconds": 30},
        ),
        {"primary": "backup"},
    ),
    "feature_flag": (
        {"url": "http://127.0.0.1:1/", "switches": {"mode": ["full", "cached"]}},
        Reading(state={"mode": "full"}, epoch="e"),
        {"state": {"mode": "cached"}},
    ),
    "haproxy": (
        {"socket": "/nowhere/api.sock", "backend": "shop"},
        Reading(
            state={name: {"state": "ready", "weight": 100} for name in ("web1", "web2", "web3")},
            epoch="e",
            capacity={"healthy": 3, "total": 3, "up.web1": 1, "up.web2": 1, "up.web3": 1},
        ),
        {"drain": "web1"},
    ),
    "command": (
        {"set": ["/nowhere/pool", "{mode}"], "read": ["/nowhere/pool"], "arguments": {"mode": "[a-z]+"}},
        Reading(state={"mode": "full"}, epoch="e", capacity={"healthy": 3, "total": 3}),
        {"state": {"mode": "cached"}},
    ),
    "kubernetes": (
        {"server": "http://127.0.0.1:1", "object": "web"},
        Reading(
            state={"resource": "deployments", "replicas": 4, "generation": 1, "rival": ""},
            epoch="e",
            capacity={"healthy": 4, "total": 4, "at_a_time": 1},
        ),
        {"count": 5},
    ),
    "mysql": (
        {"servers": {"a": "127.0.0.1:1", "b": "127.0.0.1:1"}, "user": "u"},
        Reading(
            state={
                "primary": "a",
                "answers": True,
                "writable": ["a"],
                "read_only": {"a": False, "b": True},
                "fit": ["b"],
                "choice": "b",
                "acknowledges": [],
                "receive": [],
            },
            epoch="e",
            capacity={"healthy": 2, "total": 2, "lag_seconds.b": 0},
        ),
        {"primary": "b"},
    ),
    "nginx": (
        {
            "include": "/nowhere/shop.conf",
            "upstream": "shop",
            "servers": {"web1": "10.0.0.1:80", "web2": "10.0.0.2:80"},
            "pid_file": "/nowhere/pid",
        },
        Reading(
            state={**{name: {"state": "ready", "weight": 1} for name in ("web1", "web2")}, "loaded": True},
            epoch="e",
            capacity={"healthy": 2, "total": 2},
        ),
        {"drain": "web1"},
    ),
    "patroni": (
        {"members": ["http://127.0.0.1:1"]},
        Reading(
            state={"leader": "a", "answers": True, "paused": False, "fit": ["b"], "choice": "b"},
            epoch="e",
            capacity={"healthy": 2, "total": 2, "lag_bytes.b": 0},
        ),
        {"primary": "b"},
    ),
    "redis_sentinel": (
        {"sentinels": ["127.0.0.1:1"], "master": "shop"},
        Reading(
            state={"primary": "a:1", "fit": ["b:1"], "choice": "b:1"},
            epoch="e",
            capacity={"healthy": 2, "total": 2, "lag_bytes.b:1": 0},
        ),
        {"primary": "b:1"},
    ),
    "supervisord": (
        {"server": "/nowhere/s.sock", "group": "pool"},
        Reading(
            state={"running": SLOTS[:2], "slots": SLOTS, "started": dict.fromkeys(SLOTS[:2], 100)},
            epoch="e",
            capacity={"healthy": 2, "total": 2},
        ),
        {"count": 3},
    ),
    "systemd": (
        {"units": ["web@1.service", "web@2.service"], "systemctl": "/nowhere/systemctl"},
        Reading(
            state={
                "units": {"web@1.service": True, "web@2.service": True},
                "invocations": {"web@1.service": "i1", "web@2.service": "i2"},
                "active": ["web@1.service", "web@2.service"],
            },
            epoch="e",
            capacity={"healthy": 2, "total": 2},
        ),
        {"stop": "web@1.service"},
    ),
    "webhook": (
        {"url": "http://127.0.0.1:1/", "state_url": "http://127.0.0.1:1/", "allow_private": True},
        Reading(state={"replicas": 3}, epoch="e", capacity={"total": 3, "healthy": 3}),
        {"state": {"replicas": 5}},
    ),
}
KINDS = sorted(BUILTIN)


def sample(name: str) -> tuple[Kind, dict[str, Any], Reading, dict[str, Any]]:
    options, reading, parameters = SAMPLES[name]
    return kind_of(name), {"name": "target", "kind": name, **options}, reading, parameters


@pytest.mark.parametrize("name", KINDS)
def test_planning_is_pure_and_says_the_same_twice(name: str) -> None:
    kind, _, reading, parameters = sample(name)
    before = dict(reading.state)
    assert kind.desired(reading, parameters) == kind.desired(reading, parameters)
    assert reading.state == before


@pytest.mark.parametrize("name", KINDS)
def test_the_wanted_state_is_absolute_and_the_way_back_is_what_was_read(name: str) -> None:
    kind, _, reading, parameters = sample(name)
    desired, rollback = kind.desired(reading, parameters)
    assert not kind.reached(reading, desired)
    assert kind.reached(reading, rollback)
    assert kind.ours(reading, rollback, desired)


@pytest.mark.parametrize("name", KINDS)
def test_the_impact_names_what_is_touched_and_a_class(name: str) -> None:
    kind, options, reading, parameters = sample(name)
    desired, rollback = kind.desired(reading, parameters)
    impact = kind.impact(reading, desired, options)
    assert impact.touched
    assert isinstance(impact.risk, RiskClass)
    assert impact.risk is not RiskClass.A0
    assert kind.impact(reading, rollback, options).touched == ()


@pytest.mark.parametrize("name", KINDS)
def test_no_parameters_touch_nothing(name: str) -> None:
    kind, options, reading, _ = sample(name)
    try:
        desired, _ = kind.desired(reading, {})
    except ActionError:
        return  # refusing is nothing too
    assert desired == {}
    assert kind.impact(reading, desired, options).touched == ()


@pytest.mark.parametrize("name", KINDS)
def test_a_parameter_nobody_knows_is_refused(name: str) -> None:
    kind, _, reading, parameters = sample(name)
    with pytest.raises(ActionError):
        kind.desired(reading, {**parameters, "everything": True})


@pytest.mark.parametrize("name", KINDS)
def test_a_target_that_is_not_there_is_an_action_error_and_nothing_was_done(name: str) -> None:
    kind, options, reading, parameters = sample(name)
    with pytest.raises(ActionError):
        kind.read(Target(kind=name, name="target"), options)
    with pytest.raises(ActionError) as caught:
        kind.apply(kind.desired(reading, parameters)[0], intent_of(PLAN), options)
    assert not caught.value.unknown


@pytest.mark.parametrize("name", KINDS)
def test_options_are_strict_and_errors_name_the_key(name: str) -> None:
    kind, options, _, _ = sample(name)
    with pytest.raises(ValidationError):
        TypeAdapter(kind.options).validate_python({"nonsense": 1})
    with pytest.raises(ConfigError, match=r"remediation\.targets\.target\.nonsense"):
        kind.read(Target(kind=name, name="target"), {**options, "nonsense": 1})


@pytest.mark.parametrize("name", KINDS)
def test_it_says_what_it_can_do_and_how_a_link_asks_for_it(name: str) -> None:
    kind = kind_of(name)
    assert kind.capabilities
    assert kind.link in ("", "servers", "primary")
    page = (Path(__file__).parents[2] / "docs" / "remediation.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert row.split("|")[4].strip() == ", ".join(kind.capabilities)


def test_every_kind_has_a_sample() -> None:
    assert set(SAMPLES) == set(BUILTIN)
