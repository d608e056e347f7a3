"""The size of a scaling group of Tencent Cloud (弹性伸缩), by its API of 2018-04-19."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from . import said
from .cloud_api import tencent, whole
from .pools import Change, Group, GroupOptions, ScalingGroup

VERSION, PAGE = "2018-04-19", {"Limit": 100}


class TencentAs(ScalingGroup):
    """Desired state: ``{"count": 4}``, within the group's MinSize and MaxSize.

    Any scaling policy or scheduled action of the group is another controller. The user needs ``as:Describe*`` and
    ``as:ModifyDesiredCapacity``.
    """

    name: ClassVar[str] = "tencent_as"

    def describe(self, options: GroupOptions) -> Group:
        about = {"AutoScalingGroupIds": [options.group]}
        rows = whole(_ask(options, "DescribeAutoScalingGroups", about), "AutoScalingGroupSet")
        if not rows:
            raise said.nobody("AutoScalingGroup", options.group, ())
        group = rows[0]
        return Group(
            identity=f"{group['AutoScalingGroupId']}/{group.get('CreatedTime', '')}",
            count=int(group["DesiredCapacity"]),
            low=int(group["MinSize"]),
            high=int(group["MaxSize"]),
            healthy=int(group["InServiceInstanceCount"]),
            rival=next(_rivals(options), ""),
            halted="" if group["EnabledStatus"] == "ENABLED" else str(group["EnabledStatus"]),
        )

    def resize(self, options: GroupOptions, change: Change) -> None:
        wanted = {"AutoScalingGroupId": options.group, "DesiredCapacity": change.count}
        tencent(options, "as", VERSION, "ModifyDesiredCapacity", wanted, effect=True)


def _ask(options: GroupOptions, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return tencent(options, "as", VERSION, action, parameters)


def _rivals(options: GroupOptions) -> Iterator[str]:
    about = {"Filters": [{"Name": "auto-scaling-group-id", "Values": [options.group]}], **PAGE}
    for each in whole(_ask(options, "DescribeScalingPolicies", about), "ScalingPolicySet"):
        yield f"ScalingPolicy/{each['ScalingPolicyName']}"
    for each in whole(_ask(options, "DescribeScheduledActions", about), "ScheduledActionSet"):
        yield f"ScheduledAction/{each['ScheduledActionName']}"
