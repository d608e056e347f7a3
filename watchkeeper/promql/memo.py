"""What was worked out about a sequence of series is remembered while the store hands out the same sequence again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from watchkeeper.model import Labels

T = TypeVar("T")

#: Series held in all entries together; past it everything is forgotten. About 50 MB of labels at worst.
BUDGET = 1 << 18
#: Shorter sequences are worked out faster than they are found.
WORTHWHILE = 64


class Memo:
    """Keyed by identity: label tuples are costly to hash and stores keep theirs. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Sequence[object], object]] = {}
        self._held = 0

    def get(self, kind: Hashable, anchors: Sequence[Sequence[Labels]], make: Callable[[], T]) -> T:
        """``make()``, or what it said the last time for these very sequences."""
        size = sum(map(len, anchors))
        if size < WORTHWHILE or not all(isinstance(anchor, tuple) for anchor in anchors):
            return make()
        key = (kind, *map(id, anchors))
        found = self._kept.get(key)
        if found is not None:
            return found[1]  # type: ignore[return-value]  # the kind fixes the type
        made = make()
        self._held += size
        if self._held > BUDGET:
            self._kept, self._held = {}, size
        self._kept[key] = (anchors, made)  # holding the anchors keeps their identities theirs
        return made
