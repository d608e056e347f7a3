"""Weights of servers of one listener, or one of its rules, of Tencent Cloud's CLB (负载均衡), API of 2018-03-17."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT

from . import said
from .base import mapping
from .cloud_api import tencent
from .weights import POLL_SECONDS, Server, WeightOptions, Weights

VERSION = "2018-03-17"
DONE, FAILED = 0, 1


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TencentClbOptions(WeightOptions):
    """The user needs ``clb:Describe*`` and ``clb:BatchModifyTargetWeight``."""

    listener: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]  #: id of the listener
    location: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$")] = ""  #: id of a rule of an HTTP listener


class TencentClb(Weights):
    """Servers are called ``instance:port``, or ``address:port`` where an interface is bound."""

    options: ClassVar[type[Any]] = TencentClbOptions
    name: ClassVar[str] = "tencent_clb"

    def servers(self, options: TencentClbOptions) -> dict[str, Server]:
        answer = _ask(options, "DescribeTargetHealth", LoadBalancerIds=[options.balancer])
        balancers = {str(each["LoadBalancerId"]): each for each in answer["LoadBalancers"]}
        checked = _own(options, balancers[options.balancer])
        good = {f"{row['TargetId']}:{row['Port']}" for row in checked if row["HealthStatus"] is True}
        good |= {f"{row['IP']}:{row['Port']}" for row in checked if row["HealthStatus"] is True and row.get("IP")}
        return {name: Server(weight=int(row["Weight"]), healthy=name in good) for name, row in _found(options).items()}

    def weigh(self, options: TencentClbOptions, wanted: Mapping[str, int]) -> None:
        """One task for all; that it was done is asked for, what a task that failed did is not known."""
        where = {"ListenerId": options.listener} | ({"LocationId": options.location} if options.location else {})
        found = _found(options)
        change = [{**where, "Targets": [_target(found[name])], "Weight": weight} for name, weight in wanted.items()]
        asked = {"LoadBalancerId": options.balancer, "ModifyList": change}
        answer = tencent(options, "clb", VERSION, "BatchModifyTargetWeight", asked, effect=True)
        ends = time.monotonic() + options.ready_seconds
        while (status := _status(options, str(answer["RequestId"]))) != DONE:
            if status == FAILED:
                raise said.refused(options.balancer, "weight", "the task failed", unknown=True)
            if time.monotonic() > ends:
                raise said.not_reached(options.balancer, f"task {status}")
            time.sleep(POLL_SECONDS)


def _ask(options: TencentClbOptions, action: str, **parameters: Any) -> dict[str, Any]:
    return tencent(options, "clb", VERSION, action, parameters)


def _status(options: TencentClbOptions, task: str) -> int:
    return int(_ask(options, "DescribeTaskStatus", TaskId=task)["Status"])


def _own(options: TencentClbOptions, holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of our listener, or of our rule of it."""
    listeners = {str(each["ListenerId"]): mapping(each, "listener") for each in holder["Listeners"]}
    if options.listener not in listeners:
        raise said.nobody("listener", options.listener, listeners)
    own = listeners[options.listener]
    if options.location:
        rules = {str(each["LocationId"]): mapping(each, "rule") for each in own.get("Rules") or []}
        if options.location not in rules:
            raise said.nobody("location", options.location, rules)
        own = rules[options.location]
    return [mapping(row, "target") for row in own.get("Targets") or []]


def _found(options: TencentClbOptions) -> dict[str, Mapping[str, Any]]:
    answer = _ask(options, "DescribeTargets", LoadBalancerId=options.balancer, ListenerIds=[options.listener])
    return {":".join(map(str, _target(row).values())): row for row in _own(options, answer)}


def _target(row: Mapping[str, Any]) -> dict[str, Any]:
    """How a server is named in a request: by its instance, or by the address of its interface."""
    if row.get("InstanceId"):
        return {"InstanceId": row["InstanceId"], "Port": row["Port"]}
    return {"EniIp": row["PrivateIpAddresses"][0], "Port": row["Port"]}
