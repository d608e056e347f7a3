"""Key figures kept by people in a CSV file, as Excel saves it: comma, semicolon or tab, UTF-8 or GBK."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from watchkeeper.errors import CollectError

from .kpi_points import Clockwork, Point, number

#: Larger files are no list of figures.
MOST_BYTES = 16 << 20
#: Tried in turn. GB 18030 takes in nearly any bytes, so it comes last.
ENCODINGS = ("utf-8-sig", "gb18030")


def read_csv(
    path: Path, *, time: str = "date", value: str = "value", clockwork: Clockwork, minor_units: int = 0
) -> list[Point]:
    """Every row that has a value. Raises CollectError with the line of the first mistake."""
    rows = csv.reader(io.StringIO(_text(path), newline=""), _dialect(_text(path)))
    head = [name.strip() for name in next(rows, [])]
    missing = [name for name in (time, value) if name not in head]
    if missing:
        raise CollectError(f"{path.name}: no column {', '.join(missing)} in the first line", reason="columns")
    at, what = head.index(time), head.index(value)
    found: list[Point] = []
    for line, row in enumerate(rows, start=2):
        try:
            if len(row) > max(at, what) and (figure := number(row[what].strip(), minor_units)) is not None:
                found.append((clockwork.moment(row[at]), figure))
        except CollectError as error:
            raise CollectError(f"{path.name}:{line}: {error}", reason=error.reason) from None
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CollectError(f"{path.name} is larger than {MOST_BYTES >> 20} MiB", reason="too_large")
        raw = path.read_bytes()
    except OSError as error:
        raise CollectError(f"{path} cannot be read: {error.strerror}", reason="file") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    for encoding in ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CollectError(f"{path.name} is neither UTF-8 nor GB 18030", reason="encoding")


def _dialect(text: str) -> type[csv.Dialect]:
    """By the separator that the first line has most of."""
    first = text.split("\n", 1)[0]

    class Found(csv.excel):
        delimiter = max((",", ";", "\t"), key=first.count)

    return Found
