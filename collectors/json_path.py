"""Values inside a JSON document by a path such as ``accounts[*].streams[*].messages``, each with where it stood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

Step: TypeAlias = "str | int | None"  #: name of a member, index of an element, None for ``[*]``
#: The keys and indices that each ``[*]`` of a path stood for.
Place = tuple[str | int, ...]

_STEP = re.compile(r"""\[\*\]|\[(\d+)\]|\["([^"]+)"\]|([^.\[\]"]+)""")
#: A label that is the key or index itself: ``$1`` for the first ``[*]`` of the value's path.
KEY = re.compile(r"\$([1-9])")


def parse(path: str) -> tuple[Step, ...]:
    """``a.b[*]["c.d"][0]`` as steps; empty for the document itself. Raises ValueError naming the place."""
    steps: list[Step] = []
    at = 0
    while at < len(path):
        if path[at] == "." and at > 0:
            at += 1
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f'path {path!r} is wrong at {path[at:]!r}; write it as a.b[*].c, a[0] or a["b.c"]')
        index, quoted, word = found.groups()
        steps.append(int(index) if index is not None else quoted or word)
        at = found.end()
    return tuple(steps)


def values(document: Any, steps: Sequence[Step]) -> Iterator[tuple[Place, Any]]:
    """(place, value) of everything the path leads to, in the document's order; what is not there is left out."""
    yield from _walk(document, steps, ())


def at(document: Any, steps: Sequence[Step], place: Place) -> Any:
    """The value beside another one: each ``[*]`` takes what stood there for that one. None where there is nothing."""
    kept = iter(place)
    for step in steps:
        key = next(kept, None) if step is None else step
        document = _inside(document, key)
        if document is None:
            return None
    return document


def _walk(document: Any, steps: Sequence[Step], place: Place) -> Iterator[tuple[Place, Any]]:
    for position, step in enumerate(steps):
        if step is None:
            items: Any = document.items() if isinstance(document, dict) else ()
            items = enumerate(document) if isinstance(document, list) else items
            for key, inner in items:
                yield from _walk(inner, steps[position + 1 :], (*place, key))
            return
        document = _inside(document, step)
        if document is None:
            return
    if document is not None:
        yield place, document


def _inside(document: Any, key: str | int | None) -> Any:
    if isinstance(document, dict):
        return document.get(key if isinstance(key, str) else str(key))
    if isinstance(document, list) and isinstance(key, int) and key < len(document):
        return document[key]
    return None
