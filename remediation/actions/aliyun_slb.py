"""Weights of servers behind Alibaba Cloud's Classic Load Balancer (传统型负载均衡, once SLB), API of 2014-05-15."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT

from .base import mapping
from .cloud_api import aliyun
from .weights import Server, WeightOptions, Weights

VERSION = "2014-05-15"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AliyunSlbOptions(WeightOptions):
    """The user needs ``slb:Describe*``, ``slb:SetBackendServers`` and ``slb:SetVServerGroupAttribute``."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$")] = (
        ""  #: id of a virtual server group; empty: the default one
    )


class AliyunSlb(Weights):
    """Servers are called by their id, in a virtual server group by ``id:port``."""

    options: ClassVar[type[Any]] = AliyunSlbOptions
    name: ClassVar[str] = "aliyun_slb"

    def servers(self, options: AliyunSlbOptions) -> dict[str, Server]:
        health = _ask(options, "DescribeHealthStatus", LoadBalancerId=options.balancer)
        good = _health(options, _rows(health))
        return {name: Server(weight=int(row["Weight"]), healthy=name in good) for name, row in _found(options).items()}

    def weigh(self, options: AliyunSlbOptions, wanted: Mapping[str, int]) -> None:
        found = _found(options)
        rows = [
            {key: found[name][key] for key in ("ServerId", "Port", "Type", "ServerIp") if found[name].get(key)}
            | {"Weight": weight}
            for name, weight in wanted.items()
        ]
        about = {"VServerGroupId": options.group} if options.group else {"LoadBalancerId": options.balancer}
        action = "SetVServerGroupAttribute" if options.group else "SetBackendServers"
        aliyun(options, "slb", VERSION, action, {**about, "BackendServers": json.dumps(rows)}, effect=True)


def _ask(options: AliyunSlbOptions, action: str, **parameters: str) -> dict[str, Any]:
    return aliyun(options, "slb", VERSION, action, parameters)


def _rows(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        mapping(row, "BackendServer") for row in mapping(answer["BackendServers"], "BackendServers")["BackendServer"]
    ]


def _found(options: AliyunSlbOptions) -> dict[str, Mapping[str, Any]]:
    if options.group:
        rows = _rows(_ask(options, "DescribeVServerGroupAttribute", VServerGroupId=options.group))
    else:
        rows = _rows(_ask(options, "DescribeLoadBalancerAttribute", LoadBalancerId=options.balancer))
    return {_name(options, row): row for row in rows}


def _health(options: AliyunSlbOptions, rows: list[Mapping[str, Any]]) -> set[str]:
    """Servers that every listener that checks them finds normal; those that none checks are not known to be."""
    told: dict[str, set[str]] = {}
    for row in rows:
        told.setdefault(_name(options, row), set()).add(str(row["ServerHealthStatus"]))
    return {name for name, states in told.items() if states == {"normal"}}


def _name(options: AliyunSlbOptions, row: Mapping[str, Any]) -> str:
    return f"{row['ServerId']}:{row['Port']}" if options.group else str(row["ServerId"])
