"""Where each call and selector stands in the text: the parser keeps no positions, warnings need them."""

from __future__ import annotations

import re

#: One token: a string, a comment, a word, an opening brace, a range in brackets, a number, or one other character.
TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|(?P<comment>\#[^\n]*)"""
    r"""|(?P<word>[A-Za-z_:][\w:]*)|(?P<brace>\{)|(?P<bracket>\[[^\]]*\])|(?P<trim></|>/)|(?P<number>\d[\w.]*)|(?P<other>.)""",
    re.DOTALL,
)


class Positions:
    """Hands out positions in the order in which the tree is walked, which is the order of the text."""

    def __init__(self, expr: str) -> None:
        self._expr = expr
        self._words: list[tuple[str, int]] = []
        self._next = 0
        for token in TOKEN.finditer(expr):
            if token.lastgroup in ("word", "brace", "number"):
                number = token.lastgroup == "number" or token.group().lower() in ("nan", "inf")
                name = "0" if number else token.group()
                self._words.append((name, token.start() + 1))

    def call(self, name: str) -> int:
        """Column of the next call or aggregation of this name; the last known place when it cannot be found."""
        return self._find(name.lower(), lower=True)

    def selector(self, name: str | None) -> int:
        """Column of the next selector: its name, or the brace when it has none."""
        return self._find(name or "{", lower=False)

    def number(self) -> int:
        """Column of the next number."""
        return self._find("0", lower=False)

    def sign(self, position: int) -> int:
        """Column of the sign before what stands there; brackets may lie between."""
        before = self._expr[: position - 1].rstrip(" \t\n(")
        return len(before) if before.endswith(("-", "+")) else position

    def _find(self, wanted: str, *, lower: bool) -> int:
        for index in range(self._next, len(self._words)):
            word, position = self._words[index]
            if (word.lower() if lower else word) == wanted:
                self._next = index + 1
                return position
        return 1
