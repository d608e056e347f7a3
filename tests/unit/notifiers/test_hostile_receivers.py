"""Whatever a receiver answers, it is one failed delivery with a bounded wait, and never a crash of the sender."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from notifiers import BUILTIN
from watchkeeper.errors import DeliveryError
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound, Response
from watchkeeper.registry import Registry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPTIONS: Mapping[str, dict[str, Any]] = {
    "dingtalk": {"token": "t" * 64},
    "feishu": {"token": "t" * 36},
    "webhook": {"url": "http://127.0.0.1:1/"},
    "wecom": {"key": "t" * 36},
}
ANSWERS = {
    "nested without end": Response(200, {}, b"[" * 200_000),
    "a code nested without end": Response(200, {}, b'{"errcode":' + b"[" * 200_000),
    "a code of ten thousand digits": Response(200, {}, b'{"errcode":' + b"9" * 10_000 + b"}"),
    "no text at all": Response(200, {}, b"\xff\xfe\x00"),
    "a wait of a million digits": Response(429, {"retry-after": "9" * 1_000_000}, b""),
    "a wait in superscript": Response(503, {"retry-after": "\u00b2\u00b2"}, b""),
    "a wait longer than any calendar": Response(200, {}, b'{"status":1111,"wait":' + b"9" * 400 + b"}"),
    "a wait before now": Response(200, {}, b'{"status":1111,"wait":-5}'),
}


class Receiver:
    """Answers every request with the same response."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer

    async def request(self, _method: str, _url: str, **_options: object) -> Response:
        return self.answer


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_hostile_answer_is_a_failed_delivery(kind: str, name: str) -> None:
    answer = ANSWERS[name]
    sender = Registry("notifiers", BUILTIN).build(kind, OPTIONS[kind])
    message = Message(kind="firing", title="CPU", severity=Severity.P1, at=NOON, lines=("one",))
    if kind == "webhook" and answer.status == 200:
        return  # its own server: the status alone decides
    with pytest.raises(DeliveryError) as caught:
        await cast(Any, sender).send(message, key="k", outbound=cast(Outbound, Receiver(answer)))
    assert caught.value.retry_after is None or 0 <= caught.value.retry_after <= 3600
