"""The page of log lines: counts over time, lines with what was found set off, and the way there from other pages."""

from __future__ import annotations

from urllib.parse import unquote

from support.pages import handlers, markup, texts

from dashboard.context import Caller
from dashboard.page import Request
from dashboard.pages import logs


async def test_lines_are_shown_with_their_hits_and_counts(caller: Caller) -> None:
    draw = handlers(logs)["draw"][0]
    shown = await draw(caller, 1, "error", "all", "1h", 1, {"service": "checkout"})
    said, drawn = texts(shown), unquote(markup(shown))
    for part in ("Lines that match: 2", "Error 2", "Older lines", "checkout", "ERROR"):
        assert part in said, part
    assert drawn.count("wk-log-hit") == 2
    assert drawn.count("<rect") == 1
    assert "service=checkout" in drawn


async def test_mistakes_emptiness_and_lack_of_time_are_said(caller: Caller, chinese: Caller) -> None:
    draw = handlers(logs)["draw"][0]
    assert "no RE2 pattern" in texts(await draw(caller, 1, "/(/", "all", "1h", 1, None))
    assert "No line matches" in texts(await draw(caller, 1, "nothing", "error", "nonsense", 1, None))
    assert "没有匹配的日志行" in texts(await draw(chinese, 1, "nothing", "error", "1h", 1, None))
    assert "no time to look at everything" in texts(
        await draw(caller, 1, "slow", "all", "1h", 1, {"end": "x", "start": "9"})
    )


def test_an_address_narrows_the_page(caller: Caller) -> None:
    place = logs.href(query="a b", service="shop", start_ms=1, end_ms=60_000)
    assert place == "/logs?query=a+b&service=shop&start=1&end=60000"
    asked = {"query": "a b", "service": "shop", "start": "1", "end": "60000"}
    said = texts(logs.layout(caller, Request("/logs", "", asked)))
    assert "Service: shop" in said
    assert "All lines of now" in said


def test_hits_keep_every_letter() -> None:
    parts = logs.marked("an error here", [[3, 8]])
    assert [part if isinstance(part, str) else part.children for part in parts] == ["an ", "error", " here"]
