"""Contract doubles of three clouds' monitoring services: they check each signature by its published algorithm."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

from support.listening import listening
from support.targets import answer

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#: 2026-11-22 12:00.
AT = 1_795_348_800
AWS = {
    "MetricDataResults": [
        {"Id": "m0", "Timestamps": [AT - 60, AT - 120], "Values": [12.5, 99], "StatusCode": "Complete"}
    ]
}
ALIYUN = {
    "Code": "200", "Success": True, "Period": "60", "RequestId": "x",
    "Datapoints": json.dumps([
        {"timestamp": AT * 1000, "userId": "1", "instanceId": f"i-{n}", "Average": n} for n in (1, 2)
    ]),
}  # fmt: skip
TENCENT = {
    "Response": {
        "Period": 60, "MetricName": "CPUUsage", "RequestId": "x",
        "DataPoints": [
            {"Dimensions": [{"Name": "InstanceId", "Value": f"ins-{n}"}], "Timestamps": [AT - 60, AT], "Values": [1, n]}
            for n in (3, 4)
        ],
    }
}  # fmt: skip
#: Kind -> (a metric it can ask for, a good answer).
GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "aws_cloudwatch": ({"namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {"InstanceId": "i-1"}}, AWS),
    "aliyun_cloudmonitor": ({"namespace": "acs_ecs_dashboard", "metric": "CPUUtilization"}, ALIYUN),
    "tencent_monitor": (
        {"namespace": "QCE/CVM", "metric": "CPUUsage", "dimensions": {"InstanceId": "ins-3,ins-4"}}, TENCENT,
    ),
}  # fmt: skip
Head = dict[str, str]


def options(kind: str, endpoint: str) -> dict[str, Any]:
    """Working options of a kind whose service is at ``endpoint``."""
    metric = {"name": "cpu", **GOOD[kind][0]}
    return {"region": "eu-1", "access_key": KEY, "secret": SECRET, "endpoint": endpoint, "metrics": [metric]}


def pages(kind: str) -> dict[str, bytes]:
    """A page of ``support.targets`` for each kind, under its name; nobody looks at signatures there."""
    return {f"/{kind}/": answer(json.dumps(GOOD[kind][1]).encode())}


def signature(head: Head, query: str, body: bytes, secret: str) -> tuple[str, str]:
    """(what the request shows, what it should show), by the algorithm that it names."""
    algorithm, _, rest = head["authorization"].partition(" ")
    words = dict(re.findall(r"(\w+)=([^,\s]+)", rest))
    names = words["SignedHeaders"].split(";")
    lines = "".join(f"{name}:{head[name].lower() if 'TC3' in algorithm else head[name]}\n" for name in names)
    parts = ["POST", "/", query, lines, words["SignedHeaders"], hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    if algorithm == "ACS3-HMAC-SHA256":
        return words["Signature"], hmac.new(secret.encode(), f"{algorithm}\n{digest}".encode(), "sha256").hexdigest()
    prefix = "AWS4" if algorithm == "AWS4-HMAC-SHA256" else "TC3"
    scope = words["Credential"].split("/", 1)[1]
    key = (prefix + secret).encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    stamp = head.get("x-amz-date") or head["x-tc-timestamp"]
    return words["Signature"], hmac.new(key, f"{algorithm}\n{stamp}\n{scope}\n{digest}".encode(), "sha256").hexdigest()


class Cloud:
    """``says(action, asked)`` gives the answer to a request that is signed as it should be."""

    def __init__(self, says: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self.port, self.says = 0, says
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                raw = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rows = raw.strip().split("\r\n")
                head = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
                body = await reader.readexactly(int(head.get("content-length", "0")))
                writer.write(self._answer(first.split(" ")[1].partition("?")[2], head, body))
                await writer.drain()

    def _answer(self, query: str, head: Head, body: bytes) -> bytes:
        shown, right = signature(head, query, body, SECRET)
        if shown != right or f"Credential={KEY}" not in head["authorization"]:
            self.refused += 1
            if "x-tc-action" in head:
                wrong = {
                    "Response": {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "it does not match"}}
                }
                return answer(json.dumps(wrong).encode())
            said = {"__type": "SignatureDoesNotMatch", "Code": "SignatureDoesNotMatch", "message": "it does not match"}
            return answer(json.dumps(said).encode(), status="400 Bad Request")
        asked = json.loads(body) if body else dict(parse_qsl(query))
        action = head.get("x-acs-action") or head.get("x-tc-action") or head["x-amz-target"].rpartition(".")[2]
        self.asked.append((action, asked))
        said = self.says(action, asked)
        status = "400 Bad Request" if "__type" in said else "200 OK"  # Amazon refuses by status
        return answer(json.dumps(said).encode(), status=status)


@asynccontextmanager
async def cloud(says: Callable[[str, dict[str, Any]], dict[str, Any]]) -> AsyncIterator[Cloud]:
    made = Cloud(says)
    async with listening(made.serve) as made.port:
        yield made
