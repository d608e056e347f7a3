"""Forms: lines that are alike but for their values, with what was seen in each blank."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .lexer import ASSIGNED, BLANK, DOTTED, MEMBER, NAMED, QUANTITY, SHOWN, Token

#: Different texts remembered a blank; beyond them it is a value without doubt.
MOST_TEXTS = 64
#: A word that stood at its place in so many lines, and no other, belongs to the text.
SETTLED = 10
#: Dotted names are kinds of an event, not values, when so few of them ...
MOST_KINDS = 3
#: ... came in so many lines each.
LINES_A_KIND = 15

_AROUND = re.compile(r"[^\s,!;:=|\"'\[\](){}.\-+@#$%&/]*<\*>[^\s,!;:=|\"'\[\](){}.\-+@#$%&/]*")


class Form:
    """One key, how many lines had it, and the texts of its blanks."""

    __slots__ = ("born", "count", "key", "texts")

    def __init__(self, key: tuple[str, ...], born: int) -> None:
        self.key, self.born, self.count = key, born, 0
        #: place in the key -> (kind, text) -> lines
        self.texts: dict[int, Counter[tuple[str, str]]] = {
            place: Counter() for place, one in enumerate(key) if one == BLANK
        }

    def add(self, tokens: Sequence[Token], lines: int) -> None:
        """Count ``lines`` lines whose tokens are these."""
        self.count += lines
        for place, seen in self.texts.items():
            token = tokens[place]
            text = (token.kind, token.text)
            if text in seen or len(seen) < MOST_TEXTS:
                seen[text] += lines

    def shown(self, start: int, end: int) -> str:
        """What a template shows of the tokens from ``start`` to ``end``."""
        return "".join(self._blank(place) if place in self.texts else self.key[place] for place in range(start, end))

    def kinds(self) -> list[int]:
        """Blanks whose few dotted names, each of many lines, tell kinds of events apart."""
        return [place for place, seen in self.texts.items() if _tells_apart(seen, self.count)]

    def _blank(self, place: int) -> str:
        seen = self.texts[place]
        if len(seen) != 1:
            return SHOWN
        ((kind, text), lines) = next(iter(seen.items()))
        if kind == QUANTITY:
            return SHOWN if self._units_vary() else text
        if kind == MEMBER or (kind == ASSIGNED and lines < SETTLED):
            return SHOWN
        return SHOWN if kind == NAMED and lines < SETTLED and text[-1].isdigit() else text

    def _units_vary(self) -> bool:
        """A program that chooses units for the reader does so for all its figures."""
        return any(len(seen) > 1 and all(kind == QUANTITY for kind, _ in seen) for seen in self.texts.values())


def _tells_apart(seen: Counter[tuple[str, str]], lines: int) -> bool:
    return 1 < len(seen) <= MOST_KINDS and lines >= LINES_A_KIND * len(seen) and all(kind == DOTTED for kind, _ in seen)


def tidy(template: str) -> str:
    """The usual spelling: what sticks to a blank is part of it, and blanks that touch are one."""
    template = _AROUND.sub(SHOWN, " ".join(template.split()))
    before = ""
    while before != template:
        before = template
        template = template.replace("<*>.<*>", SHOWN).replace("<*><*>", SHOWN)
    return template
