"""Every reason the engine writes down reads in both languages; what people wrote stays as they wrote it."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import watchkeeper
from remediation.gates import GATES
from watchkeeper.reasons import LONGEST, gate_name, span, told

ROOT = Path(watchkeeper.__file__).parents[1]
SHANGHAI = ZoneInfo("Asia/Shanghai")
CJK = re.compile(r"[\u3400-\u9fff]")
#: Where reasons are written; folders whole.
SOURCES = (
    "remediation/steps",
    "remediation/gates",
    "remediation/actions",
    "remediation/actuator",
    "remediation/contingency",
    "remediation/links.py",
    "remediation/plan.py",
    "remediation/outlook.py",
    "remediation/scaling.py",
    "remediation/start.py",
    "remediation/steady.py",
    "remediation/verify.py",
    "remediation/killswitch.py",
    "rules/observe.py",
    "incidents/lifecycle.py",
    "watchkeeper/store/state/repositories/outbox.py",
    "notifiers/delivery.py",
)
#: Texts with spaces that are no reasons: commands to HAProxy, log lines, answers to people who asked by API.
NO_REASONS = re.compile(
    r"set weight .*|set server .*|show s.*|Basic .*|the answer|not a name HAProxy allows|"
    r"(?:SHOW|SELECT|STOP|RESET|CHANGE|START|SET|MASTER|SOURCE)[ _].*|"
    r"\s+server .*\n?|# Written by .*|7\nupstream 7 \{\n77\}\n|\^\[a-z0-9_ .*|write name: host:port|"
    r"write names of units .*|write url or file, .*|write secret or secret_file, .*|write address:port, .*|"
    r"application/.*; charset=utf-8|"
    r"write host:port|the program is the whole path .*|set: .* has no pattern .*|read: takes no values|"
    r"only an admin clears .*|clearing the kill switch .*|rule \S+ has an action under way already|"
    r"a file of plans has one key.*|plan \S+ has run for .*|say (?:why|in a note).*|step \S+ .*|every step is over|"
    r"gate .* binds people too.*|\S+ of step \S+ is under way .*|7 is 7 already|there is no incident .*|"
    r"incident .* already|\S+ was folded twice|; nobody checks .*|"
    r"7 of 7|a day|all actions|link 7|rule 7|target 7|; graduated|; 7 did not confirm|: 7|7: 7|\[7\]|.*\(and 7\).*"
)
#: What a hole may hold.
PARTS = ("7", "0:00:20", "2026-11-23T10:00:00+00:00", "switch", "rule 7", "all actions", "", "most")


def holes(value: ast.FormattedValue) -> tuple[str, ...]:
    """Values a hole may have: the texts it chooses from, else samples of every kind."""
    if isinstance(value.value, ast.IfExp):
        chosen = [value.value.body, value.value.orelse]
        texts = [str(one.value) for one in chosen if isinstance(one, ast.Constant)]
        if len(texts) == len(chosen):
            return tuple(texts)
    return tuple(map(repr, PARTS)) if value.conversion == ord("r") else PARTS


def forms(node: ast.JoinedStr) -> list[str]:
    """The sentence with every kind of value in its holes."""
    parts = [
        (str(one.value),) if isinstance(one, ast.Constant) else holes(one)
        for one in node.values
        if isinstance(one, ast.Constant | ast.FormattedValue)
    ]
    return ["".join(form) for form in itertools.product(*parts)]


def sentences(tree: ast.Module) -> Iterator[tuple[int, list[str]]]:
    """Line and forms of every text with a space that is no docstring."""
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(one) for one in ast.walk(node)}
            found = forms(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            found = [node.value]
        else:
            continue
        if " " in found[0].strip():
            yield node.lineno, found


def paths() -> list[Path]:
    whole = [ROOT / name for name in SOURCES]
    return sorted(found for path in whole for found in (path.rglob("*.py") if path.is_dir() else [path]))


@pytest.mark.parametrize("path", paths(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_reason_in_the_code_reads_in_chinese(path: Path) -> None:
    missing = [
        f"{path.name}:{line}: {found[0]}"
        for line, found in sentences(ast.parse(path.read_text("utf-8")))
        if not NO_REASONS.fullmatch(found[0]) and not any(CJK.search(told(form, "zh-CN")) for form in found)
    ]
    assert missing == [], "add them to watchkeeper/reasons.json"


def test_the_scan_finds_a_reason_that_was_forgotten() -> None:
    source = 'def f(x):\n    """Not this one."""\n    move(x, f"a new reason of {x}")\n    move(x, "another new one")\n'
    assert [line for line, found in sentences(ast.parse(source)) if not CJK.search(told(found[0], "zh-CN"))] == [3, 4]


def test_a_source_that_moved_away_is_noticed() -> None:
    assert [name for name in SOURCES if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        ("condition_met", "The condition is met", "条件已满足"),
        ("up == 0 is bad, and so says a, b", "up == 0 is bad, and so says a, b", "up == 0 异常，a、b 也已确认"),
        ("the symptom is gone and stayed away", "the symptom is gone and stayed away", "症状已消失且未再出现"),
        ("verified, holding for 0:00:20", "verified, holding for 20 s", "验证通过，继续观察 20 秒"),
        (
            "lock: the target or the rule changed since the plan was made",
            "Lock: the target or the rule changed since the plan was made",
            "互斥锁：计划制定后，目标或规则发生了变化",
        ),
        (
            "switch: change freeze until 2026-11-23T10:00:00+00:00: sale",
            "Kill switch: change freeze until 2026-11-23 18:00 +0800: sale",
            "紧急停止：变更冻结期，至 2026-11-23 18:00 +0800 结束：sale",
        ),
        (
            "confirmed: 1 of 2 observers saw 3 of 5 bad; probe, vip did not confirm",
            "Confirmation: 1 of 2 observers saw 3 of 5 bad; probe, vip did not confirm",
            "故障确认：2 个观测方中有 1 个在最近 5 次观测中至少 3 次异常；probe、vip 未确认",
        ),
        (
            "isolation: the clock jumped by 7 s: observing only",
            "Isolation: the clock jumped by 7 s: observing only",
            "自身隔离：系统时钟跳变 7 秒，期间只观测、不执行",
        ),
        (
            "breaker: the breaker of rule fail-over is open after repeated failures",
            "Breaker: the breaker of rule fail-over is open after repeated failures",
            "熔断：规则 fail-over 的熔断器因连续失败已断开",
        ),
        (
            "breaker: the breaker of all is half-open and one action is being tried",
            "Breaker: the breaker of all is half-open and one action is being tried",
            "熔断：全局熔断器处于半开状态，已有一个动作正在试探",
        ),
        ("nothing was done: ", "nothing was done", "未做任何变更"),
        (
            "nothing was done: the target changed since the plan was made",
            "nothing was done: the target changed since the plan was made",
            "未做任何变更：计划制定后目标状态已变化",
        ),
    ],
)
def test_a_reason_reads_in_the_readers_language(reason: str, english: str, chinese: str) -> None:
    assert (told(reason, "en", SHANGHAI), told(reason, "zh-CN", SHANGHAI)) == (english, chinese)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_people_wrote_stays_as_they_wrote_it(language: str) -> None:
    for text in ("ann: we deploy", "the disks are {old}", "重启完成", "", "x " * LONGEST):
        assert told(text, language) == text
    assert told("acknowledged by ann: no_data", language).endswith("no_data")
    assert told("maintenance of web until Friday", "en") == "maintenance of web until Friday"


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "0 s", "0 秒"),
        (90, "1 min 30 s", "1 分 30 秒"),
        (600, "10 min", "10 分钟"),
        (93_600, "1 d 2 h", "1 天 2 小时"),
    ],
)
def test_durations_read_in_both_languages(seconds: int, english: str, chinese: str) -> None:
    assert (span(timedelta(seconds=seconds), "en"), span(timedelta(seconds=seconds), "zh-CN")) == (english, chinese)
    assert told(f"verified, holding for {timedelta(seconds=seconds)}", "en").endswith(english)


def test_every_gate_has_a_name_in_both_languages() -> None:
    for gate, _ in GATES:
        assert CJK.search(gate_name(gate, "zh-CN")), gate
        assert gate_name(gate, "en")[0].isupper(), gate
    assert gate_name("new_one", "zh-CN") == "new_one"


def test_every_chinese_template_keeps_the_parts_of_its_sentence() -> None:
    catalogue = json.loads((ROOT / "watchkeeper" / "reasons.json").read_text("utf-8"))
    for english, chinese in catalogue["templates"].items():
        wanted = sorted(re.findall(r"\{(\w+)", english))
        assert sorted(re.findall(r"\{(\w+)", chinese)) == wanted, english
        assert CJK.search(chinese) or english == "{gate:gate}: {why}", english
