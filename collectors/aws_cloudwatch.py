"""Metrics of Amazon CloudWatch, by its JSON protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper import cloud_sign
from watchkeeper.outbound import Outbound

from .base import STRICT
from .cloud_metrics import CloudMetric, CloudMetrics, Point, refusal

#: Series of one GetMetricData.
AT_ONCE = 500
#: Pages of one answer at most.
MOST_PAGES = 100
#: How long the list of resources of a metric is good for.
LISTED_FOR = timedelta(minutes=10)
Dimensions = tuple[tuple[str, str], ...]


@dataclass(kw_only=True, config=STRICT)
class AwsCloudwatch(CloudMetrics):
    """The newest point of each metric; a dimension ``*`` stands for every resource that CloudWatch lists.

    Good for: managed services (RDS, ELB, SQS, Lambda), whose figures are nowhere else. Each series of a reading is
    billed by Amazon: an interval of minutes. Not for: roles of instances; a key with ``cloudwatch:GetMetricData`` and
    ``cloudwatch:ListMetrics`` is needed.
    """

    KIND: ClassVar[str] = "aws_cloudwatch"
    ENDPOINT: ClassVar[str] = "https://monitoring.{region}.amazonaws.com"

    session_token: SecretStr | None = None  #: beside keys that live for hours

    def __post_init__(self) -> None:
        super().__post_init__()
        self._listed: dict[tuple[object, ...], tuple[datetime, list[Dimensions]]] = {}  #: question -> when, resources

    async def points(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> Iterable[Point]:
        resources = await self._resources(metric, now, outbound)
        found: list[Point] = []
        failed = ""
        for start in range(0, len(resources), AT_ONCE):
            part = resources[start : start + AT_ONCE]
            body = {
                "MetricDataQueries": [_query(f"m{number}", metric, one) for number, one in enumerate(part)],
                "StartTime": int((now - self.max_age - timedelta(seconds=metric.period)).timestamp()),
                "EndTime": int(now.timestamp()),
                "ScanBy": "TimestampDescending",
            }
            async for answer in self._pages("GetMetricData", body, now, outbound):
                results = answer["MetricDataResults"]
                found += _points(metric, part, results)
                failed = failed or next((one["StatusCode"] for one in results if _failed(one)), "")
        if failed and not found:
            raise refusal(str(failed), "CloudWatch gives no data of this metric")
        return _newest(found)

    async def _resources(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> list[Dimensions]:
        """What to ask for: the dimensions as they stand, or those of every resource where one is ``*``."""
        if "*" not in metric.dimensions.values():
            return [tuple(sorted(metric.dimensions.items()))]
        what = (metric.namespace, metric.metric, *metric.dimensions.items())
        at, known = self._listed.get(what, (None, []))
        if at is not None and now - at < LISTED_FOR:
            return known
        filters = [
            {"Name": name} if value == "*" else {"Name": name, "Value": value}
            for name, value in metric.dimensions.items()
        ]
        body = {"Namespace": metric.namespace, "MetricName": metric.metric, "Dimensions": filters}
        rows = set[Dimensions]()
        async for answer in self._pages("ListMetrics", body, now, outbound):
            for row in answer["Metrics"]:
                own = tuple(sorted((str(one["Name"]), str(one["Value"])) for one in row["Dimensions"]))
                if {name for name, _ in own} == set(metric.dimensions):
                    rows.add(own)
        self._listed[what] = now, sorted(rows)
        return sorted(rows)

    async def _pages(self, action: str, body: dict[str, Any], now: datetime, outbound: Outbound) -> Any:
        asked = dict(body)
        for _ in range(MOST_PAGES):
            answer = await self._call(action, asked, now, outbound)
            yield answer
            if not (more := answer.get("NextToken")):
                return
            asked["NextToken"] = more

    async def _call(self, action: str, body: dict[str, Any], now: datetime, outbound: Outbound) -> dict[str, Any]:
        content = json.dumps(body).encode()
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"GraniteServiceVersion20100801.{action}",
        }
        if self.session_token is not None:
            headers["x-amz-security-token"] = self.session_token.get_secret_value()
        secret = self.secret_key()
        signed = cloud_sign.aws("monitoring", self.region, self.place(), headers, content, self.access_key, secret, now)
        return await self.ask(outbound, signed, content)


def _query(name: str, metric: CloudMetric, dimensions: Dimensions) -> dict[str, Any]:
    what = {
        "Namespace": metric.namespace,
        "MetricName": metric.metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
    }
    return {"Id": name, "MetricStat": {"Metric": what, "Period": metric.period, "Stat": metric.statistic}}


def _points(metric: CloudMetric, asked: Sequence[Dimensions], results: Any) -> Iterator[Point]:
    for result in results:
        own = dict(asked[int(str(result["Id"]).removeprefix("m"))])
        for at, value in zip(result["Timestamps"], result["Values"], strict=True):
            yield Point(metric, own, float(at), float(value))


def _failed(result: Any) -> bool:
    return result.get("StatusCode", "Complete") not in ("Complete", "PartialData")


def _newest(found: Iterable[Point]) -> list[Point]:
    best: dict[Dimensions, Point] = {}
    for point in found:
        key = tuple(sorted(point.dimensions.items()))
        if key not in best or point.at > best[key].at:
            best[key] = point
    return list(best.values())
