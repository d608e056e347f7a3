"""When a line says that it happened, which may be long before it was read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

#: Characters of a line among which its time stands.
HEAD = 160
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?")
_NCSA = re.compile(r"\[(\d\d)/(\w{3})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_SYSLOG = re.compile(r"^(?:<\d+>)?(\w{3}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)\b")
#: A line that was read today may not come from further ahead; one of last year's December may.
AHEAD = timedelta(days=1)


def time_of(text: str, read: float, zone: tzinfo | None) -> float:
    """Seconds since the epoch; ``read`` where the line states none, or none that can be.

    A time that states no zone is of ``zone``; none is this machine's, as of the programs that write on it.
    """
    head = text[:HEAD]
    try:
        found = _iso(head, zone) or _ncsa(head) or _syslog(head, read, zone)
    except (ValueError, OverflowError):
        return read
    return read if found is None else _sane(found, read)


def stated(word: str, read: float, zone: tzinfo | None) -> float:
    """Of a field that holds a time: ISO 8601, or seconds, milliseconds ... since the epoch."""
    try:
        number = float(word)
    except ValueError:
        return time_of(word, read, zone)
    while number > 1e11:  # in a smaller unit than seconds
        number /= 1000.0
    return _sane(number, read) if number > 1e8 else read


def _sane(found: float, read: float) -> float:
    return read if found > read + 600.0 or found <= 0 else found


def _iso(head: str, zone: tzinfo | None) -> float | None:
    found = _ISO.search(head)
    if found is None:
        return None
    day, clock, part, offset = found.groups()
    at = datetime.fromisoformat(f"{day}T{clock}{(offset or '').replace('Z', '+00:00')}")
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return at.timestamp() + float(f"0.{part or 0}")


def _ncsa(head: str) -> float | None:
    found = _NCSA.search(head)
    if found is None:
        return None
    return datetime.strptime(" ".join(found.groups()), "%d %b %Y %H:%M:%S %z").timestamp()


def _syslog(head: str, read: float, zone: tzinfo | None) -> float | None:
    """RFC 3164 writes no year: the newest that is not ahead."""
    found = _SYSLOG.match(head)
    if found is None:
        return None
    now = datetime.fromtimestamp(read, zone)
    at = datetime.strptime(f"{now.year} {' '.join(found.groups())}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
    return (at.replace(year=now.year - 1) if at > now + AHEAD else at).timestamp()
