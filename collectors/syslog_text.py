"""Messages of syslog: RFC 5424, RFC 3164 and what devices make of it; frames of TCP by count or by line."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from watchkeeper.clock import to_ms

from .log_rows import SYSLOG, Row

_PRI = re.compile(r"<(\d{1,3})> ?")
_NEW = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\]|\\.)*\])+) ?")
#: What devices count their messages by, and the name that they may write in front of the time.
_COUNT = re.compile(r"\d{1,10}: (?:(?P<host>[A-Za-z][\w.\-]*): )?")
#: RFC 3164, also with a year, parts of a second, a zone, or marked as not synchronised; and the longer time of relays.
_OLD = re.compile(
    r"(?:[*.]?(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2})(?: (?P<year>\d{4}))? (?P<clock>\d\d:\d\d:\d\d)"
    r"(?:\.(?P<part>\d{1,6})\d*)?(?: (?P<late_year>\d{4})\b)?|"
    r"(?P<long>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*))(?:(?: [A-Z]{2,5})?: ?(?=%)|:? +)"
)
_HOST = re.compile(r"(?P<host>[^\s%\[][^\s\[]*?)(?: :)? +")
_TAG = re.compile(r"(?=[^\s:\[]*[^\W\d_])([\w./@()\-]{1,48})(?:\[\d+\]: ?|: |:$)")
#: ``%FACILITY-SEVERITY-MNEMONIC:`` of Cisco and those who write like it.
_FACILITY = re.compile(r"%([A-Z][A-Z0-9_]*)-(?:[A-Z0-9_]+-)*?[0-7]-[A-Z0-9_]+:")
#: A name longer than this is no host and no program.
MOST_NAME = 100
#: A sender's clock that is further off, or of another zone, does not count.
APART_MS = 25 * 60 * 1000


def parse(raw: bytes, now_ms: int, sender: str = "", encoding: str = "utf-8") -> Row:
    """Any bytes are a line; what cannot be told is left out. ``sender`` is the host of who names none.

    A time of RFC 3164 has no zone and mostly no year: it is this machine's, or now, where the two are too far apart.
    """
    text = _decoded(raw.rstrip(b"\r\n\0"), encoding).removeprefix("\ufeff")
    pri = _PRI.match(text)
    if pri is None or int(pri[1]) > 191:
        return Row(now_ms, 0, _own(sender, ""), text)
    severity, rest = SYSLOG[int(pri[1]) & 7], text[pri.end() :]
    new = _NEW.match(rest)
    if new is not None:
        stamp, host, app = new[1], new[2], new[3]
        data = "" if new[6] == "-" else f"{new[6]} "
        body = data + rest[new.end() :].removeprefix("\ufeff")
        return Row(_ms(stamp, now_ms), severity, _own(sender if host == "-" else host, app), body)
    return _old(rest, severity, now_ms, sender)


def _old(text: str, severity: int, now_ms: int, sender: str) -> Row:
    count = _COUNT.match(text)
    body = text[count.end() :] if count else text
    stamp = _OLD.match(body)
    if stamp is None:
        count, body = None, text
    host, at = (count["host"] or "") if count else "", now_ms
    if stamp is not None:
        at = _ms(stamp["long"], now_ms) if stamp["long"] else _near(stamp, now_ms)
        body = body[stamp.end() :]
        named = None if host or _TAG.match(body) else _HOST.match(body)
        if named is not None:
            host, body = named["host"], body[named.end() :].removeprefix(": ")
    facility, tag = _FACILITY.match(body), _TAG.match(body)
    app = facility[1] if facility else tag[1] if tag else ""
    return Row(at, severity, _own(host or sender, app), body[tag.end() :] if tag and not facility else body)


def _decoded(raw: bytes, encoding: str) -> str:
    """UTF-8 where it is, whatever a device of another encoding sits behind the same relay."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace")


def _own(host: str, app: str) -> tuple[tuple[str, str], ...]:
    pairs = (("app", app), ("hostname", host))
    return tuple((name, value[:MOST_NAME]) for name, value in pairs if value not in ("", "-"))


def _near(stamp: re.Match[str], now_ms: int) -> int:
    """A local time, with a year or without, where it is about now."""
    year = stamp["year"] or stamp["late_year"]
    this = datetime.fromtimestamp(now_ms / 1000).year  # noqa: DTZ006 - as the sender means it
    years = [int(year)] if year else [this, this - 1, this + 1]
    text = f"{stamp['month']} {stamp['day']} {stamp['clock']}"
    part = round(float(f"0.{stamp['part']}") * 1000) if stamp["part"] else 0
    found = (_local_ms(text, one) + part for one in years)
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
