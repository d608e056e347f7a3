"""What three clouds let others change, over real HTTP: scaling groups and weights of servers.

Doubles, because no cloud can run here. They keep to the clouds' published answers and check every signature by its
published algorithm. Amazon's group runs in moto's own server; a double of ours refuses what moto lets pass.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr
from support.answering import Answering, answering
from support.cloud_doubles import KEY, SECRET, signature
from support.driven import Driven, silence
from support.servers import free_port, need, start

from remediation.actions.cloud_api import CloudOptions, aws

CLOUD = {"region": "eu-1", "access_key": KEY, "secret": SECRET}
Asked = Mapping[str, Any]


@dataclass
class Cloud:
    """``says(action, asked)`` answers a request that is signed as it should be; a number in it is a status."""

    says: Callable[[str, Asked], Any]
    refused: int = 0
    asked: list[tuple[str, Asked]] = field(default_factory=list)

    def answer(self, head: Mapping[str, str], query: str, body: bytes) -> tuple[int, Any]:
        shown, right = signature(dict(head), query, body, SECRET)
        if shown != right or f"Credential={KEY}" not in head["authorization"]:
            self.refused += 1
            wrong = {"Code": "SignatureDoesNotMatch", "Message": "it does not match"}
            return (200, {"Response": {"Error": wrong}}) if "x-tc-action" in head else (400, wrong)
        form = dict(parse_qsl(body.decode())) if head.get("content-type", "").startswith("application/x-www") else None
        asked = form or (json.loads(body) if body else dict(parse_qsl(query)))
        action = head.get("x-acs-action") or head.get("x-tc-action") or asked["Action"]
        self.asked.append((action, asked))
        found = self.says(action, asked)
        return found if isinstance(found, tuple) else (200, found)


@contextmanager
def cloud(says: Callable[[str, Asked], Any]) -> Iterator[tuple[Cloud, str]]:
    """(the cloud, its address)"""
    made = Cloud(says)

    class Handler(Answering):
        def answer(self) -> None:
            head = {name.lower(): value.strip() for name, value in self.headers.items()}
            status, found = made.answer(head, urlsplit(self.path).query, self.body())
            self.say(status, (found if isinstance(found, str) else json.dumps(found)).encode())

    with answering(Handler) as url:
        yield made, url


@dataclass
class Group:
    """A scaling group as all three tell it, each in its own words. It follows at once."""

    count: int = 3
    low: int = 2
    high: int = 6
    expected: bool = True  #: Alibaba: the group has an expected number
    halted: str = ""
    protected: int = 0
    stopped: list[str] = field(default_factory=list)
    rivals: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  #: action -> rows
    changes: int = 0

    def set(self, count: int) -> None:
        self.count, self.changes = count, self.changes + 1

    def aliyun(self, action: str, asked: Asked) -> Any:
        if action == "DescribeScalingGroups":
            row = {
                "ScalingGroupId": "asg-1", "MinSize": self.low, "MaxSize": self.high, "TotalCapacity": self.count,
                "ActiveCapacity": self.count, "ProtectedCapacity": self.protected, "StandbyCapacity": 0,
                "LifecycleState": self.halted or "Active", "SuspendedProcesses": self.stopped,
                "EnableDesiredCapacity": self.expected, **({"DesiredCapacity": self.count} if self.expected else {}),
            }  # fmt: skip
            rows = [row] if asked["ScalingGroupIds.1"] == "asg-1" else []
            return {"ScalingGroups": rows, "TotalCount": len(rows)}
        lists = {"DescribeAlarms": "AlarmList", "DescribeScalingRules": "ScalingRules"}
        if action.startswith("Describe"):
            rows = self.rivals.get(action, [])
            return {lists.get(action, "ScheduledTasks"): rows, "TotalCount": len(rows)}
        if action == "ModifyScalingGroup" and self.expected:
            self.set(int(asked["DesiredCapacity"]))
        elif action == "ScaleWithAdjustment" and not self.expected and asked["AdjustmentType"] == "TotalCapacity":
            assert len(asked["ClientToken"]) <= 64
            self.set(int(asked["AdjustmentValue"]))
        else:
            return 400, {"Code": "InvalidParameter", "Message": "not of this group"}
        return {"RequestId": "x"}

    def tencent(self, action: str, asked: Asked) -> Any:
        if action == "DescribeAutoScalingGroups":
            row = {
                "AutoScalingGroupId": "asg-1", "MinSize": self.low, "MaxSize": self.high, "DesiredCapacity": self.count,
                "InServiceInstanceCount": self.count, "EnabledStatus": self.halted or "ENABLED", "CreatedTime": "t",
            }  # fmt: skip
            rows = [row] if asked["AutoScalingGroupIds"] == ["asg-1"] else []
            return {"Response": {"AutoScalingGroupSet": rows, "TotalCount": len(rows)}}
        if action.startswith("Describe"):
            name = "ScalingPolicySet" if action == "DescribeScalingPolicies" else "ScheduledActionSet"
            rows = self.rivals.get(action, [])
            return {"Response": {name: rows, "TotalCount": len(rows)}}
        if not self.low <= asked["DesiredCapacity"] <= self.high:
            return {"Response": {"Error": {"Code": "LimitExceeded.DesiredCapacityLimitExceeded", "Message": "no"}}}
        self.set(asked["DesiredCapacity"])
        return {"Response": {"RequestId": "x"}}

    def amazon(self, action: str, asked: Asked) -> Any:
        if action == "DescribeAutoScalingGroups":
            rows = [self._amazon()] if asked["AutoScalingGroupNames.member.1"] == "shop" else []
            return xml(action, {"AutoScalingGroups": rows})
        if action.startswith("Describe"):
            name = "ScalingPolicies" if action == "DescribePolicies" else "ScheduledUpdateGroupActions"
            return xml(action, {name: self.rivals.get(action, [])})
        if int(asked["DesiredCapacity"]) > self.high:
            return (
                400,
                "<ErrorResponse><Error><Code>ValidationError</Code><Message>above</Message></Error></ErrorResponse>",
            )
        if self.halted and asked["HonorCooldown"] == "true":
            return 400, "<ErrorResponse><Error><Code>ScalingActivityInProgress</Code></Error></ErrorResponse>"
        self.set(int(asked["DesiredCapacity"]))
        return xml(action, {})

    def _amazon(self) -> dict[str, Any]:
        each = {"LifecycleState": "InService", "HealthStatus": "Healthy"}
        return {
            "AutoScalingGroupARN": "arn:shop", "CreatedTime": "t", "DesiredCapacity": self.count,
            "MinSize": self.low, "MaxSize": self.high,
            "Instances": [
                {**each, "ProtectedFromScaleIn": str(place < self.protected).lower()} for place in range(self.count)
            ],
            "SuspendedProcesses": [{"ProcessName": name} for name in self.stopped],
        }  # fmt: skip


def xml(action: str, result: Mapping[str, Any]) -> str:
    """An answer of Amazon's query protocol."""

    def inner(value: Any) -> str:
        if isinstance(value, list):
            return "".join(f"<member>{inner(each)}</member>" for each in value)
        if isinstance(value, dict):
            return "".join(f"<{name}>{inner(each)}</{name}>" for name, each in value.items())
        return str(value)

    space = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
    return f'<{action}Response xmlns="{space}"><{action}Result>{inner(result)}</{action}Result></{action}Response>'


@dataclass
class Balancer:
    """Servers and weights as both balancers tell them; ``slow``: questions after which a task is done."""

    weights: dict[str, int] = field(default_factory=lambda: {"i-1": 100, "i-2": 100, "i-3": 70})
    sick: set[str] = field(default_factory=set)
    slow: int = 0
    fails: bool = False
    changes: int = 0

    def aliyun(self, action: str, asked: Asked) -> Any:
        own: dict[str, Any] = {"Type": "ecs", **({"Port": 80} if "VServer" in action else {})}
        if action == "DescribeHealthStatus":
            rows = [
                {"ServerId": name, "Port": 80, "ListenerPort": port, "ServerHealthStatus": _health(name in self.sick)}
                for name in self.weights
                for port in (80, 443)
            ]
        elif action in ("DescribeLoadBalancerAttribute", "DescribeVServerGroupAttribute"):
            rows = [{"ServerId": name, "Weight": weight, **own} for name, weight in self.weights.items()]
        else:
            self._set({row["ServerId"]: row["Weight"] for row in json.loads(asked["BackendServers"])})
            return {"RequestId": "x"}
        return {"BackendServers": {"BackendServer": rows}}

    def tencent(self, action: str, asked: Asked) -> Any:
        if action == "DescribeTaskStatus":
            self.slow -= 1
            return {"Response": {"Status": 1 if self.fails else 2 if self.slow >= 0 else 0, "RequestId": "y"}}
        if action == "BatchModifyTargetWeight":
            (where,) = {(row["ListenerId"], row.get("LocationId", "")) for row in asked["ModifyList"]}
            assert where in (("lbl-1", "loc-1"), ("lbl-2", ""))
            self._set({one["InstanceId"]: row["Weight"] for row in asked["ModifyList"] for one in row["Targets"]})
            return {"Response": {"RequestId": "task-1"}}
        if action == "DescribeTargets":
            rows = [{"InstanceId": name, "Port": 80, "Weight": weight} for name, weight in self.weights.items()]
            return {"Response": {"Listeners": _listeners(rows)}}
        rows = [
            {"TargetId": name, "IP": "10.0.0.1", "Port": 80, "HealthStatus": name not in self.sick}
            for name in self.weights
        ]
        return {"Response": {"LoadBalancers": [{"LoadBalancerId": "lb-1", "Listeners": _listeners(rows)}]}}

    def _set(self, weights: Mapping[str, int]) -> None:
        self.weights, self.changes = {**self.weights, **weights}, self.changes + 1


def _health(sick: bool) -> str:
    return "abnormal" if sick else "normal"


def _listeners(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An HTTP listener with a rule, and one of TCP."""
    return [
        {"ListenerId": "lbl-1", "Rules": [{"LocationId": "loc-1", "Targets": rows}]},
        {"ListenerId": "lbl-2", "Targets": rows},
    ]


#: Kind -> (what it says, its own options, what is wanted).
KINDS: dict[str, tuple[Callable[[Any], Callable[[str, Asked], Any]], dict[str, Any], dict[str, Any]]] = {
    "aliyun_ess": (lambda made: made.aliyun, {"group": "asg-1"}, {"count": 5}),
    "aws_autoscaling": (lambda made: made.amazon, {"group": "shop"}, {"count": 5}),
    "tencent_as": (lambda made: made.tencent, {"group": "asg-1"}, {"count": 5}),
    "aliyun_slb": (lambda made: made.aliyun, {"balancer": "lb-1"}, {"drain": "i-3"}),
    "tencent_clb": (
        lambda made: made.tencent,
        {"balancer": "lb-1", "listener": "lbl-1", "location": "loc-1"},
        {"drain": "i-3:80"},
    ),
}


@contextmanager
def serving(kind: str, made: Group | Balancer) -> Iterator[tuple[Cloud, dict[str, Any]]]:
    """(the cloud, a target of it)"""
    says, own, _ = KINDS[kind]
    with cloud(says(made)) as (found, url):
        yield found, {"name": "web", "kind": kind, **CLOUD, "endpoint": url, **own}


@contextmanager
def _driven(kind: str) -> Iterator[Driven]:
    made = Balancer() if kind in ("aliyun_slb", "tencent_clb") else Group()
    with serving(kind, made) as (_, settings), silence() as port:
        yield Driven(
            settings=settings,
            parameters=KINDS[kind][2],
            effects=lambda: made.changes,
            hang={"endpoint": f"http://127.0.0.1:{port}", "timeout_seconds": 0.1},
        )


@contextmanager
def aliyun_ess(folder: Path) -> Iterator[Driven]:
    del folder
    with _driven("aliyun_ess") as made:
        yield made


@contextmanager
def aliyun_slb(folder: Path) -> Iterator[Driven]:
    del folder
    with _driven("aliyun_slb") as made:
        yield made


@contextmanager
def tencent_as(folder: Path) -> Iterator[Driven]:
    del folder
    with _driven("tencent_as") as made:
        yield made


@contextmanager
def tencent_clb(folder: Path) -> Iterator[Driven]:
    del folder
    with _driven("tencent_clb") as made:
        yield made


@contextmanager
def moto(folder: Path) -> Iterator[Driven]:
    """moto's own server with a group of three."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = start(
        [need("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        f"{url}/moto-api/",
        cwd=folder,
        env={"AWS_EC2_METADATA_DISABLED": "true", "PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"]},
        port=port,
    )
    settings = {
        "name": "web",
        "kind": "aws_autoscaling",
        **CLOUD,
        "region": "eu-central-1",
        "endpoint": url,
        "group": "shop",
        "timeout_seconds": 60,  # the first questions make moto read all that it knows of machines
    }
    options = CloudOptions(
        region="eu-central-1", access_key=KEY, secret=SecretStr(SECRET), endpoint=url, timeout_seconds=60
    )
    sizes = {"MinSize": "2", "MaxSize": "6", "DesiredCapacity": "3", "AvailabilityZones.member.1": "eu-central-1a"}
    launch = {"LaunchConfigurationName": "lc", "ImageId": "ami-12c6146b", "InstanceType": "t2.micro"}
    with server, silence() as silent:
        aws(options, "autoscaling", "2011-01-01", "CreateLaunchConfiguration", launch, effect=True)
        group = {"AutoScalingGroupName": "shop", "LaunchConfigurationName": "lc", **sizes}
        aws(options, "autoscaling", "2011-01-01", "CreateAutoScalingGroup", group, effect=True)
        made = Driven(
            settings=settings,
            parameters={"count": 5},
            effects=lambda: 0,
            hang={"endpoint": f"http://127.0.0.1:{silent}", "timeout_seconds": 0.1},
        )
        changes = _Changes(made)
        made.effects = changes.count
        yield made


class _Changes:
    """moto keeps no log of activities: a change is another size than the one seen last."""

    def __init__(self, driven: Driven) -> None:
        self._driven, self._seen, self._changes = driven, driven.read().state["count"], 0

    def count(self) -> int:
        now = self._driven.read().state["count"]
        self._changes, self._seen = self._changes + (now != self._seen), now
        return self._changes
