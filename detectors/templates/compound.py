"""Values that are one: a name of several values (``a1-b2-c3``), and lists whose length is itself a value."""

from __future__ import annotations

from collections.abc import Sequence

from .lexer import BLANK, SHOWN, VALUE, Token

#: What may stand between the parts of one value.
_INSIDE = frozenset("-:/+@#._")
#: Values in one name from which its parts say nothing.
_PARTS = 3


def joined(tokens: Sequence[Token]) -> list[Token]:
    """Names of three or more values are one blank, as is what only dots hold together."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        end = _end_of_name(tokens, place) if tokens[place].key == BLANK else place
        found.append(_one(tokens[place:end]) if end > place else tokens[place])
        place = max(end, place + 1)
    return found


def _end_of_name(tokens: Sequence[Token], start: int) -> int:
    """The end of the name that begins at ``start``; ``start`` where it is no name of several values."""
    place, end, blanks, dotted = start, start, 0, True
    while place < len(tokens):
        key = tokens[place].key
        if key == BLANK:
            blanks, end = blanks + 1, place + 1
            dotted = all(one.key in (BLANK, ".") for one in tokens[start:end])
        elif key not in _INSIDE and not key.isalnum():
            break
        place += 1
    return end if blanks >= _PARTS or (blanks > 1 and dotted) else start


def _one(tokens: Sequence[Token]) -> Token:
    dotted = all(one.key in (BLANK, ".") for one in tokens)
    text = SHOWN if dotted else "".join(one.text for one in tokens)
    return Token(BLANK, VALUE, text, tokens[0].start, tokens[-1].end)


#: A part of a form: the key that counts for merging, and the tokens of the form it stands for, [start, end).
Part = tuple[str, int, int]


def parts_of(key: Sequence[str]) -> list[Part]:
    """A form with each list of values (``1, 2, 3`` or ``a:1 b:2``) shown as its first element."""
    found: list[Part] = []
    place = 0
    while place < len(key):
        size = _element(key, place)
        if not size:
            found.append((key[place], place, place + 1))
            place += 1
            continue
        end = _end_of_list(key, place, size)
        if size == 1:
            found.append((BLANK, place, end))
        else:
            found += [(BLANK, place, place + 1), (":", place + 1, place + 2), (BLANK, place + 2, end)]
        place = end
    return found


def _element(key: Sequence[str], place: int) -> int:
    """How many tokens the element of a list that begins here has: 0 for none, 3 for a pair ``a:b``."""
    if place >= len(key) or key[place] != BLANK:
        return 0
    return 3 if key[place + 1 : place + 3] == (":", BLANK) else 1


def _end_of_list(key: Sequence[str], start: int, size: int) -> int:
    end = start + size
    while True:
        place = end
        while place < len(key) and place - end < 2 and key[place] in (" ", ","):
            place += 1
        if place == end or _element(key, place) != size:
            return end
        end = place + size
