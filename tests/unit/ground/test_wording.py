"""Titles and summaries in the reader's language, wanted states without a programmer's brackets."""

from __future__ import annotations

import pytest

from watchkeeper.wording import in_language, state_text, title_of


@pytest.mark.parametrize(
    ("texts", "language", "expected"),
    [
        ({"summary": "慢", "summary_en": "slow"}, "en", "slow"),
        ({"summary": "慢", "summary_en": "slow"}, "zh-CN", "慢"),
        ({"summary": "slow", "summary_zh": "慢"}, "zh-CN", "慢"),
        ({"summary": "slow", "summary_zh_CN": "慢"}, "zh-CN", "慢"),
        ({"summary": "slow", "summary_zh": "慢"}, "en", "slow"),
        ({"summary": "慢", "summary_en": ""}, "en", "慢"),
        ({}, "en", ""),
    ],
)
def test_a_text_of_a_rule_is_read_in_the_readers_language(
    texts: dict[str, object], language: str, expected: str
) -> None:
    assert in_language(texts, "summary", language) == expected


def test_an_incident_without_a_title_of_the_language_keeps_the_one_it_has() -> None:
    assert title_of("结账慢", {"title_en": "checkout is slow"}, "en") == "checkout is slow"
    assert title_of("结账慢", {"title_en": "checkout is slow"}, "zh-CN") == "结账慢"
    assert title_of("checkout is slow", {"title_zh": "结账慢"}, "zh-CN") == "结账慢"
    assert title_of("结账慢", {}, "en") == "结账慢"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"primary": {"state": "drain"}, "backup": {"state": "ready"}}, "primary: drain, backup: ready"),
        ({"web1": {"state": "ready", "weight": 50}}, "web1: ready (weight 50)"),
        ({"web1": {"weight": 0}}, "web1: weight 0"),
        ({"running": ["w:1", "w:2"], "restarted": {"w:1": 17}}, "running: w:1 w:2, restarted: w:1 17"),
        ({"flag": True, "off": False, "none": None, "empty": [], "bare": {}, "mode": "ro"},
         "flag: true, off: false, none: -, empty: -, bare: -, mode: ro"),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_wanted_state_reads_as_names_and_states(state: dict[str, object], expected: str) -> None:
    assert state_text(state) == expected
