"""Which forms are one event: lists of other lengths, words where others have values, places with many words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from .compound import parts_of
from .forms import Form, tidy
from .lexer import BLANK, SHOWN

#: So many different words at one place, all else alike, are values.
MANY_WORDS = 5
#: Words that must stand still beside a place whose word varies.
STANDING = 2
_TRUTH = frozenset({"true", "false"})

Key = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Event:
    """Forms that are one event, oldest first, and its template."""

    forms: list[Form]
    template: str
    kinds: list[int] = field(default_factory=list)  #: blanks of the one form whose name tells events apart


def events_of(forms: Iterable[Form]) -> list[Event]:
    """Every form in exactly one event."""
    by_shape: dict[Key, list[Form]] = defaultdict(list)
    for form in forms:
        by_shape[tuple(part for part, _, _ in parts_of(form.key))].append(form)
    holes, members = _words_as_values({shape: sum(form.count for form in each) for shape, each in by_shape.items()})
    return [
        _event(shape, [one for each in shapes for one in by_shape[each]], holes[shape])
        for shape, shapes in members.items()
    ]


def _event(shape: Key, forms: list[Form], holes: set[int]) -> Event:
    forms.sort(key=lambda form: form.born)
    parts = [parts_of(form.key) for form in forms]
    shown: list[str] = []
    for place, part in enumerate(shape):
        if place in holes:
            shown.append(SHOWN)
        elif part == BLANK:
            texts = {form.shown(*each[place][1:]) for form, each in zip(forms, parts, strict=True)}
            shown.append(texts.pop() if len(texts) == 1 else SHOWN)
        else:
            shown.append(part)
    return Event(forms, tidy("".join(shown)), forms[0].kinds() if len(forms) == 1 else [])


@dataclass(slots=True, eq=False)
class _Hole:
    """A place left out of shapes that are else the same, and what stands there in which shape."""

    place: int
    standing: int  #: words beside it
    found: dict[str, Key] = field(default_factory=dict)


def _words_as_values(lines: Mapping[Key, int]) -> tuple[dict[Key, set[int]], dict[Key, list[Key]]]:
    """(shape -> places where its words are values, shape -> the shapes that are one event with it)."""
    leader: dict[Key, tuple[Key, int]] = {}
    for hole in _holes(lines):
        first, words = _values_at(hole.found, lines)
        for word in words:
            if first not in leader and hole.found[word] not in leader:
                leader[hole.found[word]] = first, hole.place
    return _led(lines, leader)


def _values_at(found: Mapping[str, Key], lines: Mapping[Key, int]) -> tuple[Key, list[str]]:
    """(the shape that leads, the words that are values as what it has at their place).

    Where a value was seen, each word that came no more often than it; else all words, when they are many.
    """
    words = sorted(word for word in found if word != BLANK and word.lower() not in _TRUTH)
    if BLANK in found:
        first = found[BLANK]
        return first, [word for word in words if lines[found[word]] <= lines[first]]
    first = found[words[0]] if words else min(found.values())
    return first, words[1:] if len(words) >= MANY_WORDS else []


def _holes(shapes: Iterable[Key]) -> list[_Hole]:
    """Places where several shapes differ and enough of the text stands still, those of most shapes first.

    What stands around a place is told by its hash: a line of a thousand words has a thousand places.
    """
    found: dict[tuple[int, int, int, int], _Hole] = {}
    for shape in shapes:
        before, after, standing = _hashes(shape), _hashes(shape[::-1]), sum(map(is_word, shape))
        for place, part in enumerate(shape):
            word = is_word(part)
            if part == BLANK or word:
                around = len(shape), place, before[place], after[len(shape) - 1 - place]
                hole = found.get(around) or found.setdefault(around, _Hole(place, standing - word))
                hole.found[part] = shape
    several = [hole for hole in found.values() if len(hole.found) > 1 and hole.standing >= STANDING]
    return sorted(several, key=lambda hole: (-len(hole.found), hole.place, min(hole.found.values())))


def _hashes(parts: Key) -> list[int]:
    """Of the first 0, 1, 2 ... parts."""
    return list(accumulate(parts, lambda before, part: hash((before, part)), initial=0))


def _led(
    shapes: Iterable[Key], leader: Mapping[Key, tuple[Key, int]]
) -> tuple[dict[Key, set[int]], dict[Key, list[Key]]]:
    holes: dict[Key, set[int]] = defaultdict(set)
    members: dict[Key, list[Key]] = defaultdict(list)
    for shape in shapes:
        top = shape
        path: list[int] = []
        while top in leader and len(path) <= len(leader):
            top, place = leader[top]
            path.append(place)
        holes[top].update(path)
        members[top].append(shape)
    return holes, members


def is_word(part: str) -> bool:
    """Two or more characters with a letter among them."""
    return len(part) > 1 and any(one.isalpha() for one in part)
