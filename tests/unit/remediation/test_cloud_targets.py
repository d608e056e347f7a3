"""Scaling groups and balancers of three clouds: who else sets them, what they refuse, and what is never sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.cloud_targets import KINDS, Balancer, Cloud, Group, cloud, serving
from support.remedies import PLAN, intent_of

from remediation.actions import Kind, kind_of
from watchkeeper.errors import ActionError, ConfigError
from watchkeeper.model import RiskClass, Target

GROUPS, BALANCERS = ("aliyun_ess", "aws_autoscaling", "tencent_as"), ("aliyun_slb", "tencent_clb")


class Desk:
    """One target of a cloud, as the actuator has it."""

    def __init__(self, kind: str, found: Cloud, settings: dict[str, Any]) -> None:
        self.kind: Kind = kind_of(kind)
        self.cloud, self.settings, self.target = found, settings, Target(kind=kind, name="web")

    def problem(self, parameters: dict[str, Any]) -> str:
        reading = self.kind.read(self.target, self.settings)
        return self.kind.impact(reading, self.kind.desired(reading, parameters)[0], self.settings).problem

    def do(self, parameters: dict[str, Any], operation: str = "execute") -> None:
        reading = self.kind.read(self.target, self.settings)
        desired, _ = self.kind.desired(reading, parameters)
        self.kind.apply(desired, intent_of(PLAN, operation=operation), self.settings)


@contextmanager
def desk(kind: str, made: Group | Balancer, **more: Any) -> Iterator[Desk]:
    with serving(kind, made) as (found, settings):
        yield Desk(kind, found, {**settings, **more})


#: Kind -> action that lists rivals, a rival, the same one that moves nothing.
RIVALS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("aliyun_ess", "DescribeAlarms", {"Name": "cpu", "Enable": True}, {"Name": "cpu", "Enable": False}),
    (
        "aliyun_ess",
        "DescribeScheduledTasks",
        {"ScheduledTaskName": "cpu", "TaskEnabled": True},
        {"ScheduledTaskName": "cpu", "TaskEnabled": False},
    ),
    (
        "aliyun_ess",
        "DescribeScalingRules",
        {"ScalingRuleName": "cpu", "ScalingRuleType": "TargetTrackingScalingRule"},
        {"ScalingRuleName": "cpu", "ScalingRuleType": "SimpleScalingRule"},
    ),
    (
        "aliyun_ess",
        "DescribeScalingRules",
        {"ScalingRuleName": "cpu", "ScalingRuleType": "PredictiveScalingRule"},
        {"ScalingRuleName": "cpu", "ScalingRuleType": "PredictiveScalingRule", "PredictiveScalingMode": "PredictOnly"},
    ),
    ("aws_autoscaling", "DescribePolicies", {"PolicyName": "cpu"}, {"PolicyName": "cpu", "Enabled": "false"}),
    (
        "aws_autoscaling",
        "DescribePolicies",
        {"PolicyName": "cpu", "PredictiveScalingConfiguration": {"Mode": "ForecastAndScale"}},
        {"PolicyName": "cpu", "PredictiveScalingConfiguration": {"Mode": "ForecastOnly"}},
    ),
    ("aws_autoscaling", "DescribeScheduledActions", {"ScheduledActionName": "cpu"}, {}),
    ("tencent_as", "DescribeScalingPolicies", {"ScalingPolicyName": "cpu"}, {}),
    ("tencent_as", "DescribeScheduledActions", {"ScheduledActionName": "cpu"}, {}),
]


@pytest.mark.parametrize(("kind", "action", "rival", "idle"), RIVALS)
def test_whoever_else_sets_the_size_is_a_rival_and_one_that_only_looks_is_not(
    kind: str, action: str, rival: dict[str, Any], idle: dict[str, Any]
) -> None:
    made = Group()
    with desk(kind, made) as found:
        made.rivals = {action: [rival]}
        assert "/cpu: two controllers of one size would fight" in found.problem({"count": 5})
        with pytest.raises(ActionError, match="governed by"):
            found.do({"count": 5})
        made.rivals = {action: [idle] if idle else []}
        assert found.problem({"count": 5}) == ""
        assert made.changes == 0


@pytest.mark.parametrize(
    ("kind", "process", "action", "rival"),
    [
        ("aliyun_ess", "AlarmNotification", "DescribeAlarms", {"Name": "cpu"}),
        ("aws_autoscaling", "AlarmNotification", "DescribePolicies", {"PolicyName": "cpu"}),
        ("aws_autoscaling", "ScheduledActions", "DescribeScheduledActions", {"ScheduledActionName": "cpu"}),
    ],
)
def test_a_rival_whose_process_is_suspended_moves_nothing(
    kind: str, process: str, action: str, rival: dict[str, Any]
) -> None:
    with desk(kind, Group(rivals={action: [rival]}, stopped=[process])) as found:
        assert found.problem({"count": 5}) == ""


def test_half_a_list_of_rivals_is_not_none() -> None:
    made = Group()

    def longer(action: str, asked: Any) -> Any:
        answer = made.aliyun(action, asked)
        return {**answer, "TotalCount": 60} if action == "DescribeAlarms" else answer

    match = "AlarmList: the answer cannot be read: 0 of 60"
    with (
        serving("aliyun_ess", made) as (_, settings),
        cloud(longer) as (_, url),
        pytest.raises(ActionError, match=match),
    ):
        kind_of("aliyun_ess").read(Target(kind="aliyun_ess", name="web"), {**settings, "endpoint": url})


@pytest.mark.parametrize("kind", GROUPS)
def test_a_size_outside_of_anybodys_bounds_is_never_sent(kind: str) -> None:
    made = Group()
    with desk(kind, made, ceiling=5, floor=3) as found:
        for count in (7, 6, 2, 1):
            with pytest.raises(ActionError, match=f"{count} is outside of 3 to 5"):
                found.do({"count": count})
        reading = found.kind.read(found.target, found.settings)
        impact = found.kind.impact(reading, {"count": 9}, found.settings)
        assert (impact.floor, impact.ceiling, impact.total, impact.scaling) == (3, 5, 9, True)
        found.do({"count": 5})
    assert (made.count, made.changes) == (5, 1)


@pytest.mark.parametrize("kind", GROUPS)
def test_more_is_class_a2_and_fewer_a3_one_touched_for_each(kind: str) -> None:
    with desk(kind, Group(count=4)) as found:
        reading = found.kind.read(found.target, found.settings)
        out, into = (found.kind.impact(reading, {"count": count}, found.settings) for count in (6, 3))
    assert (out.risk, out.direction, len(out.touched), out.healthy_after) == (RiskClass.A2, "out", 2, 4)
    assert (into.risk, into.direction, len(into.touched), into.healthy_after) == (RiskClass.A3, "in", 1, 3)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("aliyun_ess", {"halted": "Inactive"}), ("aliyun_ess", {"stopped": ["ScaleOut"]}),
     ("aws_autoscaling", {"stopped": ["Launch"]}), ("tencent_as", {"halted": "DISABLED"})],
)  # fmt: skip
def test_a_group_that_would_not_follow_is_not_told(kind: str, state: dict[str, Any]) -> None:
    made = Group(**state)
    with desk(kind, made) as found:
        assert "would not follow" in found.problem({"count": 5})
        with pytest.raises(ActionError, match="would not follow"):
            found.do({"count": 5})
    assert made.changes == 0


@pytest.mark.parametrize("kind", ["aliyun_ess", "aws_autoscaling"])
def test_protected_instances_cannot_be_taken_away(kind: str) -> None:
    with desk(kind, Group(count=5, protected=4)) as found:
        assert found.problem({"count": 4}) == ""
        assert "all but 1 of 5 instances are protected" in found.problem({"count": 3})


def test_a_group_without_an_expected_number_is_brought_to_a_total_with_a_key_that_makes_repeating_harmless() -> None:
    made = Group(expected=False)
    with desk("aliyun_ess", made) as found:
        found.do({"count": 5})
        (asked,) = [each for action, each in found.cloud.asked if action == "ScaleWithAdjustment"]
    assert (made.count, asked["AdjustmentType"], len(asked["ClientToken"])) == (5, "TotalCapacity", 64)


def test_amazons_own_cooldown_is_honoured_on_the_way_there_and_not_on_the_way_back() -> None:
    made = Group(halted="cooldown")
    with desk("aws_autoscaling", made) as found:
        with pytest.raises(ActionError, match="ScalingActivityInProgress") as caught:
            found.do({"count": 5})
        assert not caught.value.unknown
        found.do({"count": 5}, "rollback")
    assert made.count == 5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_another_secret_is_refused_and_told_to_nobody(kind: str, tmp_path: Path) -> None:
    made = Balancer() if kind in BALANCERS else Group()
    with desk(kind, made, secret="hunter-two") as found:
        with pytest.raises(ActionError) as caught:
            found.kind.read(found.target, found.settings)
        assert found.cloud.refused == 1
        assert "hunter" not in str(caught.value)
        (tmp_path / "secret").write_text("hunter-three\n")
        from_file = {**found.settings, "secret_file": str(tmp_path / "secret")}
        with pytest.raises(ConfigError, match="one of the two"):
            found.kind.read(found.target, from_file)
        del from_file["secret"]
        with pytest.raises(ActionError):
            found.kind.read(found.target, from_file)
        assert found.cloud.refused == 2
        with pytest.raises(ActionError, match="nowhere cannot be asked"):
            found.kind.read(found.target, {**from_file, "secret_file": "/nowhere"})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_not_there_is_refused_by_name(kind: str) -> None:
    made: Group | Balancer = Balancer(weights={}) if kind in BALANCERS else Group()
    with desk(kind, made) as found, pytest.raises(ActionError, match="there is no"):
        found.kind.read(found.target, {**found.settings, **({} if kind in BALANCERS else {"group": "other"})})


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "answer",
    [(200, "<html>"), (200, "[]"), (200, "{}"), (500, "{}"), (200, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')],
)
def test_an_answer_of_another_form_is_an_action_error(kind: str, answer: tuple[int, str]) -> None:
    with serving(kind, Group()) as (_, settings), cloud(lambda *_: answer) as (_, url), pytest.raises(ActionError):
        kind_of(kind).read(Target(kind=kind, name="web"), {**settings, "endpoint": url})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_server_error_after_the_order_leaves_it_unknown_and_before_it_nothing_was_done(kind: str) -> None:
    made: Any = Balancer() if kind in BALANCERS else Group()
    says = KINDS[kind][0](made)

    def broken(action: str, asked: Any) -> Any:
        if action.startswith("Describe"):
            return says(action, asked)
        wrong = {"Error": {"Code": "InternalError", "Message": "oops"}}
        return {"Response": wrong} if kind.startswith("tencent") else (500, "<Error/>" if "aws" in kind else "{}")

    with serving(kind, made) as (_, settings), cloud(broken) as (found, url):
        own = Desk(kind, found, {**settings, "endpoint": url})
        with pytest.raises(ActionError) as caught:
            own.do(KINDS[kind][2])
    assert caught.value.unknown


@pytest.mark.parametrize("kind", BALANCERS)
def test_the_share_of_each_server_is_its_weight_and_a_sick_one_is_not_healthy(kind: str) -> None:
    made = Balancer(sick={"i-2"})
    port = ":80" if kind == "tencent_clb" else ""
    with desk(kind, made) as found:
        reading = found.kind.read(found.target, found.settings)
        assert reading.state == {f"i-{n}{port}": {"weight": weight} for n, weight in ((1, 100), (2, 100), (3, 70))}
        assert (reading.capacity["healthy"], reading.capacity["total"]) == (2, 3)
        switch = {"servers": {f"i-1{port}": {"state": "drain"}, f"i-3{port}": {"weight": 100}}}
        desired, before = found.kind.desired(reading, switch)
        assert desired == {f"i-1{port}": {"weight": 0}, f"i-3{port}": {"weight": 100}}
        impact = found.kind.impact(reading, desired, found.settings)
        assert (impact.direction, impact.risk, impact.healthy_after) == (f"switch:i-3{port}", RiskClass.A2, 1)
        found.kind.apply(desired, intent_of(PLAN), found.settings)
        assert made.weights == {"i-1": 0, "i-2": 100, "i-3": 100}
        ready, _ = found.kind.desired(found.kind.read(found.target, found.settings), {"ready": [f"i-1{port}"]})
        assert ready == {f"i-1{port}": {"weight": 100}}  # a drained one has no weight to go back to: all of it
        found.kind.apply(before, intent_of(PLAN), found.settings)
    assert (made.weights, made.changes) == ({"i-1": 100, "i-2": 100, "i-3": 70}, 2)


@pytest.mark.parametrize("kind", BALANCERS)
def test_a_pool_is_never_emptied_and_a_strange_server_never_named(kind: str) -> None:
    made = Balancer()
    port = ":80" if kind == "tencent_clb" else ""
    with desk(kind, made) as found:
        with pytest.raises(ActionError, match="fewer than the floor would take traffic"):
            found.do({"drain": [f"i-{n}{port}" for n in (1, 2, 3)]})
        for wrong, says in (
            ({"drain": "i-9"}, "there is no i-9"),
            ({"servers": {f"i-1{port}": {"weight": 101}}}, "whole number from 0 to 100"),
            ({"servers": {f"i-1{port}": {"state": "maint"}}}, "write one of drain, ready"),
        ):
            with pytest.raises(ActionError, match=says):
                found.do(wrong)
        with pytest.raises(ActionError, match="there is no i-9"):
            found.kind.apply({"i-9": {"weight": 1}}, intent_of(PLAN), found.settings)
    assert made.changes == 0


def test_a_virtual_server_group_calls_its_servers_by_port_too() -> None:
    made = Balancer()
    with desk("aliyun_slb", made, group="rsp-1") as found:
        found.do({"drain": "i-1:80"})
        (asked,) = [each for action, each in found.cloud.asked if action == "SetVServerGroupAttribute"]
    assert (asked["VServerGroupId"], asked["BackendServers"]) == (
        "rsp-1",
        '[{"ServerId": "i-1", "Port": 80, "Type": "ecs", "Weight": 0}]',
    )


def test_a_listener_without_rules_is_its_own_pool_and_others_are_refused_by_name() -> None:
    made = Balancer(slow=1)
    with desk("tencent_clb", made, listener="lbl-2", location="") as found:
        found.do({"drain": "i-1:80"})
        assert [action for action, _ in found.cloud.asked].count("DescribeTaskStatus") == 2
        for wrong in ({"listener": "lbl-9"}, {"listener": "lbl-1", "location": "loc-9"}):
            with pytest.raises(ActionError, match="there is no l"):
                found.kind.read(found.target, {**found.settings, **wrong})
    assert made.weights["i-1"] == 0


def test_a_task_that_failed_or_takes_too_long_leaves_it_unknown() -> None:
    for made, says in ((Balancer(fails=True), "the task failed"), (Balancer(slow=99), "task 2")):
        with desk("tencent_clb", made, ready_seconds=0.1) as found, pytest.raises(ActionError, match=says) as caught:
            found.do({"drain": "i-1:80"})
        assert caught.value.unknown


def test_the_group_made_anew_is_another_epoch() -> None:
    made = Group()
    with desk("tencent_as", made) as found:
        first = found.kind.read(found.target, found.settings)
        assert found.kind.read(found.target, found.settings).epoch == first.epoch
        made.high = 7
        assert found.kind.read(found.target, found.settings).epoch != first.epoch
