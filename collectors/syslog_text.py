"""Messages of syslog: RFC 5424, RFC 3164 and what devices make of it; frames of TCP by count or by line."""

from __future__ import annotations

import re
from datetime import datetime

from watchkeeper.clock import to_ms

from .log_rows import SYSLOG, Row

_PRI = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\]|\\.)*\])+) ?")
_OLD = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+) ")
_TAG = re.compile(r"([A-Za-z0-9_./\-]{1,48})(?:\[\d+\])?: ?")
#: A name longer than this is no host and no program.
MOST_NAME = 100


def parse(raw: bytes, now_ms: int) -> Row:
    """Any bytes are a line; what cannot be told is left out. A time of RFC 3164 has no year and no zone: it is now."""
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
    host, body = (old[1], rest[old.end() :]) if old else ("", rest)
    tag = _TAG.match(body)
    return Row(now_ms, severity, _own(host, tag[1] if tag else ""), body[tag.end() :] if tag else body)


def _own(host: str, app: str) -> tuple[tuple[str, str], ...]:
    pairs = (("app", app), ("hostname", host))
    return tuple((name, value[:MOST_NAME]) for name, value in pairs if value not in ("", "-"))


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
