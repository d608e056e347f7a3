"""The page Risks: who, how high, what is advised, and every reason as a sentence with its figures."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.fake_risks import REASONS, risks
from support.pages import handlers, reader, texts

from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.pages import risks as page

AT = "2026-03-02T04:00:00Z"


@pytest.fixture(params=["en", "zh-CN"])
def caller(request: Any, served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, request.param, name="admin", zone="UTC")


def test_every_reason_is_a_sentence_with_all_it_has_to_say(caller: Caller) -> None:
    said = texts(page.body(caller, risks(AT, "eve")))
    for name, detail in REASONS.items():
        sentence = page.sentence(caller, {"reason": name, "detail": detail})
        assert sentence in said
        assert "{" not in sentence
        assert "risks." not in sentence
    for advice in ("block", "step_up"):
        assert caller.words(f"risks.advice.{advice}") in said
    assert "eve" in said
    assert caller.words("risks.more", count=3) in said


def test_nobody_and_nothing_learned_are_told_apart(caller: Caller) -> None:
    calm: dict[str, Any] = {**risks(AT, "x"), "entities": [], "more": 0, "advised": []}
    assert caller.words("risks.empty") in texts(page.body(caller, calm))
    assert caller.words("risks.off.empty") in texts(page.body(caller, {**calm, "enabled": False}))


async def test_it_asks_the_engine(caller: Caller) -> None:
    refresh = handlers(page)["refresh"][0]
    assert "web-1" in texts((await refresh(caller, 0))[0])
