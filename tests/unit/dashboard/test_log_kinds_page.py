"""The page of kinds of lines: each leads to its lines, and what is unusual says why."""

from __future__ import annotations

from typing import Any

from support.pages import markup, texts

from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import log_kinds, logs

AT = "2026-03-02T04:00:00Z"
KIND = {"id": "abc", "text": "opened <*>", "count": 1200, "first_seen": AT, "last_seen": None}
RARE: dict[str, Any] = {
    "at": AT, "why": "rare", "labels": {"service": "shop"}, "template": "abc", "lines": 2, "before": "", "usual": [],
    "texts": {"abc": "opened <*>"},
}  # fmt: skip
BEHIND = {
    **RARE, "why": "out_of_order", "before": "open", "usual": ["read"],
    "texts": {"abc": "closed", "open": "opened", "read": "row read"},
}  # fmt: skip


def said(caller: Caller, **found: Any) -> Any:
    return log_kinds.body(caller, {"enabled": True, "templates": [KIND], "unusual": [], **found})


def test_kinds_lead_to_their_lines(caller: Caller) -> None:
    shown = said(caller)
    assert "opened <*>" in texts(shown)
    assert "1,200" in texts(shown)
    assert "before the last start" in texts(shown)
    assert "/logs?template=abc" in markup(shown)
    assert "Nothing unusual" in texts(shown)


def test_unusual_lines_say_why(caller: Caller, chinese: Caller) -> None:
    assert "behind: opened" in texts(said(caller, unusual=[RARE, BEHIND]))
    assert "what comes there otherwise: row read" in texts(said(caller, unusual=[BEHIND]))
    assert "罕见" in texts(said(chinese, unusual=[RARE]))


def test_that_nothing_is_learned_or_read_is_said(caller: Caller) -> None:
    assert "not learned" in texts(said(caller, enabled=False))
    assert "No line was read yet" in texts(said(caller, templates=[]))


def test_the_page_lies_below_the_lines_and_narrows_them(caller: Caller) -> None:
    assert "Kinds of lines" in texts(logs.layout(caller, Request("/logs/kinds", "kinds", {})))
    assert "Kind: abc" in texts(logs.layout(caller, Request("/logs", "", {"template": "abc"})))
