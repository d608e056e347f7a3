"""What every bill needs read: text in the encodings people save, exact amounts, days, and rows that are wrong."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from watchkeeper.errors import CollectError

#: Larger bills are read in parts by whoever exports them.
MOST_BYTES = 512 << 20
#: Texts that mean "nothing".
NOTHING = frozenset({"", "null", "none", "nan", "n/a", "-", "--", "—"})
#: Words around an amount that say its currency, and nothing else.
SIGNS = {"¥": "CNY", "￥": "CNY", "元": "CNY", "人民币": "CNY", "RMB": "CNY", "US$": "USD", "$": "USD", "€": "EUR"}
#: Thousands are grouped by comma, the point is the decimal one; anything else is not guessed at.
NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
#: Amounts beyond this are mistakes of an export, not bills.
MOST_DIGITS = 28
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日")
MONTHS = ("%Y-%m", "%Y/%m", "%Y%m", "%Y.%m", "%Y年%m月")
CLOCKS = ("%H:%M:%S", "%H:%M")


class RowError(Exception):
    """A cell that does not say what it should; the row is counted and left out."""

    def __init__(self, column: str, reason: str, detail: str) -> None:
        self.column, self.reason, self.detail = column, reason, detail
        super().__init__(detail)


def read_text(path: Path, raw: bytes, encoding: str = "") -> str:
    """The bill as text. UTF-8 with or without its mark, UTF-16 with it, else GB 18030, which takes in GBK."""
    if path.suffix == ".gz":
        raw = _unpacked(path, raw)
    if encoding:
        tried = [encoding if encoding != "utf-8" else "utf-8-sig"]
    elif raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        tried = ["utf-16"]
    else:
        tried = ["utf-8-sig", "gb18030"]
    for name in tried:
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    raise CollectError(f"{path.name} is not {' or '.join(tried)}; save it as UTF-8", reason="encoding")


def _unpacked(path: Path, raw: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            found = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CollectError(f"{path.name} is no whole gzip file: {error}", reason="gzip") from None
    if len(found) > MOST_BYTES:
        raise CollectError(f"{path.name} unpacks to more than {MOST_BYTES >> 20} MiB", reason="too_large")
    return found


def rows(path: Path, text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The head, and each further row that is not empty with the number of its last line."""
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max((",", ";", "\t"), key=first.count))
    try:
        head = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise CollectError(f"{path.name}:1: {error}", reason="csv") from None

    def further() -> Iterator[tuple[int, list[str]]]:
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise CollectError(f"{path.name}:{reader.line_num}: {error}", reason="csv") from None

    return head, further()


def known(text: str) -> str:
    """The text, empty when it means nothing."""
    stripped = text.strip()
    return "" if stripped.lower() in NOTHING else stripped


def money(text: str, column: str) -> tuple[Decimal, str]:
    """An exact amount and the currency its signs name, empty for none. ``(1,234.50)`` is negative, as books write."""
    left, currency = text.strip().replace("\u2212", "-").replace(" ", "").replace("\u00a0", ""), ""
    negative = left.startswith(("(", "（")) and left.endswith((")", "）"))
    left = left[1:-1] if negative else left
    for sign, name in SIGNS.items():
        if sign in left:
            if currency and currency != name:
                raise RowError(column, "currency", f"{text.strip()!r} names two currencies")
            left, currency = left.replace(sign, "", 1), name
    if not NUMBER.fullmatch(left) or not any(each.isdigit() for each in left):
        raise RowError(column, "amount", f"{text.strip()[:60]!r} is no amount; write 1234.56 or 1,234.56")
    return bounded(Decimal(left.replace(",", "")), text, column) * (-1 if negative else 1), currency


def bounded(value: Decimal, text: str, column: str) -> Decimal:
    """The value, unless it has more digits than money has."""
    sign, digits, exponent = value.as_tuple()
    del sign
    if not isinstance(exponent, int) or len(digits) > MOST_DIGITS or abs(exponent) > MOST_DIGITS:
        raise RowError(column, "amount", f"{text.strip()[:60]!r} has more digits than money has")
    return value


def quantity(text: str) -> Decimal | None:
    """How much of it, None where the bill says nothing that can be counted."""
    try:
        found = Decimal(known(text).replace(",", ""))
    except InvalidOperation:
        return None
    sign, digits, exponent = found.as_tuple()
    del sign
    fine = isinstance(exponent, int) and len(digits) <= MOST_DIGITS and abs(exponent) <= MOST_DIGITS
    return found if fine else None


def span(text: str, column: str) -> tuple[datetime, datetime]:
    """The moment, day or month that is written, and its end."""
    found = text.strip().replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    for form in DAYS:
        for clock in CLOCKS:
            moment = _parsed(found.split(".")[0] if ":" in found else found, f"{form} {clock}")
            if moment is not None:
                return moment, moment
        day = _parsed(found, form)
        if day is not None:
            return day, day + timedelta(days=1)
    for form in MONTHS:
        month = _parsed(found, form)
        if month is not None:
            return month, (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    raise RowError(column, "time", f"{text.strip()[:60]!r} is no day or month; write 2026-03-01 or 2026-03")


def _parsed(text: str, form: str) -> datetime | None:
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007 - a bill's own wall clock
    except ValueError:
        return None
    return found if 1990 <= found.year <= 2200 else None
