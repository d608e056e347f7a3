"""Label matchers as tests over many values at once, with Prometheus's meaning: RE2, anchored, dot matches newline.

Most patterns people write are an alternation of words, or words before or after ``.*``; those need no regex engine.
The rest goes to RE2 through pyarrow, imported only then: it would cost an idle engine 40 MB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model.series import BoolArray, Matcher, MatchOp

Test = Callable[[Sequence[str]], BoolArray]

#: Text without meaning to RE2, a backslash before ASCII punctuation making it such text.
_WORD = r"(?:[^\\.+*?()|\[\]{}^$]|\\[!-/:-@\[-^`{-~])*"
_ALTERNATION = re.compile(rf"(?s){_WORD}(?:\|{_WORD})*\Z")
_GROUP = re.compile(rf"(?s)\((?:\?:)?({_ALTERNATION.pattern[4:-2]})\)\Z")
_AROUND = re.compile(rf"(?s)(\.\*)?({_WORD})(\.\*)?\Z")


@dataclass(frozen=True, slots=True)
class Compiled:
    test: Test
    fits_absent: bool  #: whether series without the label match: absent is the empty value


@lru_cache(maxsize=1024)
def compile_matcher(matcher: Matcher) -> Compiled:
    """A test for many values of one label. Raises QueryError on a bad pattern."""
    test = _words([matcher.value]) if matcher.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL) else _pattern(matcher.value)
    if matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX):
        return Compiled(lambda values: ~test(values), not test([""])[0])
    return Compiled(test, bool(test([""])[0]))


def _pattern(pattern: str) -> Test:
    if _ALTERNATION.match(pattern):
        return _words(_alternatives(pattern))
    group = _GROUP.match(pattern)
    if group is not None:
        return _words(_alternatives(group[1]))
    around = _AROUND.match(pattern)
    if around is not None:
        return _affix(_alternatives(around[2])[0], before=bool(around[1]), after=bool(around[3]))
    if pattern == ".+":
        return lambda values: _collect(value != "" for value in values)
    return _re2(pattern)


def _alternatives(alternation: str) -> list[str]:
    """``a\\.b|c`` is a.b and c."""
    words = [""]
    for piece in re.findall(r"(?s)\\.|[^\\]", alternation):
        if piece == "|":
            words.append("")
        else:
            words[-1] += piece[-1]
    return words


def _collect(answers: Iterable[bool]) -> BoolArray:
    return np.fromiter(answers, dtype=np.bool_)


def _words(words: Sequence[str]) -> Test:
    known = frozenset(words)
    return lambda values: _collect(value in known for value in values)


def _affix(word: str, *, before: bool, after: bool) -> Test:
    """``word.*``, ``.*word`` or ``.*word.*``."""
    if before and after:
        return lambda values: _collect(word in value for value in values)
    if after:
        return lambda values: _collect(value.startswith(word) for value in values)
    return lambda values: _collect(value.endswith(word) for value in values)


def _re2(pattern: str) -> Test:
    import pyarrow as pa
    import pyarrow.compute as pc

    def run(values: Sequence[str], regex: str) -> BoolArray:
        try:
            answer: BoolArray = pc.match_substring_regex(arrow(values), regex).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise QueryError(f"the regular expression {pattern!r} is not valid RE2: {error}") from None
        return answer.astype(np.bool_, copy=False)

    run([""], pattern)  # alone first: the anchors below must not complete a broken pattern
    anchored = f"^(?s:{pattern})$"
    return lambda values: run(values, anchored)


class Words(Sequence[str]):
    """Distinct values that only grow, kept as RE2 reads them from the first regular expression on."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._packed: Any = None  #: the first ``_size`` words as an Arrow array
        self._size = 0

    def append(self, word: str) -> None:
        self._words.append(word)

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: Any) -> Any:
        return self._words[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def arrow(self) -> Any:
        import pyarrow as pa

        if self._size < len(self._words):
            fresh = _packed(self._words[self._size :])
            self._packed = fresh if self._packed is None else pa.concat_arrays([self._packed, fresh])
            self._size = len(self._words)
        return self._packed


def arrow(values: Sequence[str]) -> Any:
    """The values as Arrow text; what is no UTF-8 reads as a question mark."""
    return values.arrow() if isinstance(values, Words) and len(values) else _packed(list(values))


def _packed(values: list[str]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, type=pa.large_string())
    except UnicodeEncodeError:
        return pa.array([value.encode("utf-8", "replace").decode() for value in values], type=pa.large_string())
