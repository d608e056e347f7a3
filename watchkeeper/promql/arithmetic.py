"""Duration expressions: ``[2m*15]``, ``offset (step()/2)``. Values are seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from watchkeeper.errors import QueryError

TOKEN = re.compile(r"\s*(?:(\d[\w.]*|\.\d+)|([A-Za-z_]+)|(.))", re.DOTALL)
#: One part of a duration with a fractional or whole count.
PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|[smhdwy])")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}

#: What only the query knows: ``step`` and ``range`` in seconds.
Known = Mapping[str, float]


@lru_cache(maxsize=1024)
def _tokens(text: str) -> tuple[str, ...]:
    found = (word.group(1) or word.group(2) or word.group(3) for word in TOKEN.finditer(text.strip()))
    return tuple(word.lower() for word in found if word)


def is_constant(text: str) -> bool:
    """The expression needs nothing of the query."""
    return not {"step", "range"} & set(_tokens(text))


def evaluate(text: str, known: Known) -> float:
    """Seconds. Raises QueryError when the text is no duration expression."""
    reader = _Reader(text, known)
    value = reader.sum()
    if reader.next():
        raise reader.wrong()
    return value


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise QueryError("division by zero in a duration expression")
    return left / right


def _remainder(left: float, right: float) -> float:
    if right == 0:
        raise QueryError("modulo by zero in a duration expression")
    return math.fmod(left, right)


class _Reader:
    """Recursive descent; precedence as in PromQL: ``^`` over sign over ``* / %`` over ``+ -``."""

    def __init__(self, text: str, known: Known) -> None:
        self._text, self._tokens, self._place, self._known = text, _tokens(text), 0, known

    def next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def wrong(self) -> QueryError:
        return QueryError(f"invalid duration expression: {self._text.strip()!r}")

    def _take(self, wanted: str = "") -> str:
        word = self.next()
        if not word or (wanted and word != wanted):
            raise self.wrong()
        self._place += 1
        return word

    def sum(self) -> float:
        value = self._product()
        while self.next() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            value += sign * self._product()
        return value

    def _product(self) -> float:
        operators: dict[str, Callable[[float, float], float]] = {
            "*": lambda left, right: left * right,
            "/": _divide,
            "%": _remainder,
        }
        value = self._signed()
        while self.next() in operators:
            value = operators[self._take()](value, self._signed())
        return value

    def _signed(self) -> float:
        if self.next() in ("+", "-"):
            return -self._signed() if self._take() == "-" else self._signed()
        return self._power()

    def _power(self) -> float:
        value = self._atom()
        if self.next() == "^":
            self._take()
            return float(value ** self._signed())
        return value

    def _atom(self) -> float:
        word = self._take()
        if word == "(":
            value = self.sum()
            self._take(")")
            return value
        if word in self._known:
            self._take("(")
            self._take(")")
            return self._known[word]
        if word in ("min_of", "max_of"):
            return self._choice(min if word == "min_of" else max)
        return self._literal(word)

    def _choice(self, choose: Callable[[float, float], float]) -> float:
        self._take("(")
        left = self.sum()
        self._take(",")
        right = self.sum()
        self._take(")")
        return choose(left, right)

    def _literal(self, word: str) -> float:
        parts = PART.findall(word)
        if parts and "".join(count + unit for count, unit in parts) == word:
            return sum(float(count) * SECONDS[unit] for count, unit in parts)
        try:
            return float(word)
        except ValueError:
            raise self.wrong() from None
