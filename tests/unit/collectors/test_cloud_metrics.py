"""Three clouds by contract doubles that check signatures, and the signatures by the clouds' own published examples."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.cloud_doubles import AT, GOOD, KEY, SECRET, cloud, options
from support.kinds import values

from collectors import BUILTIN
from collectors.cloud_metrics import CloudMetrics
from watchkeeper import cloud_sign
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime.fromtimestamp(AT, UTC)
KINDS = sorted(GOOD)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True)
    yield client
    await client.aclose()


def part(kind: str, port: int, **more: Any) -> Any:
    made = {"name": "c", **options(kind, f"http://127.0.0.1:{port}"), **more}
    return Registry("collectors", BUILTIN).build(kind, made)


def proof(headers: dict[str, str]) -> str:
    return headers["authorization"].rpartition("Signature=")[2]


def test_signatures_are_those_of_the_published_examples() -> None:
    """AWS: Signature Version 4 test suite, post-vanilla. Tencent: Signature v3. Alibaba: V3 request signature."""
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    assert proof(cloud_sign.aws("service", "us-east-1", "example.amazonaws.com", {}, b"", KEY, SECRET, at)) == (
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    )
    headers = {"content-type": "application/json; charset=utf-8", "x-tc-action": "DescribeInstances"}
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    at = datetime.fromtimestamp(1551113065, UTC)
    assert proof(cloud_sign.tencent("cvm", "cvm.tencentcloudapi.com", headers, body, "AKID", "*" * 32, at)) == (
        "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
    )
    image = "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"
    query = cloud_sign.canonical_query({"RegionId": "cn-shanghai", "ImageId": image})
    host, at = "ecs.cn-shanghai.aliyuncs.com", datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC)
    key, nonce = ("YourAccessKeyId", "YourAccessKeySecret"), "3156853299f313e23d1673dc12e1703d"
    assert proof(cloud_sign.aliyun("RunInstances", "2014-05-26", host, query, *key, at, nonce)) == (
        "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )
    assert cloud_sign.canonical_query({"a b": "~*/"}) == "a%20b=~%2A%2F"


@pytest.mark.parametrize(
    ("kind", "label", "wanted"),
    [
        ("aws_cloudwatch", "InstanceId", {("cpu", "i-1"): 12.5}),
        ("aliyun_cloudmonitor", "instanceId", {("cpu", "i-1"): 1, ("cpu", "i-2"): 2}),
        ("tencent_monitor", "InstanceId", {("cpu", "ins-3"): 3, ("cpu", "ins-4"): 4}),
    ],
)
async def test_the_newest_point_of_each_resource_is_read_by_a_signed_request(
    kind: str, label: str, wanted: dict[tuple[str, str], float], outbound: Outbound
) -> None:
    async with cloud(lambda *_: GOOD[kind][1]) as server:
        found = await part(kind, server.port).collect(NOON, outbound)
        got = values(found.ticks, label)
        assert {key: value for key, value in got.items() if key[0] == "cpu"} == wanted
        assert values(found.ticks, "query")["watchkeeper_query_success", "cpu"] == 1
        assert {dict(series).get("region") for series in found.ticks[0].layout.series} >= {"eu-1"}
        assert server.refused == 0
        late = await part(kind, server.port, max_age="5m").collect(NOON + timedelta(hours=1), outbound)
        assert [key for key in values(late.ticks, label) if key[0] == "cpu"] == []
        assert late.rejected["too_old"] >= 1


@pytest.mark.parametrize("kind", KINDS)
async def test_who_signs_with_another_secret_is_told_and_the_secret_is_not(kind: str, outbound: Outbound) -> None:
    async with cloud(lambda *_: GOOD[kind][1]) as server:
        wrong = part(kind, server.port, secret="hunter-two")
        with pytest.raises(CollectError, match="it does not match") as failure:
            await wrong.collect(NOON, outbound)
        assert failure.value.reason == "token"
        assert server.refused == 1
        assert "hunter" not in f"{failure.value} {wrong!r}"


async def test_a_metric_that_is_refused_leaves_the_others(outbound: Outbound) -> None:
    async def one(kind: str) -> None:
        def says(_: str, asked: dict[str, Any]) -> dict[str, Any]:
            if "Nothing" not in json.dumps(asked):
                return GOOD[kind][1]
            no = {"Code": "InvalidParameterValue", "Message": "no such metric"}
            return {"Response": {"Error": no}} if kind == "tencent_monitor" else {**no, "Success": False}

        metric = GOOD[kind][0]
        both = [{"name": "cpu", **metric}, {"name": "none", **metric, "metric": "Nothing"}]
        async with cloud(says) as server:
            made = part(kind, server.port, metrics=both)
            got = values((await made.collect(NOON, outbound)).ticks, "query")
            assert (got["watchkeeper_query_success", "cpu"], got["watchkeeper_query_success", "none"]) == (1, 0), kind
            assert set(made.problems) == {"none"}, kind

    for kind in KINDS:
        await one(kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_question_that_came_too_often_is_asked_again_and_an_end_of_keys_is_told(
    kind: str, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = ["Throttling.User", "RequestLimitExceeded"]

    def says(_: str, __: dict[str, Any]) -> dict[str, Any]:
        if not codes:
            return GOOD[kind][1]
        no = {"Code": codes.pop(), "Message": "not now"}
        if kind == "aws_cloudwatch":
            return {"__type": f"com.amazonaws.monitoring#{no['Code']}", "message": no["Message"]}
        return {"Response": {"Error": no}} if kind == "tencent_monitor" else {**no, "Success": False}

    monkeypatch.setattr(CloudMetrics, "WAITS", (0.0, 0.0))
    async with cloud(says) as server:
        made = part(kind, server.port)
        got = values((await made.collect(NOON, outbound)).ticks, "query")
        assert (got["watchkeeper_query_success", "cpu"], made.problems, len(server.asked)) == (1, {}, 3)
        codes += ["Throttling"] * 3
        with pytest.raises(CollectError, match="Throttling: not now") as failure:
            await made.collect(NOON, outbound)
        assert failure.value.reason == "status"
        codes.append("InvalidSecurityToken.Expired")
        with pytest.raises(CollectError, match="Expired: not now") as failure:
            await made.collect(NOON, outbound)
        assert failure.value.reason == "token"


async def test_cloudwatch_that_gives_no_data_says_so(outbound: Outbound) -> None:
    def says(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        (query,) = asked["MetricDataQueries"]
        return {"MetricDataResults": [{"Id": query["Id"], "Timestamps": [], "Values": [], "StatusCode": "Forbidden"}]}

    async with cloud(says) as server:
        with pytest.raises(CollectError, match="Forbidden: CloudWatch gives no data") as failure:
            await part("aws_cloudwatch", server.port).collect(NOON, outbound)
        assert failure.value.reason == "token"


async def test_every_resource_that_cloudwatch_lists_is_asked_for_over_all_pages(outbound: Outbound) -> None:
    def says(action: str, asked: dict[str, Any]) -> dict[str, Any]:
        if action == "ListMetrics":
            first = "NextToken" not in asked
            numbers = range(600) if first else range(600, 700)
            rows = [{"Dimensions": [{"Name": "InstanceId", "Value": f"i-{n}"}]} for n in numbers]
            rows.append({"Dimensions": [{"Name": "InstanceId", "Value": "x"}, {"Name": "Other", "Value": "y"}]})
            return {"Metrics": rows, **({"NextToken": "more"} if first else {})}
        assert len(asked["MetricDataQueries"]) <= 500
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Timestamps": [AT], "Values": [float(dimensions[0]["Value"][2:])]}
                for query in asked["MetricDataQueries"]
                for dimensions in [query["MetricStat"]["Metric"]["Dimensions"]]
            ]
        }

    metric = {"name": "cpu", "namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {"InstanceId": "*"}}
    async with cloud(says) as server:
        made = part("aws_cloudwatch", server.port, metrics=[metric])
        for now in (NOON, NOON + timedelta(minutes=1)):
            got = values((await made.collect(now, outbound)).ticks, "InstanceId")
            assert {key[1]: value for key, value in got.items() if key[0] == "cpu"} == {f"i-{n}": n for n in range(700)}
        assert [action for action, _ in server.asked].count("ListMetrics") == 2  # its two pages, once
        await made.collect(NOON + timedelta(minutes=11), outbound)
        assert [action for action, _ in server.asked].count("ListMetrics") == 4


async def test_alibabas_pages_are_followed_and_tencents_resources_are_asked_ten_at_a_time(outbound: Outbound) -> None:
    def pages(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        page = int(asked.get("NextToken", "0"))
        row = {"timestamp": AT * 1000, "instanceId": f"i-{page}", "Average": page}
        return {"Code": "200", "Datapoints": json.dumps([row]), **({"NextToken": str(page + 1)} if page < 3 else {})}

    async with cloud(pages) as server:
        got = values((await part("aliyun_cloudmonitor", server.port).collect(NOON, outbound)).ticks, "instanceId")
        assert [key[1] for key in got if key[0] == "cpu"] == ["i-0", "i-1", "i-2", "i-3"]

    def tens(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        rows = [{**one, "Timestamps": [AT], "Values": [1.0]} for one in asked["Instances"]]
        assert len(rows) <= 10
        return {"Response": {"DataPoints": rows}}

    many = {
        **GOOD["tencent_monitor"][0],
        "name": "cpu",
        "dimensions": {"InstanceId": ",".join(f"i{n}" for n in range(25))},
    }
    async with cloud(tens) as server:
        got = values(
            (await part("tencent_monitor", server.port, metrics=[many]).collect(NOON, outbound)).ticks, "InstanceId"
        )
        assert len([key for key in got if key[0] == "cpu"]) == 25
        assert len(server.asked) == 3
        uneven = {**many, "dimensions": {"a": "1,2", "b": "1,2,3"}}
        with pytest.raises(CollectError, match="each list as long as the others"):
            await part("tencent_monitor", server.port, metrics=[uneven]).collect(NOON, outbound)


def test_no_secret_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(Exception, match="secret or secret_file is needed"):
        part("aws_cloudwatch", 1, secret=None)
