# ruff: noqa: E501 - raw requests read best on one line
"""Signatures, limits, mentions and injection; and the double and the validator agree on what is wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.robot_validator import problems
from support.robots import SECRET, TOKEN, Request, Robots, robots

from notifiers import BUILTIN, dingtalk, feishu, webhook
from notifiers.text import clip, fit, inert, safe_url
from watchkeeper.errors import ConfigError
from watchkeeper.model import Message, Severity
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden"
EVIL = (
    "](http://evil.example) [x](http://evil.example)",
    "<@all> @all <@everyone>",
    "<font color='warning'>x</font>",
    '<at user_id="all">all</at> <at id=all></at>',
    "a\n# heading\r\n<script>alert(1)</script>",
    "\u202etxt.exe <img src=http://evil.example>",
    "**bold** `code` | table |",
)


def message(*lines: str, **more: Any) -> Message:
    values: dict[str, Any] = {"kind": "firing", "title": "CPU 高", "severity": Severity.P1, "at": NOON}
    return Message(lines=lines, **{**values, **more})


def part(kind: str, base: str = "http://127.0.0.1:1", **more: Any) -> Any:
    options: dict[str, Any] = {"base_url": base, "allow_hosts": ("127.0.0.1",), **more}
    options |= {"key": TOKEN} if kind == "wecom" else {"token": TOKEN, "secret": SECRET}
    if kind != "wecom":
        options.setdefault("now", lambda: NOON)
    return Registry("notifiers", BUILTIN).build(kind, options)


@pytest.fixture
async def double() -> AsyncIterator[Robots]:
    async with robots(now=lambda: NOON) as found:
        yield found


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    found = Outbound(allow_private=True)
    yield found
    await found.aclose()


def test_known_answers_of_the_signatures() -> None:
    signed = dingtalk.sign("SECtest0123456789", 1700000000000)
    assert signed == "yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g="
    assert quote(signed, safe="") == "yBKp5IlG6qCzcQWmgyRK%2FziJBdVNJmHfFE2ST%2FCzT%2Fg%3D"
    assert feishu.sign("feishuSecret01", 1700000000) == "HkzvGM/wxrFVyV2J/bdu0cg/xGEP/qvqLISotukzkx4="
    whole = hmac.new(b"key", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert webhook.sign("key", 1700000000, b'{"a":1}') == whole


@pytest.mark.parametrize("kind", ["dingtalk", "feishu", "wecom"])
@pytest.mark.parametrize("evil", EVIL)
async def test_hostile_labels_are_shown_and_do_nothing(
    kind: str, evil: str, double: Robots, outbound: Outbound
) -> None:
    hostile = message(
        f"label: {evil}",
        "more",
        title=f"Alert {evil}",
        links={evil: "https://ok.example/", "bad": "javascript:alert(1)"},
    )
    await part(kind, double.base).send(hostile, key="k", outbound=outbound)
    secret = "" if kind == "wecom" else SECRET
    assert problems(double.requests[0], secret=secret, now=NOON.timestamp(), hostile=True) == []
    assert "javascript" not in double.requests[0].body.decode()


@pytest.mark.parametrize("mention", [False, True])
@pytest.mark.parametrize("kind", ["dingtalk", "feishu", "wecom"])
@pytest.mark.parametrize("filler", ["x", "高", "💥", '"\\'])
async def test_long_messages_are_cut_within_the_limit_and_say_so(
    kind: str, filler: str, mention: bool, double: Robots, outbound: Outbound
) -> None:
    long = message(
        *(filler * (300 + number) for number in range(200)), mention_all=mention, links={"页": "https://ok.example/"}
    )
    await part(kind, double.base).send(long, key="k", outbound=outbound)
    sent = double.accepted[0]
    secret = "" if kind == "wecom" else SECRET
    assert problems(sent, secret=secret, now=NOON.timestamp()) == []
    body = sent.body.decode()
    assert "内容过长已截断" in body
    assert "ok.example" in body
    if kind == "wecom":
        size, limit = len(sent.json[sent.json["msgtype"]]["content"].encode()), 2048 if mention else 4096
    else:
        size, limit = len(sent.body), 20_000
    assert limit - 120 < size <= limit


def test_people_are_mentioned_where_the_contract_wants_them() -> None:
    ding = part("dingtalk", mobiles=("13800000000",), users=("u1",)).body(message("a"), "k")
    assert ding["at"] == {"atMobiles": ["13800000000"], "atUserIds": ["u1"], "isAtAll": False}
    assert ding["markdown"]["text"].endswith("@13800000000 @u1")
    assert part("dingtalk", users=("u1",)).body(message("a", kind="resolved"), "k")["at"]["atUserIds"] == []
    assert part("wecom", users=("u1",)).body(message("a"))["markdown"]["content"].endswith("<@u1>")
    text = part("wecom", users=("u1",), mobiles=("13800000000",)).body(message("a", mention_all=True))["text"]
    assert (text["mentioned_list"], text["mentioned_mobile_list"]) == (["u1", "@all"], ["13800000000"])
    card = part("feishu", users=("ou_1",)).body(message("a", mention_all=True))["card"]
    assert card["elements"][-1]["text"]["content"] == "<at id=all></at><at id=ou_1></at>"
    assert part("feishu").body(message("a", kind="resolved"))["card"]["header"]["template"] == "green"


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
@pytest.mark.parametrize("sort", ["firing", "resolved", "digest", "test", "report"])
async def test_the_keyword_is_in_every_kind_of_message(
    kind: str, sort: str, double: Robots, outbound: Outbound
) -> None:
    double.keyword = "守望"
    await part(kind, double.base, keyword="守望").send(message("a", kind=sort), key="k", outbound=outbound)
    assert len(double.accepted) == 1


async def test_a_retry_is_signed_anew_and_keeps_its_msguuid(double: Robots, outbound: Outbound) -> None:
    times = iter([NOON, NOON + timedelta(hours=2)])
    sender = part("dingtalk", double.base, now=lambda: next(times))
    await sender.send(message("a"), key="k7", outbound=outbound)
    double.now = lambda: NOON + timedelta(hours=2)
    await sender.send(message("a"), key="k7", outbound=outbound)
    assert double.seen == {"k7": 2}
    assert double.requests[0].target != double.requests[1].target


WHOLE = {
    "wecom": f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={TOKEN}",
    "dingtalk": f"https://oapi.dingtalk.io/robot/send?access_token={TOKEN}",
    "feishu": f"https://open.larksuite.com/open-apis/bot/v2/hook/{TOKEN}",
}


@pytest.mark.parametrize("kind", WHOLE)
def test_the_whole_address_may_be_pasted(kind: str) -> None:
    sender = Registry("notifiers", BUILTIN).build(kind, {"url": WHOLE[kind]})
    assert (sender._signed() if kind == "dingtalk" else sender._address()) == WHOLE[kind]


@pytest.mark.parametrize("kind", WHOLE)
def test_secrets_come_from_files_too_and_mistakes_do_not_show_them(kind: str, tmp_path: Path) -> None:
    name = "key" if kind == "wecom" else "token"
    (tmp_path / "t").write_text(f"{TOKEN}\n")
    build = Registry("notifiers", BUILTIN).build
    build(kind, {f"{name}_file": tmp_path / "t"})
    for mistake, complaint in (
        ({name: TOKEN, f"{name}_file": tmp_path / "t"}, "not both"),
        ({f"{name}_file": tmp_path / "missing"}, "cannot read"),
        ({}, "url_file"),
    ):
        with pytest.raises(ConfigError, match=complaint) as caught:
            build(kind, mistake)
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("kind", ["dingtalk", "wecom"])
@pytest.mark.parametrize("case", ["firing", "resolved"])
def test_bodies_are_those_on_file(kind: str, case: str) -> None:
    known = message("服务: checkout", "值: 0.97 > 0.9", kind=case, links={"打开页面": "https://watch.example/i/7"})
    body = (
        part("dingtalk", users=("u1",)).body(known, "k1")
        if kind == "dingtalk"
        else part("wecom", users=("u1",)).body(known)
    )
    assert body == json.loads((GOLDEN / kind / f"{case}.json").read_text("utf-8"))


# the double and the validator -----------------------------------------------------------------------------------------

STAMP = int(NOON.timestamp())


def raw(
    kind: str, body: Any, *, query: dict[str, str] | None = None, method: str = "POST", mime: str = "application/json"
) -> Request:
    paths = {"dingtalk": "/robot/send?", "wecom": "/cgi-bin/webhook/send?", "feishu": f"/open-apis/bot/v2/hook/{TOKEN}"}
    target = paths[kind] + (urlencode(query or {}) if kind != "feishu" else "")
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Request(kind, method, target, {"content-type": mime}, content)


def ding_query(**more: str) -> dict[str, str]:
    milli = str(STAMP * 1000)
    return {"access_token": TOKEN, "timestamp": milli, "sign": dingtalk.sign(SECRET, STAMP * 1000), **more}


TEXT = {"msgtype": "text", "text": {"content": "x"}}
CARD = {"msg_type": "text", "content": {"text": "x"}}
LATE = STAMP + 3601
SIGN = {"timestamp": str(STAMP), "sign": feishu.sign(SECRET, STAMP)}
BAD = {
    "dingtalk seconds": raw("dingtalk", TEXT, query=ding_query(timestamp=str(STAMP), sign=dingtalk.sign(SECRET, STAMP))),
    "dingtalk stale": raw("dingtalk", TEXT, query=ding_query(timestamp=str(LATE * 1000), sign=dingtalk.sign(SECRET, LATE * 1000))),
    "dingtalk twice encoded": raw("dingtalk", TEXT, query=ding_query(sign=quote(dingtalk.sign(SECRET, STAMP * 1000), safe=""))),
    "dingtalk unsigned": raw("dingtalk", TEXT, query={"access_token": TOKEN}),
    "dingtalk feishu's sign": raw("dingtalk", TEXT, query=ding_query(sign=feishu.sign(SECRET, STAMP * 1000))),
    "dingtalk no token": raw("dingtalk", TEXT, query={key: value for key, value in ding_query().items() if key != "access_token"}),
    "dingtalk long": raw("dingtalk", {"msgtype": "text", "text": {"content": "高" * 6700}}, query=ding_query()),
    "dingtalk type": raw("dingtalk", {"msgtype": "voice"}, query=ding_query()),
    "dingtalk no title": raw("dingtalk", {"msgtype": "markdown", "markdown": {"text": "x"}}, query=ding_query()),
    "dingtalk get": raw("dingtalk", TEXT, query=ding_query(), method="GET"),
    "dingtalk form": raw("dingtalk", TEXT, query=ding_query(), mime="application/x-www-form-urlencoded"),
    "dingtalk no json": raw("dingtalk", b"{", query=ding_query()),
    "wecom long text": raw("wecom", {"msgtype": "text", "text": {"content": "高" * 683}}, query={"key": TOKEN}),
    "wecom long markdown": raw("wecom", {"msgtype": "markdown", "markdown": {"content": "高" * 1366}}, query={"key": TOKEN}),
    "wecom empty": raw("wecom", {"msgtype": "text", "text": {"content": ""}}, query={"key": TOKEN}),
    "wecom no key": raw("wecom", TEXT),
    "wecom type": raw("wecom", {"msgtype": "card"}, query={"key": TOKEN}),
    "wecom md5 of base64": raw(
        "wecom",
        {"msgtype": "image", "image": {"base64": base64.b64encode(b"png").decode(), "md5": hashlib.md5(base64.b64encode(b"png")).hexdigest()}},
        query={"key": TOKEN},
    ),
    "feishu unsigned": raw("feishu", CARD),
    "feishu dingtalk's sign": raw("feishu", CARD | SIGN | {"sign": dingtalk.sign(SECRET, STAMP)}),
    "feishu stale": raw("feishu", CARD | {"timestamp": str(LATE), "sign": feishu.sign(SECRET, LATE)}),
    "feishu milliseconds": raw("feishu", CARD | {"timestamp": str(STAMP * 1000), "sign": feishu.sign(SECRET, STAMP * 1000)}),
    "feishu no content": raw("feishu", {"msg_type": "text"} | SIGN),
    "feishu type": raw("feishu", {"msg_type": "voice"} | SIGN),
    "feishu long": raw("feishu", {"msg_type": "text", "content": {"text": "x" * 20_480}} | SIGN),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_the_validator_refuses_the_double_refuses_too(name: str) -> None:
    request = BAD[name]
    secret = "" if request.kind == "wecom" else SECRET
    assert problems(request, secret=secret, now=STAMP) != []
    double = Robots(now=lambda: NOON)
    answer = double.verdict(request)
    assert answer.get("errcode", answer.get("code")) != 0
    assert double.accepted == []


@pytest.mark.parametrize(
    "request_",
    [raw("dingtalk", TEXT, query=ding_query()), raw("wecom", TEXT, query={"key": TOKEN}), raw("feishu", CARD | SIGN)],
    ids=lambda found: found.kind,
)
def test_both_accept_what_is_right(request_: Request) -> None:
    secret = "" if request_.kind == "wecom" else SECRET
    assert problems(request_, secret=secret, now=STAMP) == []
    answer = Robots(now=lambda: NOON).verdict(request_)
    assert answer.get("errcode", answer.get("code")) == 0


@pytest.mark.parametrize(
    ("kind", "allowed", "code"), [("dingtalk", 20, 130101), ("wecom", 20, 45009), ("feishu", 5, 11232)]
)
def test_the_double_has_the_real_limits(kind: str, allowed: int, code: int) -> None:
    moment = NOON
    double = Robots(now=lambda: moment, signed=False)
    request = raw(kind, CARD if kind == "feishu" else TEXT, query={"access_token": TOKEN, "key": TOKEN})
    answers = [double.verdict(request) for _ in range(allowed + 1)]
    codes = [answer.get("errcode", answer.get("code")) for answer in answers]
    assert codes == [0] * allowed + [code]
    moment = NOON + timedelta(seconds=61)
    later = double.verdict(request)
    assert later.get("errcode", later.get("code")) == (code if kind == "dingtalk" else 0)


# text -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(), max_size=20), st.integers(min_value=120, max_value=600))
def test_cut_lines_stay_within_the_limit_and_are_text(lines: list[str], limit: int) -> None:
    lines = [inert(line) for line in lines]
    found = fit(lines, lambda some: len("\n".join(some).encode()), limit, "zh-CN")
    assert len("\n".join(found).encode()) <= limit
    assert found == lines or "已截断" in found[-1]


@given(st.text(), st.integers(min_value=3, max_value=40))
def test_a_clipped_text_is_a_prefix_of_whole_characters(text: str, limit: int) -> None:
    text = inert(text)
    found = clip(text, limit)
    assert len(found.encode()) <= limit
    assert text.startswith(found.removesuffix("…"))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://",
        "//x",
        "https://a b",
        "https://a\nb",
        "https://" + "x" * 300,
    ],
)
def test_addresses_that_are_no_links_are_left_out(url: str) -> None:
    assert safe_url(url) is None


def test_an_address_cannot_end_its_own_link() -> None:
    assert safe_url('https://a/x)(<">]') == "https://a/x%29%28%3C%22%3E%5D"
