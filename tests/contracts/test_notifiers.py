"""Every HTTP channel: what it does when the receiver says no, says nothing, or says nonsense."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.robot_validator import problems
from support.robots import SECRET, TOKEN, Robots, robots

from notifiers import BUILTIN
from watchkeeper.errors import ConfigError, DeliveryError
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HTTP = ("dingtalk", "feishu", "webhook", "wecom")
ROBOTS = ("dingtalk", "feishu", "wecom")
MESSAGE = Message(
    kind="firing", title="P1 CPU 高", lines=("service: checkout", "since 12:00"), severity=Severity.P1, at=NOON,
    links={"打开": "https://watch.example/x?a=(1)"}, subject_id="inc-1",
)  # fmt: skip


def options(kind: str, base: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"timeout": timedelta(seconds=5)}
    if kind == "webhook":
        return (
            found | {"url": f"{base}/hook?token={TOKEN}", "secret": SECRET, "bearer": TOKEN, "now": lambda: NOON} | more
        )
    found |= {"base_url": base, "allow_hosts": ("127.0.0.1",)}
    found |= {"key": TOKEN} if kind == "wecom" else {"token": TOKEN, "secret": SECRET, "now": lambda: NOON}
    return found | more


def build(kind: str, base: str, **more: Any) -> Any:
    return Registry("notifiers", BUILTIN).build(kind, options(kind, base, **more))


@pytest.fixture
async def double() -> AsyncIterator[Robots]:
    async with robots(now=lambda: NOON) as found:
        yield found


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    found = Outbound(allow_private=True)
    yield found
    await found.aclose()


async def refusal(kind: str, double: Robots, outbound: Outbound, **more: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await build(kind, double.base, **more).send(MESSAGE, key="k1", outbound=outbound)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (TOKEN, SECRET, "sign=", double.base):
        assert secret not in shown
    return caught.value


@pytest.mark.parametrize("kind", HTTP)
async def test_a_message_arrives_and_the_receipt_says_so(kind: str, double: Robots, outbound: Outbound) -> None:
    receipt = await build(kind, double.base).send(MESSAGE, key="k1", outbound=outbound)
    assert receipt.detail == "ok"
    assert len(double.accepted) == 1
    assert "CPU 高" in double.accepted[0].body.decode()


@pytest.mark.parametrize("kind", ROBOTS)
async def test_the_validator_finds_nothing_wrong(kind: str, double: Robots, outbound: Outbound) -> None:
    await build(kind, double.base).send(MESSAGE, key="k1", outbound=outbound)
    secret = "" if kind == "wecom" else SECRET
    assert problems(double.requests[0], secret=secret, now=NOON.timestamp()) == []


@pytest.mark.parametrize("mode", ["500", "502", "503", "429", "redirect", "html", "reset"])
@pytest.mark.parametrize("kind", HTTP)
async def test_trouble_that_may_pass_is_worth_another_try(
    kind: str, mode: str, double: Robots, outbound: Outbound
) -> None:
    double.mode = mode
    error = await refusal(kind, double, outbound)
    assert not error.permanent
    assert all(request.target != "/elsewhere" for request in double.requests)
    assert len(double.requests) == 1
    if mode == "429":
        assert error.retry_after == 7


@pytest.mark.parametrize("kind", HTTP)
async def test_silence_ends_with_the_time_limit(kind: str, double: Robots, outbound: Outbound) -> None:
    double.mode = "hang"
    error = await refusal(kind, double, outbound, timeout=timedelta(milliseconds=200))
    assert (error.code, error.permanent) == ("timeout", False)


@pytest.mark.parametrize("kind", HTTP)
async def test_nobody_listening_is_told_apart_from_a_broken_answer(
    kind: str, double: Robots, outbound: Outbound
) -> None:
    double.mode = "reset"
    assert (await refusal(kind, double, outbound)).code == "broken"
    double.port = 1
    assert (await refusal(kind, double, outbound)).code == "connect"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "ok",
        "[]",
        "null",
        '{"ok":true}',
        '{"errcode":null}',
        '{"code":"0","errcode":"0"}',
        '{"code":false,"errcode":false}',
    ],
)
@pytest.mark.parametrize("kind", ROBOTS)
async def test_200_without_the_robots_word_is_no_success(
    kind: str, body: str, double: Robots, outbound: Outbound
) -> None:
    double.mode = f"body:{body}"
    assert not (await refusal(kind, double, outbound)).permanent


@pytest.mark.parametrize(
    ("kind", "status", "permanent"),
    [("webhook", "404", True), ("webhook", "408", False), ("dingtalk", "403", False), ("feishu", "404", False)],
)
async def test_a_4xx_is_for_ever_only_from_a_server_of_ones_own(
    kind: str, status: str, permanent: bool, double: Robots, outbound: Outbound
) -> None:
    double.mode = status
    assert (await refusal(kind, double, outbound)).permanent is permanent


CODES = [
    ("dingtalk", '{"errcode":310000,"errmsg":"keywords not in content"}', "310000", True, None),
    ("dingtalk", '{"errcode":130101,"errmsg":"send too fast"}', "130101", False, 600),
    ("dingtalk", '{"errcode":300005,"errmsg":"token is not exist"}', "300005", True, None),
    ("dingtalk", '{"status":1111,"wait":5,"punish":"deny"}', "1111", False, 5),
    ("dingtalk", '{"errcode":987654,"errmsg":"new"}', "987654", False, None),
    ("dingtalk", '{"errcode":-1,"errmsg":"busy"}', "-1", False, 5),
    ("wecom", '{"errcode":93000,"errmsg":"invalid webhook url, hint: [1]"}', "93000", True, None),
    ("wecom", '{"errcode":45009,"errmsg":"api freq out of limit"}', "45009", False, 60),
    ("wecom", '{"errcode":40058,"errmsg":"too long"}', "40058", True, None),
    ("feishu", '{"code":19001,"msg":"x"}', "19001", True, None),
    ("feishu", '{"code":19021,"msg":"x"}', "19021", True, None),
    ("feishu", '{"code":11232,"msg":"x"}', "11232", False, 10),
    ("feishu", '{"StatusCode":19024}', "19024", True, None),
]


@pytest.mark.parametrize(("kind", "body", "code", "permanent", "wait"), CODES)
async def test_the_code_in_the_body_decides(
    kind: str, body: str, code: str, permanent: bool, wait: float | None, double: Robots, outbound: Outbound
) -> None:
    double.mode = f"body:{body}"
    error = await refusal(kind, double, outbound)
    assert (error.code, error.permanent, error.retry_after) == (code, permanent, wait)


async def test_feishus_older_success_is_a_success(double: Robots, outbound: Outbound) -> None:
    double.mode = 'body:{"StatusCode":0,"StatusMessage":"success"}'
    assert (await build("feishu", double.base).send(MESSAGE, key="k", outbound=outbound)).code == "0"


@pytest.mark.parametrize("kind", HTTP)
async def test_no_secret_is_printed_or_logged(
    kind: str, double: Robots, outbound: Outbound, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    part = build(kind, double.base)
    for double.mode in ("", "500", "reset"):
        try:
            await part.send(MESSAGE, key="k", outbound=outbound)
        except DeliveryError as error:
            caplog.messages.append(repr(error))
    shown = repr(part) + str(part) + caplog.text
    assert TOKEN not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("kind", ROBOTS)
@pytest.mark.parametrize(
    "base",
    [
        "https://evil.example",
        "http://169.254.169.254",
        "http://oapi.dingtalk.com",
        "https://oapi.dingtalk.com:8443",
        "https://u:p@oapi.dingtalk.com",
    ],
)
def test_only_official_hosts_are_sent_to_unless_allowed_by_name(kind: str, base: str) -> None:
    with pytest.raises(ConfigError, match=r"host is not one of|must not hold") as caught:
        build(kind, base, allow_hosts=())
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize("kind", sorted(BUILTIN))
def test_an_unknown_option_is_a_mistake(kind: str) -> None:
    needed = {"host": "mail", "sender": "a@example.com", "recipients": ("b@example.com",)} if kind == "email" else {}
    with pytest.raises(ConfigError, match="nexpected keyword"):
        Registry("notifiers", BUILTIN).build(kind, needed | {"wndow": 1})
