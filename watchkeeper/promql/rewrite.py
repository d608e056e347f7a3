"""Prometheus 3's newer constructs put into words the parser knows, to be put back when its tree is converted.

- ``[2m*15]``, ``offset step()``: the expression becomes a duration nobody writes, which stands for it.
- ``anchored``, ``smoothed``: the word becomes a label matcher of the selector before it.
- ``</``, ``>/``: a comparison stands for each, and the order of comparisons tells which are meant.
- ``1_000``: without the lines between its digits.
- ``@ -10``: a time before 1970 becomes one long after our days, which stands for it.
- a second argument of ``info()`` with only empty-matching matchers: every selector gets one more matcher.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from watchkeeper.errors import QueryError
from watchkeeper.promql.positions import TOKEN

#: The first stand-in duration, in seconds: two and a half years and an odd second, well inside the parser's range.
STAND_IN_SECONDS = 77_770_001
#: The first stand-in moment, in seconds: in the year 8307.
STAND_IN_MOMENT = 200_000_000_001
#: Label names no store holds: the extended range mode, and "this selector may match the empty".
MODE_LABEL, EMPTY_LABEL = "__watchkeeper_mode__", "__watchkeeper_empty__"
MODES = ("anchored", "smoothed")
#: Comparisons have the precedence of the trim operators.
STAND_IN_TRIMS = {"</": "<", ">/": ">"}
PLAIN_DURATION = re.compile(r"\s*(?:(?:\d+(?:ms|[smhdwy]))+|\d+(?:\.\d+)?)\s*")


@dataclass(slots=True)
class Rewritten:
    """The query in the parser's words."""

    text: str
    expressions: dict[int, str] = field(default_factory=dict)  #: stand-in milliseconds -> duration expression
    moments: dict[int, int] = field(default_factory=dict)  #: stand-in milliseconds -> milliseconds before 1970
    comparisons: list[str] = field(default_factory=list)  #: in the order of the text; empty but for trim operators


def rewrite(expr: str, *, empty: bool) -> Rewritten:
    """The rewritten query; ``empty`` also lets selectors match nothing but the empty. Raises QueryError."""
    answer = Rewritten("")
    pieces = _Pieces([found.group() for found in TOKEN.finditer(expr)], answer, empty)
    answer.text = pieces.text()
    if any(token["trim"] for token in TOKEN.finditer(expr)):
        answer.comparisons = _comparisons(expr)
    return answer


def _comparisons(expr: str) -> list[str]:
    """Every comparison outside braces: the trim operator that it is, or the empty text."""
    found, depth, previous = [], 0, ""
    for token in TOKEN.finditer(expr):
        piece = token.group()
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if depth == 0 and token["trim"]:
            found.append(piece)
        elif depth == 0 and (piece in "<>" or (piece == "=" and previous in ("=", "!"))):
            found.append("")
        previous = piece
    return found


class _Pieces:
    def __init__(self, tokens: list[str], answer: Rewritten, empty: bool) -> None:  # noqa: FBT001 - one caller
        self._tokens, self._answer, self._empty, self._place = tokens, answer, empty, 0
        self._out: list[str] = []

    def text(self) -> str:
        while self._place < len(self._tokens):
            piece = self._tokens[self._place]
            self._place += 1
            word = piece.lower()
            if piece[0] == "[":
                self._out.append(self._bracket(piece))
            elif piece == "{" and self._empty:
                self._out.append(f'{{{EMPTY_LABEL}="1",')
            elif word in MODES and self._after_selector():
                self._mark(word)
            elif word == "offset":
                self._out.append(piece)
                self._offset()
            elif piece in STAND_IN_TRIMS:
                self._out.append(STAND_IN_TRIMS[piece])
            elif piece == "@":
                self._out.append(piece)
                self._moment()
            elif piece[0].isdigit():
                self._out.append(piece.replace("_", ""))
            else:
                self._out.append(piece)
        return "".join(self._out)

    def _stand_in(self, expression: str) -> str:
        number = STAND_IN_SECONDS + len(self._answer.expressions)
        self._answer.expressions[number * 1000] = expression
        return f"{number}s"

    def _bracket(self, token: str) -> str:
        parts = token[1:-1].split(":")
        kept = [part if PLAIN_DURATION.fullmatch(part) or not part.strip() else self._stand_in(part) for part in parts]
        return f"[{':'.join(kept)}]"

    def _after_selector(self) -> bool:
        """The word stands behind a selector, so it is a modifier and no metric of that name."""
        before = "".join(self._out).rstrip()
        return (
            bool(before)
            and (before[-1] in "]}" or (before[-1].isalnum() or before[-1] in "_:"))
            and not re.search(
                r"(?:^|[^\w:])(?:by|without|on|ignoring|and|or|unless|bool|atan2|offset|\d[\w.]*)$",
                before,
                re.IGNORECASE,
            )
        )

    def _mark(self, mode: str) -> None:
        """Give the selector that ends here the matcher that says how its range is meant."""
        place = len(self._out) - 1
        while not self._out[place].strip():
            place -= 1
        if self._out[place][0] == "[":
            place -= 1
            while not self._out[place].strip():
                place -= 1
        matcher = f'{MODE_LABEL}="{mode}"'
        if self._out[place] != "}":
            self._out.insert(place + 1, f"{{{matcher}}}")
            return
        inside = "".join(self._out[:place]).rstrip()
        self._out.insert(place, matcher if inside[-1] in ",{" else f",{matcher}")

    def _moment(self) -> None:
        """Take a negative time behind ``@``."""
        start = self._place
        self._skip_blank()
        negative = self._peek() == "-"
        self._place += negative
        self._skip_blank()
        if not negative or not self._peek()[:1].isdigit():
            self._place = start
            return
        before = float(self._peek().replace("_", ""))
        if before > STAND_IN_MOMENT:
            raise QueryError("the time of the @ modifier must be between 1970 and the year 9999, or as long before")
        stand_in = STAND_IN_MOMENT + len(self._answer.moments)
        self._answer.moments[stand_in * 1000] = -round(before * 1000)
        self._out.append(f" {stand_in}")
        self._place += 1

    def _offset(self) -> None:
        """Take one operand: sign, then a number, a call or a bracketed expression."""
        start = self._place
        self._skip_blank()
        while self._peek() in ("+", "-"):
            self._place += 1
            self._skip_blank()
        if self._peek().isidentifier():
            self._place += 1
            self._skip_blank()
        if self._peek() == "(":
            self._balanced()
            self._out.append(" " + self._stand_in("".join(self._tokens[start : self._place])))
        else:
            self._out += self._tokens[start : self._place]

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _skip_blank(self) -> None:
        while self._peek().isspace():
            self._place += 1

    def _balanced(self) -> None:
        depth = 0
        while self._place < len(self._tokens):
            depth += {"(": 1, ")": -1}.get(self._tokens[self._place], 0)
            self._place += 1
            if depth == 0:
                return
        raise QueryError("unclosed left parenthesis in an offset")
