"""Messages of syslog: RFC 5424, RFC 3164 and what devices make of it; frames of TCP by count or by line."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from watchkeeper.clock import to_ms

from .log_rows import SYSLOG, Row

_PRI = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\]|\\.)*\])+) ?")
#: RFC 3164, and the longer time that relays write in its place.
_OLD = re.compile(r"(?:([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*)) (\S+) ")
_TAG = re.compile(r"([A-Za-z0-9_./\-]{1,48})(?:\[\d+\])?: ?")
#: A name longer than this is no host and no program.
MOST_NAME = 100
#: A sender's clock that is further off, or of another zone, does not count.
APART_MS = 25 * 60 * 1000


def parse(raw: bytes, now_ms: int) -> Row:
    """Any bytes are a line; what cannot be told is left out.

    A time of RFC 3164 has no year and no zone: it is this machine's, or now, where the two are too far apart.
    """
    text = raw.rstrip(b"\r\n\0").decode("utf-8", "replace").removeprefix("\ufeff")
    pri = _PRI.match(text)
    if pri is None or int(pri[1]) > 191:
        return Row(now_ms, 0, (), text)
    severity, rest = SYSLOG[int(pri[1]) & 7], text[pri.end() :]
    new = _NEW.match(rest)
    if new is not None:
        stamp, host, app = new[1], new[2], new[3]
        data = "" if new[6] == "-" else f"{new[6]} "
        body = data + rest[new.end() :].removeprefix("\ufeff")
        return Row(_ms(stamp, now_ms), severity, _own(host, app), body)
    old = _OLD.match(rest)
    host, body = (old[3], rest[old.end() :]) if old else ("", rest)
    at = now_ms
    if old:
        at = _ms(old[2], now_ms) if old[2] else _near(old[1], now_ms)
    tag = _TAG.match(body)
    return Row(at, severity, _own(host, tag[1] if tag else ""), body[tag.end() :] if tag else body)


def _own(host: str, app: str) -> tuple[tuple[str, str], ...]:
    pairs = (("app", app), ("hostname", host))
    return tuple((name, value[:MOST_NAME]) for name, value in pairs if value not in ("", "-"))


def _near(text: str, now_ms: int) -> int:
    """A local time without a year, where it is about now."""
    year = datetime.fromtimestamp(now_ms / 1000).year  # noqa: DTZ006 - as the sender means it
    found = (_local_ms(text, one) for one in (year, year - 1, year + 1))
    return next((at for at in found if abs(at - now_ms) <= APART_MS), now_ms)


@lru_cache(1000)
def _local_ms(text: str, year: int) -> int:
    try:
        return round(datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S").timestamp() * 1000)  # noqa: DTZ007
    except (ValueError, OverflowError):
        return -APART_MS


def _ms(text: str, now_ms: int) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now_ms
    return to_ms(found) if found.tzinfo else now_ms


class Frames:
    """Messages of one TCP connection, put together from what arrives; ``too_long`` says that it must be closed."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, b""
        self.too_long = False

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages, by octet count (RFC 6587) or by line."""
        self._held += data
        found: list[bytes] = []
        while self._held and not self.too_long:
            counted = re.match(rb"([1-9]\d{0,7}) ", self._held)
            if counted is not None:
                end = counted.end() + int(counted[1])
                self.too_long = int(counted[1]) > self._limit
                if self.too_long or len(self._held) < end:
                    break
                found.append(self._held[counted.end() : end])
                self._held = self._held[end:]
                continue
            line, newline, rest = self._held.partition(b"\n")
            if not newline:
                self.too_long = len(self._held) > self._limit
                break
            found.append(line[: self._limit])
            self._held = rest
        return [message for message in found if message.strip()]

    def rest(self) -> bytes:
        """What was never finished."""
        return self._held[: self._limit]
