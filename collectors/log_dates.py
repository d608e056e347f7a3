"""Dates as logs write them in front of a time of day, and the hours of a zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

_MONTHS = {name: place for place, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MONTH = rb"([A-Za-z]{3})"
#: Named groups say what a number is; M is the name of a month. \0 stands where the line begins.
_FORMS = tuple(
    (re.compile(pattern + rb"$"), order)
    for pattern, order in (
        (rb"(?<!\d)(\d{4})[-/.](\d\d)[-/.](\d\d)[T _]?", "ymd"),  # ISO 8601, RFC 3339, Java, nginx, Go, PostgreSQL
        (rb"(?<!\d)(\d{1,2})[-/ ]" + _MONTH + rb"[-/ ](\d{4})[: T]", "dMy"),  # access logs, Redis, Tomcat, RFC 1123
        (_MONTH + rb" +(\d{1,2}),? (\d{4}) ?", "Mdy"),  # java.util.logging, Cisco
        (_MONTH + rb" +(\d{1,2}) ", "Md"),  # RFC 3164, Apache
        (rb"(?<!\d)(20\d\d)(\d\d)(\d\d)[-T ]", "ymd"),
        (rb"(?<!\d)(\d\d)\.(\d\d)\.(\d{4}) ", "dmy"),
        (rb"\0[IWEFD](\d\d)(\d\d) ", "md"),  # Go's and C++'s glog
        (rb"\0(\d\d)-(\d\d) ", "md"),  # Android
        (rb"\0(\d\d)/(\d\d)/(\d\d) ", "ymd"),  # Hadoop, Spark
        (rb"\0(\d\d)(\d\d)(\d\d) ", "ymd"),  # older MySQL
    )
)
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Written:
    """A date as it stands: days since 1970 and its bytes."""

    day: int
    width: int
    has_year: bool = True
    access: bool = False  #: as in access logs: nothing else is written so


def read(before: bytes, today: date) -> Written | None:
    """The date that ends where a time of day begins; ``before`` starts with \\0 where the line does.

    A date without a year is the newest that is not beyond tomorrow.
    """
    for form, order in _FORMS:
        found = form.search(before)
        if found is not None:
            try:
                day = _day(dict(zip(order, found.groups(), strict=True)), today)
            except (ValueError, KeyError):
                return None
            width = len(found[0].lstrip(b"\0"))
            return Written((day - EPOCH).days, width, "y" in order, before[-1:] == b":")
    return None


def _day(said: dict[str, bytes], today: date) -> date:
    month, day = _MONTHS[said["M"].lower()] if "M" in said else int(said["m"]), int(said["d"])
    if "y" in said:
        year = int(said["y"])
        year = year if year >= 100 else 2000 + year
        if not 1990 <= year <= today.year + 1:
            raise ValueError("no year of a log")
        return date(year, month, day)
    for year in range(today.year + 1, today.year - 8, -1):  # a 29 February needs its year
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found <= today + timedelta(days=1):
            return found
    raise ValueError("no such day")


def offsets(hours: Sequence[int], zone: tzinfo | None, now: datetime) -> list[int]:
    """Seconds that each hour (of local time, since 1970) is ahead of UTC; ``zone`` None: this machine's.

    Of an hour that comes twice when clocks go back the first is meant, unless the second is hardly over.
    """
    return [_offset(hour, zone, now) for hour in hours]


def _offset(hour: int, zone: tzinfo | None, now: datetime) -> int:
    local = datetime(1970, 1, 1) + timedelta(hours=hour)  # noqa: DTZ001 - as a log writes it
    first, second = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    at = second if second > first and 0 <= now.timestamp() - second < 3660 else first
    return round(local.replace(tzinfo=UTC).timestamp() - at)
