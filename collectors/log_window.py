"""Lines asked for by time from a store that is still being written: none lost, none twice, at no edge.

Lines arrive late and share their times, so every look asks again for the last ``overlap`` before now; what was read
is known by a number of 64 bits. Times are whole numbers of the store's own unit, which only rise.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

#: Lines of the overlap that are remembered; where there are more the overlap is shorter.
MOST_SEEN = 200_000


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the store."""

    time: int  #: in the store's unit
    key: bytes  #: what makes it one line
    text: str
    labels: tuple[tuple[str, str], ...]


#: (first time, number of lines) -> the oldest lines from then on, by time; and whether there are more behind them.
Fetch = Callable[[int, int], Awaitable[tuple[Sequence[Found], bool]]]


@dataclass(slots=True)
class Window:
    """What was read, and from where the next look asks. A look that fails changes nothing."""

    overlap: int  #: in the store's unit
    newest: int = 0  #: time of the newest line that was read; 0: none yet
    floor: int = 0  #: lines from here on are known by ``seen``, lines before it are over
    seen: dict[int, int] = field(default_factory=dict)  #: number of a line -> its time

    def position(self) -> dict[str, Any]:
        """Plain JSON data."""
        pairs = np.array([(time, number) for number, time in self.seen.items()], np.uint64).reshape(-1, 2)
        packed = base64.b85encode(zlib.compress(pairs.tobytes(), 1)).decode()
        return {"newest": self.newest, "floor": self.floor, "seen": packed}

    def restore(self, position: Mapping[str, Any]) -> None:
        pairs = np.frombuffer(zlib.decompress(base64.b85decode(position["seen"])), np.uint64).reshape(-1, 2)
        self.seen = {int(number): int(time) for time, number in pairs.tolist()}
        self.newest, self.floor = int(position["newest"]), int(position["floor"])

    async def read(self, fetch: Fetch, *, now: int, most: int, page: int) -> tuple[list[Found], int]:
        """(new lines, lines that share one time and are more than one answer holds)."""
        start, size, cut, more = self.floor, page, 0, True
        new: list[Found] = []
        seen = dict(self.seen)
        while len(new) < most:
            rows, more = await fetch(start, size)
            for row in rows:
                number = int.from_bytes(blake2b(row.key, digest_size=8).digest(), "big")
                if number not in seen:
                    seen[number] = row.time
                    new.append(row)
            if not more:
                break
            last = rows[-1].time
            if last > start:
                start, size = last, page
            elif size < most:  # a whole answer of one time: ask for a larger one
                size = min(most, size * 4)
            else:
                start, size, cut = last + 1, page, cut + 1
        self._keep(seen, new, now - self.overlap if not more else min(now - self.overlap, start))
        return new, cut

    def _keep(self, seen: dict[int, int], new: Sequence[Found], floor: int) -> None:
        """Before ``floor`` everything has arrived and is read."""
        self.newest = max([self.newest, *(row.time for row in new)])
        floor = max(self.floor, floor)
        kept = {number: time for number, time in seen.items() if time >= floor}
        if len(kept) > MOST_SEEN:
            floor = sorted(kept.values())[-MOST_SEEN]
            kept = {number: time for number, time in kept.items() if time >= floor}
        self.seen, self.floor = kept, floor
