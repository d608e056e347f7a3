"""Metrics of Alibaba Cloud CloudMonitor (云监控), API of 2019-01-01."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass

from watchkeeper import cloud_sign
from watchkeeper.outbound import Outbound

from .base import STRICT
from .cloud_metrics import CloudMetric, CloudMetrics, Point, refusal

ACTION, VERSION = "DescribeMetricLast", "2019-01-01"
#: Fields of a point that are no dimension.
FIGURES = ("Average", "Maximum", "Minimum", "Sum", "Value", "SampleCount", "timestamp")
MOST_PAGES = 100


@dataclass(kw_only=True, config=STRICT)
class AliyunCloudmonitor(CloudMetrics):
    """The newest point of each metric, for all resources of the account or those that ``dimensions`` name.

    Good for: ECS, RDS, SLB, Redis of Alibaba Cloud. A million calls a month are free. The user needs
    ``cms:DescribeMetricLast`` (AliyunCloudMonitorReadOnlyAccess). The account's number is no label.
    """

    KIND: ClassVar[str] = "aliyun_cloudmonitor"
    ENDPOINT: ClassVar[str] = "https://metrics.{region}.aliyuncs.com"

    async def points(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> Iterable[Point]:
        asked = {"Namespace": metric.namespace, "MetricName": metric.metric, "Period": str(metric.period)}
        if metric.dimensions:
            asked["Dimensions"] = json.dumps([metric.dimensions])
        found: list[Point] = []
        for _ in range(MOST_PAGES):
            answer = await self._call(asked, now, outbound)
            if str(answer.get("Code", "200")) != "200" or answer.get("Success") is False:
                raise refusal(str(answer.get("Code", "")), str(answer.get("Message", "")))
            found += _points(metric, json.loads(answer.get("Datapoints") or "[]"))
            if not (more := answer.get("NextToken")):
                break
            asked["NextToken"] = str(more)
        return found

    async def _call(self, asked: dict[str, str], now: datetime, outbound: Outbound) -> dict[str, Any]:
        query = cloud_sign.canonical_query(asked)
        secret = self.secret_key()
        signed = cloud_sign.aliyun(ACTION, VERSION, self.place(), query, self.access_key, secret, now)
        return await self.ask(outbound, signed, query=query)


def _points(metric: CloudMetric, rows: Any) -> Iterator[Point]:
    for row in rows:
        own = {name: str(value) for name, value in row.items() if name not in FIGURES and name != "userId"}
        yield Point(metric, own, float(row["timestamp"]) / 1000, float(row[metric.statistic]))
