"""The size of an Auto Scaling group of Amazon, by its query API of 2011-01-01."""

from __future__ import annotations

from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT

from . import said
from .cloud_api import aws
from .pools import Change, Group, GroupOptions, ScalingGroup

VERSION = "2011-01-01"
#: Processes of a group without which a size that was set is not followed.
NEEDED = ("Launch", "Terminate")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AwsAutoscalingOptions(GroupOptions):
    """The key needs ``autoscaling:SetDesiredCapacity`` on the group and the three Describe calls below."""

    session_token: SecretStr = SecretStr("")  #: beside keys that live for hours


class AwsAutoscaling(ScalingGroup):
    """Desired state: ``{"count": 4}``, within the group's MinSize and MaxSize.

    A scaling policy that is enabled, or a scheduled action, is another controller of its size.
    """

    options: ClassVar[type[Any]] = AwsAutoscalingOptions
    name: ClassVar[str] = "aws_autoscaling"

    def describe(self, options: AwsAutoscalingOptions) -> Group:
        found = _ask(options, "DescribeAutoScalingGroups", **{"AutoScalingGroupNames.member.1": options.group})
        rows = found.findall("AutoScalingGroups/member")
        if not rows:
            raise said.nobody("AutoScalingGroup", options.group, ())
        group = rows[0]
        stopped = {_text(each, "ProcessName") for each in group.findall("SuspendedProcesses/member")}
        instances = group.findall("Instances/member")
        return Group(
            identity=_text(group, "AutoScalingGroupARN") + _text(group, "CreatedTime"),
            count=int(_text(group, "DesiredCapacity")),
            low=int(_text(group, "MinSize")),
            high=int(_text(group, "MaxSize")),
            healthy=sum(
                (_text(each, "LifecycleState"), _text(each, "HealthStatus")) == ("InService", "Healthy")
                for each in instances
            ),
            protected=sum(each.findtext("ProtectedFromScaleIn") == "true" for each in instances),
            rival=_rival(options, stopped),
            halted=_halted(group, stopped),
        )

    def resize(self, options: AwsAutoscalingOptions, change: Change) -> None:
        """The group's own cooldown is honoured on the way there, not on the way back."""
        honour = "true" if change.intent.operation == "execute" else "false"
        wanted = {"DesiredCapacity": str(change.count), "HonorCooldown": honour}
        aws(
            options,
            "autoscaling",
            VERSION,
            "SetDesiredCapacity",
            {"AutoScalingGroupName": options.group, **wanted},
            effect=True,
        )


def _ask(options: AwsAutoscalingOptions, action: str, **parameters: str) -> Element:
    found = aws(options, "autoscaling", VERSION, action, parameters)
    if found.findtext("NextToken"):  # half of a list could hide the one that matters
        raise said.unreadable(action, "NextToken")
    return found


def _rival(options: AwsAutoscalingOptions, stopped: set[str]) -> str:
    """A policy without alarms in force, and one that only forecasts, move nothing."""
    if "AlarmNotification" not in stopped:
        policies = _ask(options, "DescribePolicies", AutoScalingGroupName=options.group, MaxRecords="100")
        for each in policies.findall("ScalingPolicies/member"):
            only = each.findtext("PredictiveScalingConfiguration/Mode") == "ForecastOnly"
            if each.findtext("Enabled", "true") == "true" and not only:
                return f"ScalingPolicy/{_text(each, 'PolicyName')}"
    if "ScheduledActions" not in stopped:
        actions = _ask(options, "DescribeScheduledActions", AutoScalingGroupName=options.group, MaxRecords="100")
        for each in actions.findall("ScheduledUpdateGroupActions/member"):
            return f"ScheduledAction/{_text(each, 'ScheduledActionName')}"
    return ""


def _halted(group: Element, stopped: set[str]) -> str:
    if status := group.findtext("Status"):
        return status  # it has one only while it is being deleted
    held = [name for name in NEEDED if name in stopped]
    return f"{', '.join(held)} suspended" if held else ""


def _text(element: Element, name: str) -> str:
    found = element.findtext(name)
    if found is None:
        raise KeyError(name)
    return found
