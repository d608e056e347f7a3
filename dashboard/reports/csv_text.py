"""CSV that a spreadsheet opens as data, never as formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

#: Spaces, seen and unseen, that may stand before a formula.
UNSEEN = " \u00a0\u2002\u2003\u2009\u3000\u200b\u200c\u200d\u2060\ufeff\x00"
#: What spreadsheets of some countries take for the next cell, and a formula in it.
NEXT_CELL = re.compile(r"([;\t]\s{0,8})(?=[=+\-@|%＝＋－＠])")
#: A cell that starts so is run as a formula by spreadsheets.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def cell(value: object) -> str:
    """Numbers as they are, unknown as nothing, text that looks like a formula behind an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | Decimal):
        return str(value)
    text = NEXT_CELL.sub(r"\1'", str(value))
    return f"'{text}" if text.lstrip(UNSEEN).startswith(FORMULA) else text


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 with a byte-order mark, without which Excel reads Chinese as mojibake; CRLF as RFC 4180 says."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([cell(name) for name in head])
    writer.writerows([cell(value) for value in row] for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
