"""One person by the words that stand for them, found and overwritten wherever text is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from watchkeeper.errors import ConfigError

#: What stands where a person was named.
ERASED = "[erased]"
#: Shorter ones stand for too many.
SHORTEST, SHORTEST_NUMBER, MOST = 2, 5, 20
#: A word goes on behind these: lin@example.com is not lin@example.com.cn, nor is lin lin-2.
JOINTS = r"[-.@+]"


class Person:
    """``words``: account names, addresses, numbers, in any case; as JSON and URLs write them too."""

    def __init__(self, words: Sequence[str]) -> None:
        """Raises ConfigError for words that could stand for anybody."""
        found = [word.strip() for word in words]
        if not 1 <= len(found) <= MOST:
            raise ConfigError(f"name one to {MOST} words that stand for the person", key="words")
        for word in found:
            _check(word)
        self.words = tuple(dict.fromkeys(found))
        #: the words as text, JSON and URLs write them
        self.forms = tuple(sorted({form for word in self.words for form in _forms(word)}, key=len, reverse=True))
        pattern = "|".join(_bounded(form) for form in self.forms)
        self._text = re.compile(pattern, re.IGNORECASE | re.ASCII)
        self._bytes = re.compile(pattern.encode(), re.IGNORECASE)

    def named_in(self, text: str) -> bool:
        return self._text.search(text) is not None

    def places(self, data: bytes) -> Iterator[int]:
        """Where in the bytes they are named."""
        return (found.start() for found in self._bytes.finditer(data))

    def erased(self, value: Any) -> Any:
        """The value with every naming overwritten, in texts, lists and mappings of any depth."""
        if isinstance(value, str):
            return self._text.sub(ERASED, value)
        if isinstance(value, Mapping):
            return {self.erased(name): self.erased(one) for name, one in value.items()}
        return [self.erased(one) for one in value] if isinstance(value, list | tuple) else value


def _check(word: str) -> None:
    shortest = SHORTEST_NUMBER if word.isdigit() else SHORTEST if not word.isascii() else SHORTEST + 1
    if len(word) < shortest or len(word) > 200 or not word.isprintable():
        why = f"{shortest} to 200 characters on one line, or it could stand for others"
        raise ConfigError(f"each word needs {why}", key="words")


def _forms(word: str) -> set[str]:
    return {word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1], quote(word, safe=""), quote(word)}


def _bounded(form: str) -> str:
    """The form as a whole word: ends that are letters or digits go on nowhere."""
    begins, ends = (re.match(r"\w", edge, re.ASCII) for edge in (form[0], form[-1]))
    before = rf"(?<!\w)(?<!\w{JOINTS})" if begins else ""
    return before + re.escape(form) + (rf"(?!\w)(?!{JOINTS}\w)" if ends else "")
