"""Two complete catalogues, no text in code, and numbers and times as the reader writes them."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import dashboard
from dashboard.audit_rows import kind
from dashboard.i18n import LANGUAGES, UNKNOWN, Words, catalogue, preferred_language, zone_of

ROOM = Path(dashboard.__file__).parent
#: The engine tells some chains in the words of the pages.
TOLD = [ROOM.parent / "watchkeeper" / "app" / name for name in ("explain_lines.py", "act_lines.py")]
SOURCES = [*sorted(ROOM.rglob("*.py")), *TOLD]
CJK = re.compile(r"[\u3400-\u9fff\uff00-\uffef]")
SENTENCE = re.compile(r"[A-Z][a-z]+( [a-z]+)+")
EN, ZH = Words("en", zone_of("UTC")), Words("zh-CN", zone_of("Asia/Shanghai"))


def test_both_languages_have_the_same_texts_with_the_same_holes() -> None:
    english, chinese = catalogue("en"), catalogue("zh-CN")
    assert set(english) == set(chinese)
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", chinese[key])), key
        assert text.strip()
        assert chinese[key].strip()


def audited() -> set[str]:
    """What the code writes into the audit by name."""
    found = set()
    for room in ("watchkeeper", "remediation", "incidents", "notifiers"):
        texts = (path.read_text(encoding="utf-8") for path in (ROOM.parent / room).rglob("*.py"))
        for text in (text for text in texts if "audit.append(" in text):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("audit.append"):
                    name = node.args[1]
                    found |= {str(name.value)} if isinstance(name, ast.Constant) else set()
    return found


def test_every_row_of_the_audit_has_words() -> None:
    named = audited()
    assert len(named) > 30
    assert [name for name in sorted(named) if f"audited.{name}" not in catalogue("en")] == []
    said = {name: kind(EN, name) for name in ("action.armed", "plan.completed", "plan_step.timed_out", "plan.evidence")}
    assert list(said.values()) == [
        *("Action: Armed", "Plan: Completed", "Step of a plan: Out of time", "Plan: evidence kept"),
    ]
    assert kind(ZH, "plan_step.skipped") == "预案步骤：已跳过"


def test_chinese_texts_are_chinese() -> None:
    same = {key for key, text in catalogue("zh-CN").items() if not CJK.search(text)}
    assert same <= {"language.en", "language.short.en", "overview.collectors_value", "rules.proposal"} | {
        key for key in same if key.startswith("timeline.")
    }


def literals(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


@pytest.mark.parametrize("path", sorted((ROOM / "pages").glob("*.py")), ids=lambda path: path.stem)
def test_pages_hold_no_text_of_their_own(path: Path) -> None:
    found = [text for text in literals(path) if CJK.search(text) or SENTENCE.search(text)]
    assert found == []


def test_the_scan_would_find_a_text() -> None:
    assert SENTENCE.search("No open incidents")
    assert CJK.search("没有")


def used() -> tuple[set[str], set[str]]:
    """Whole keys and beginnings of keys that the code and the templates name."""
    whole: set[str] = set()
    begun: set[str] = set()
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole |= set(literals(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                begun.add(str(node.values[0].value))
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("word", "state")
            ):
                begun |= {f"{a.value}." for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    for template in (ROOM / "templates").glob("*.html"):
        whole |= set(re.findall(r't\("([\w.-]+)"', template.read_text(encoding="utf-8")))
    return whole | set(re.findall(r't\("([\w.]+)"', (ROOM / "reports" / "capacity.py").read_text())), begun


def test_every_text_is_used() -> None:
    whole, begun = used()
    prefixes = tuple(one for one in begun if one.endswith("."))
    derived = (".title", ".subtitle", ".empty", ".empty_hint", ".download_csv", ".download_html")
    unused = [
        key
        for key in catalogue("en")
        if key not in whole
        and not key.startswith((*prefixes, "state.", "unit.", "kill_switch.done_", "refused."))
        and not key.endswith(derived)
    ]
    assert unused == []


def test_every_key_in_code_has_a_text() -> None:
    texts = set(catalogue("en"))
    groups = {key.split(".")[0] for key in texts if "." in key}
    asked = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            attribute = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if (name == "words" or attribute == "words") and isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    asked.add(first.value)
    assert len(asked) > 100
    assert asked - texts == set()
    assert {"overview", "capacity", "incident"} <= groups


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (None, "ratio", UNKNOWN, UNKNOWN),
        (0.423, "ratio", "42.3%", "42.3%"),
        (1536.0, "bytes", "1.5 KiB", "1.5 KiB"),
        (4.1e7, "bytes_per_second", "39.1 MiB/s", "39.1 MiB/秒"),
        (0.25, "seconds", "250 ms", "250 毫秒"),
        (90.0, "seconds", "90 s", "90 秒"),
        (86_400.0 * 3, "seconds", "3 d", "3 天"),
        (1234567.891, "count", "1,234,567.89", "1,234,567.89"),
        (0.0, "count", "0", "0"),
        (0.0044, "count", "0.0044", "0.0044"),
        (0.000015, "seconds", "0.015 ms", "0.015 毫秒"),
        (0.00001, "count", "1.0e-05", "1.0e-05"),
    ],
)
def test_quantities_read_as_people_write_them(value: float | None, unit: str, english: str, chinese: str) -> None:
    assert (EN.quantity(value, unit), ZH.quantity(value, unit)) == (english, chinese)


def test_times_are_on_the_readers_clock() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert EN.moment(noon) == "2026-03-01 12:00:00"
    assert ZH.moment("2026-03-01T12:00:00Z") == "2026-03-01 20:00:00"
    assert ZH.day("2026-03-01T20:00:00Z") == "2026-03-02"
    assert ZH.clock(noon) == "20:00:00"
    assert (ZH.moment(None), ZH.day(None), ZH.clock(None)) == (UNKNOWN,) * 3
    assert EN.ago(75.0) == "75 s ago"
    assert EN.ago(None) == UNKNOWN


def test_a_key_without_text_is_a_mistake_but_a_new_word_of_the_engine_is_shown() -> None:
    with pytest.raises(KeyError):
        EN("no.such.key")
    assert EN.word("state", "levitating") == "levitating"


def test_an_unknown_zone_is_utc_and_the_browsers_language_is_honoured() -> None:
    assert zone_of("Mars/Olympus").key == "UTC"
    assert zone_of("../etc/passwd").key == "UTC"
    assert preferred_language("fr, zh-TW;q=0.8, en", "en") == "zh-CN"
    assert preferred_language("de, en;q=0.5", "zh-CN") == "en"
    assert preferred_language("", "zh-CN") == "zh-CN"


def test_chinese_and_english_are_spoken() -> None:
    assert set(LANGUAGES) == {"zh-CN", "en"}
