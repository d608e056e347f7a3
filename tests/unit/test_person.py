"""Who is named and who is not: words in any case, as JSON and URLs write them, and nobody whose name goes on."""

from __future__ import annotations

import pytest

from watchkeeper.errors import ConfigError
from watchkeeper.person import Person

LIN = Person(["lin@example.com", "lin", "李明", "13800138000"])


@pytest.mark.parametrize(
    "text",
    [
        "sign in of LIN@example.com.", "user=lin", '{"user": "lin"}', "/users/lin/orders", "lin%40example.com",
        "用户李明登录", r'{"name": "\u674e\u660e"}', "tel:13800138000", "%E6%9D%8E%E6%98%8E", "(lin)",
    ],
)  # fmt: skip
def test_a_person_is_found_as_texts_write_them(text: str) -> None:
    assert LIN.named_in(text)
    assert list(LIN.places(text.encode())), "bytes are read as texts are"
    assert "[erased]" in LIN.erased(text)
    assert not LIN.named_in(LIN.erased(text))


@pytest.mark.parametrize(
    "text", ["linda", "lin-2", "a.lin", "alin@example.com", "x.lin@example.com.cn", "138001380001", "http.linux", ""]
)
def test_others_whose_names_go_on_are_not_meant(text: str) -> None:
    assert not LIN.named_in(text)
    assert not list(LIN.places(text.encode()))
    assert LIN.erased(text) == text


def test_structures_are_overwritten_at_any_depth() -> None:
    said = {"who": ["lin", {"lin": 3}], "n": 4, "none": None}
    assert LIN.erased(said) == {"who": ["[erased]", {"[erased]": 3}], "n": 4, "none": None}


@pytest.mark.parametrize("words", [[], ["a"], ["ab"], ["200"], ["李"], ["x" * 201], ["a\nb"], ["word"] * 21])
def test_words_that_could_stand_for_anybody_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="word"):
        Person(words)
