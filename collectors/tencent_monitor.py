"""Metrics of Tencent Cloud Monitor (腾讯云可观测平台), API of 2018-07-24."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from watchkeeper import cloud_sign
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .cloud_metrics import CloudMetric, CloudMetrics, Point, refusal

ACTION, VERSION = "GetMonitorData", "2018-07-24"
#: Resources of one request.
AT_ONCE = 10


@dataclass(kw_only=True, config=STRICT)
class TencentMonitor(CloudMetrics):
    """The newest point of each metric for the resources that ``dimensions`` name, several with commas between them.

    Good for: CVM, CDB, CLB, Redis of Tencent Cloud: ``dimensions: {InstanceId: "ins-1,ins-2"}``. A million calls a
    month are free. The user needs ``monitor:GetMonitorData`` (QcloudMonitorReadOnlyAccess). There is no list of
    resources in this API, and no ``statistic``: the cloud gives the one of the metric.
    """

    KIND: ClassVar[str] = "tencent_monitor"
    ENDPOINT: ClassVar[str] = "https://monitor.tencentcloudapi.com"

    async def points(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> Iterable[Point]:
        resources = _resources(metric.dimensions)
        found: list[Point] = []
        for start in range(0, len(resources), AT_ONCE):
            body = {
                "Namespace": metric.namespace,
                "MetricName": metric.metric,
                "Period": metric.period,
                "Instances": [
                    {"Dimensions": [{"Name": name, "Value": value} for name, value in one.items()]}
                    for one in resources[start : start + AT_ONCE]
                ],
                "StartTime": (now - self.max_age - timedelta(seconds=metric.period)).isoformat(timespec="seconds"),
                "EndTime": now.isoformat(timespec="seconds"),
            }
            found += _points(metric, await self._call(body, now, outbound))
        return found

    async def _call(self, body: dict[str, Any], now: datetime, outbound: Outbound) -> dict[str, Any]:
        content = json.dumps(body).encode()
        headers = {
            "content-type": "application/json; charset=utf-8",
            "x-tc-action": ACTION,
            "x-tc-version": VERSION,
            "x-tc-region": self.region,
        }
        secret = self.secret_key()
        signed = cloud_sign.tencent("monitor", self.place(), headers, content, self.access_key, secret, now)
        answer = (await self.ask(outbound, signed, content))["Response"]
        if wrong := answer.get("Error"):
            raise refusal(str(wrong.get("Code", "")), str(wrong.get("Message", "")))
        found: dict[str, Any] = answer
        return found


def _resources(dimensions: dict[str, str]) -> list[dict[str, str]]:
    """One set of dimensions a resource: lists of several dimensions go together, one by one."""
    columns = {name: [word.strip() for word in value.split(",")] for name, value in dimensions.items()}
    most = max(map(len, columns.values()), default=0)
    if not most or any(len(words) not in (1, most) for words in columns.values()):
        raise CollectError("dimensions must name resources, each list as long as the others", reason="query")
    return [{name: words[min(number, len(words) - 1)] for name, words in columns.items()} for number in range(most)]


def _points(metric: CloudMetric, answer: dict[str, Any]) -> Iterator[Point]:
    for row in answer["DataPoints"]:
        own = {str(one["Name"]): str(one["Value"]) for one in row["Dimensions"]}
        pairs = [pair for pair in zip(row["Timestamps"], row["Values"], strict=True) if pair[1] is not None]
        if pairs:
            at, value = max(pairs)
            yield Point(metric, own, float(at), float(value))
