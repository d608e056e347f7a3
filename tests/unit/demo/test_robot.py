"""The double refuses what DingTalk and WeCom refuse, and shows what it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from watchkeeper.app.demo.robot import DINGTALK, TOKEN, WECOM, Robot, messages, sign
from watchkeeper.app.demo.service import Request

NOW = 1_790_000_000.0


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    return Robot(tmp_path / "robot.jsonl", clock=lambda: NOW)


def said(robot: Robot, path: str, query: dict[str, str], body: Mapping[str, object]) -> int:
    answer = robot.service.answer(Request(path, urlencode(query), json.dumps(body).encode()))
    assert answer.status == 200, "robots say no in the body"
    return int(json.loads(answer.body)["errcode"])


def signed(at: float = NOW, token: str = TOKEN) -> dict[str, str]:
    stamp = str(int(at * 1000))
    return {"access_token": token, "timestamp": stamp, "sign": sign(stamp)}


MARKDOWN = {"msgtype": "markdown", "markdown": {"title": "告警", "text": "### 告警"}}


def test_a_signed_message_is_taken_and_shown(robot: Robot) -> None:
    assert said(robot, DINGTALK, signed(), MARKDOWN) == 0
    assert messages(robot.file) == [{"at": NOW, "kind": "dingtalk", "title": "告警", "text": "### 告警"}]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (signed(token="other"), 300005),
        ({**signed(), "sign": "x"}, 310000),
        ({"access_token": TOKEN}, 310000),
        (signed(at=NOW - 3700), 310000),
    ],
)
def test_dingtalk_refuses_a_wrong_token_signature_or_time(robot: Robot, query: dict[str, str], code: int) -> None:
    assert said(robot, DINGTALK, query, MARKDOWN) == code
    assert messages(robot.file) == []


def test_dingtalk_refuses_a_message_without_text(robot: Robot) -> None:
    assert said(robot, DINGTALK, signed(), {"msgtype": "markdown", "markdown": {"title": "x"}}) == 400102


def test_wecom_takes_markdown_and_refuses_a_wrong_key_and_too_much(robot: Robot) -> None:
    body = {"msgtype": "markdown", "markdown": {"content": "hello"}}
    assert said(robot, WECOM, {"key": TOKEN}, body) == 0
    assert said(robot, WECOM, {"key": "other"}, body) == 93000
    assert said(robot, WECOM, {"key": TOKEN}, {"msgtype": "markdown", "markdown": {"content": "x" * 4097}}) == 40058
    assert [one["text"] for one in messages(robot.file)] == ["hello"]


def test_the_newest_come_first_and_a_line_that_is_being_written_is_left_for_later(robot: Robot) -> None:
    for text in ("one", "two", "three"):
        said(robot, WECOM, {"key": TOKEN}, {"msgtype": "text", "text": {"content": text}})
    with robot.file.open("a") as out:
        out.write('{"at": 1, "ki')
    assert [one["text"] for one in messages(robot.file, 2)] == ["three", "two"]
