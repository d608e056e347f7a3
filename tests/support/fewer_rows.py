"""Long answers of databases made short: every tenth row of what a real server said, and all that is around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from support.replays import Recorded

#: An answer of fewer rows stays as it is; of a longer one, one row in so many is kept.
FEW, ONE_IN = 30, 10
#: Kind of collector -> the same answer with fewer rows.
Shorter = Callable[[bytes], bytes]


def fewer_rows(recorded: Recorded, shorter: Shorter | None) -> Recorded:
    """The recorded conversation with short answers."""
    if shorter is None:
        return recorded
    turns = [(asked, [shorter(b"".join(pieces))] if pieces else []) for asked, pieces in recorded.turns]
    return replace(recorded, turns=turns)


def _mysql(said: bytes) -> bytes:
    """MySQL's packets of a result: columns, an end, rows, an end; each has a length of three bytes and a number."""
    packets = list(_packets(said))
    ends = [place for place, body in enumerate(packets) if body[:1] == b"\xfe" and len(body) < 9]
    if len(ends) != 2 or ends[1] - ends[0] <= FEW:
        return said
    kept = [*packets[: ends[0] + 1], *packets[ends[0] + 1 : ends[1] : ONE_IN], *packets[ends[1] :]]
    first = said[3]
    return b"".join(
        len(body).to_bytes(3, "little") + bytes([(first + place) % 256]) + body for place, body in enumerate(kept)
    )


def _packets(said: bytes) -> Iterator[bytes]:
    place = 0
    while place + 4 <= len(said):
        size = int.from_bytes(said[place : place + 3], "little")
        yield said[place + 4 : place + 4 + size]
        place += 4 + size


def _postgresql(said: bytes) -> bytes:
    """PostgreSQL's messages: a letter, a length that counts itself, and D is a row."""
    place, rows, kept = 0, 0, []
    while place + 5 <= len(said):
        end = place + 1 + int.from_bytes(said[place + 1 : place + 5])
        row = said[place : place + 1] == b"D"
        rows += row
        if not row or rows <= FEW // ONE_IN or rows % ONE_IN == 0:
            kept.append(said[place:end])
        place = end
    return b"".join(kept) if rows > FEW and place == len(said) else said


ROWS: Mapping[str, Shorter] = {"mysql": _mysql, "postgresql": _postgresql}
