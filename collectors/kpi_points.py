"""Numbers and moments as people and other systems write them, for the readers of key figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

from watchkeeper.errors import CollectError

TimeFormat = Literal["datetime", "epoch", "epoch_ms"]
#: A reading and when it was true.
Point = tuple[datetime, Decimal]

#: 2026-03-01, 2026/3/1, 2026.3.1, 2026年3月1日, 20260301, with or without a time of day behind.
#: Digits of a number, before the point and in all: an exponent could ask for gigabytes of zeros.
MOST_DIGITS = 60
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?)?月?(?:[ T](.+))?")
_NOISE = re.compile(r"[\s_¥￥$€£]|CNY|RMB|元")
#: Commas between thousands. Elsewhere a comma could as well be a decimal point, and guessing is a factor of 100.
_GROUPED = re.compile(r"[-+]?\d{1,3}([,，']\d{3})+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    """How a source writes times. ``zone`` is for times that name none, ``calendar`` for days without a time."""

    form: TimeFormat
    zone: ZoneInfo
    calendar: ZoneInfo

    def moment(self, raw: Any) -> datetime:
        """Aware UTC. Raises CollectError with what could not be read."""
        if isinstance(raw, datetime):
            return (raw if raw.tzinfo else raw.replace(tzinfo=self.zone)).astimezone(UTC)
        if isinstance(raw, date):
            return datetime.combine(raw, time(), self.calendar).astimezone(UTC)
        try:
            return self._epoch(raw) if self.form != "datetime" else self._text(str(raw).strip())
        except (ValueError, OverflowError, OSError, InvalidOperation):
            raise CollectError(f"{str(raw)[:60]!r} is no time of the form {self.form}", reason="time") from None

    def _epoch(self, raw: Any) -> datetime:
        return datetime.fromtimestamp(float(Decimal(str(raw)) / (1000 if self.form == "epoch_ms" else 1)), UTC)

    def _text(self, text: str) -> datetime:
        found = _DATE.fullmatch(text)
        if found is None:
            return self.moment(datetime.fromisoformat(text)) if len(text) > 8 else self.moment(date.fromisoformat(text))
        year, month, day, rest = found.groups()
        if rest is None:
            return self.moment(date(int(year), int(month), int(day or 1)))
        return self.moment(datetime.fromisoformat(f"{int(year):04}-{int(month):02}-{int(day or 1):02}T{rest}"))


def number(raw: Any, minor_units: int = 0) -> Decimal | None:
    """Exactly the number written; None for nothing. 1,234.50 and ¥1,234.50 and 98 % are numbers too.

    ``minor_units``: the source counts in the smallest coin, and so many digits go behind the point.
    """
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool):
        return Decimal(int(raw))
    text = _NOISE.sub("", str(raw))
    share, text = text.endswith(("%", "％")), text.rstrip("%％")
    try:
        value = Decimal(re.sub("[,，']", "", text) if _GROUPED.fullmatch(text) else text)
    except InvalidOperation:
        raise CollectError(f"{str(raw)[:60]!r} is no number", reason="type") from None
    if not value.is_finite():
        return None
    if abs(value.adjusted()) > MOST_DIGITS or len(value.as_tuple().digits) > MOST_DIGITS:
        raise CollectError(f"{str(raw)[:60]!r} has more digits than figures have", reason="type")
    return value.scaleb(-2 if share else -minor_units)
