"""The size of a scaling group of Alibaba Cloud (弹性伸缩), by its API of 2022-02-22."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from . import said
from .cloud_api import aliyun, whole
from .pools import Change, Group, GroupOptions, ScalingGroup

VERSION, PAGE = "2022-02-22", {"PageSize": "50"}
EXPECTED, COUNTED = "expected", "counted"
#: Kinds of scaling rules that act by themselves; the others wait for an alarm or a task.
BY_ITSELF = {"TargetTrackingScalingRule", "PredictiveScalingRule"}


class AliyunEss(ScalingGroup):
    """Desired state: ``{"count": 4}``, within the group's MinSize and MaxSize.

    An enabled alarm or scheduled task of the group, or a rule that tracks or predicts, is another controller. The user
    needs ``ess:Describe*``, ``ess:ModifyScalingGroup`` and ``ess:ScaleWithAdjustment``.
    """

    name: ClassVar[str] = "aliyun_ess"

    def describe(self, options: GroupOptions) -> Group:
        answer = aliyun(options, "ess", VERSION, "DescribeScalingGroups", {"ScalingGroupIds.1": options.group, **PAGE})
        rows = whole(answer, "ScalingGroups")
        if not rows:
            raise said.nobody("ScalingGroup", options.group, ())
        group, expected = rows[0], _expected(rows[0])
        stopped = set(group.get("SuspendedProcesses") or [])
        return Group(
            identity=f"{group['ScalingGroupId']}/{EXPECTED if expected else COUNTED}",
            count=int(group["DesiredCapacity" if expected else "TotalCapacity"]),
            low=int(group["MinSize"]),
            high=int(group["MaxSize"]),
            healthy=int(group["ActiveCapacity"]),
            protected=int(group.get("ProtectedCapacity") or 0) + int(group.get("StandbyCapacity") or 0),
            rival=next(_rivals(options, stopped), ""),
            halted=_halted(group, stopped),
        )

    def resize(self, options: GroupOptions, change: Change) -> None:
        """A group with an expected number is told it; another one is brought to a total, one activity at a time."""
        about = {"ScalingGroupId": options.group}
        if change.group.identity.endswith(EXPECTED):
            wanted = {**about, "DesiredCapacity": str(change.count)}
            aliyun(options, "ess", VERSION, "ModifyScalingGroup", wanted, effect=True)
            return
        token = hashlib.sha256(change.intent.idempotency_key.encode()).hexdigest()
        wanted = {
            **about,
            "AdjustmentType": "TotalCapacity",
            "AdjustmentValue": str(change.count),
            "ClientToken": token,
        }
        aliyun(options, "ess", VERSION, "ScaleWithAdjustment", wanted, effect=True)


def _expected(group: Mapping[str, Any]) -> bool:
    """True when ESS itself keeps the group at a number."""
    told = group.get("EnableDesiredCapacity")
    return group.get("DesiredCapacity") is not None if told is None else told is True


def _rivals(options: GroupOptions, stopped: set[str]) -> Iterator[str]:
    about = {"ScalingGroupId": options.group, **PAGE}
    if "AlarmNotification" not in stopped:
        for each in whole(aliyun(options, "ess", VERSION, "DescribeAlarms", about), "AlarmList"):
            if each.get("Enable") is not False:
                yield f"Alarm/{each['Name']}"
        for each in whole(aliyun(options, "ess", VERSION, "DescribeScalingRules", about), "ScalingRules"):
            only = each.get("PredictiveScalingMode") == "PredictOnly"
            if each.get("ScalingRuleType") in BY_ITSELF and not only:
                yield f"ScalingRule/{each['ScalingRuleName']}"
    if "ScheduledAction" not in stopped:
        for each in whole(aliyun(options, "ess", VERSION, "DescribeScheduledTasks", about), "ScheduledTasks"):
            if each.get("TaskEnabled") is not False:
                yield f"ScheduledTask/{each['ScheduledTaskName']}"


def _halted(group: Mapping[str, Any], stopped: set[str]) -> str:
    if (state := str(group["LifecycleState"])) != "Active":
        return state
    held = sorted(stopped & {"ScaleOut", "ScaleIn"})
    return f"{', '.join(held)} suspended" if held else ""
