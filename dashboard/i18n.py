"""Texts, numbers and times as the reader writes them. Light: reports use it without any web framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from math import floor, log10
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_datetime, format_time
from babel.numbers import format_decimal, format_percent

from watchkeeper.reasons import gate_name, told
from watchkeeper.wording import in_language, title_of

LOCALES = Path(__file__).parent / "locales"
#: Language of ours -> Babel's name for it.
LANGUAGES = {"zh-CN": "zh_Hans_CN", "en": "en"}
#: Shown where a number is not known; never 0.
UNKNOWN = "—"
#: Numbers below this are written with an exponent.
TINY = 1e-4
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DAY = 86_400.0


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every text of one language."""
    found: dict[str, str] = json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8"))
    return found


@cache
@cache
def _locale(language: str) -> Locale:
    return Locale.parse(LANGUAGES[language])


def known_language(language: str, fallback: str = "en") -> str:
    return language if language in LANGUAGES else fallback


def preferred_language(accept: str, fallback: str) -> str:
    """The first language of an Accept-Language header that we speak."""
    for part in accept.split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return fallback


def zone_of(name: str) -> ZoneInfo:
    """The named zone, UTC when there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@dataclass(frozen=True)
class Words:
    """One reader's language and time zone."""

    language: str
    zone: ZoneInfo

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key``; a key without text is a mistake in the code and raises KeyError."""
        text = catalogue(self.language)[key]
        return text.format_map(values) if values else text

    def word(self, group: str, value: object) -> str:
        """The text of one of the engine's fixed words; a word we do not know yet is shown as it came."""
        return catalogue(self.language).get(f"{group}.{value}", str(value))

    def why(self, reason: str) -> str:
        """What the engine gave as a reason, in the reader's words; a person's own words stay."""
        return told(reason, self.language, self.zone)

    def gate(self, gate: str) -> str:
        return gate_name(gate, self.language)

    def title(self, incident: Mapping[str, Any]) -> str:
        """An incident's title in the reader's language where its rule has one."""
        return title_of(incident["title"], incident["details"], self.language)

    def annotation(self, alert: Mapping[str, Any], name: str) -> str:
        """An alert's ``summary``, ``description`` or ``action``, likewise."""
        return in_language(alert["annotations"], name, self.language)

    # --- numbers -----------------------------------------------------------------------------------------------------

    def number(self, value: float | None, digits: int = 2) -> str:
        if value is None:
            return UNKNOWN
        if value and abs(value) < 10**-digits:
            return f"{value:.1e}" if abs(value) < TINY else f"{value:.{1 - floor(log10(abs(value)))}f}"
        return str(format_decimal(value, format="#,##0" + ("." + "#" * digits if digits else ""), locale=self._babel))

    def ratio(self, value: float | None, digits: int = 1) -> str:
        if value is None:
            return UNKNOWN
        return str(format_percent(value, format="#,##0." + "#" * digits + "%", locale=self._babel))

    def bytes(self, value: float | None) -> str:
        if value is None:
            return UNKNOWN
        size, index = float(value) if abs(value) >= 0.05 else 0.0, 0
        while abs(size) >= 1024 and index < len(_BINARY) - 1:
            size, index = size / 1024, index + 1
        return f"{self.number(size, 0 if abs(size) >= 100 else 1)} {_BINARY[index]}"

    def seconds(self, value: float | None) -> str:
        """A short duration: 250 ms, 3.2 s, 5 min, 2 h, 4 d."""
        if value is None:
            return UNKNOWN
        size = abs(value)
        for length, key in ((_DAY, "d"), (3600.0, "h"), (60.0, "min")):
            if size >= length and size % length == 0:  # a round length is said in its largest unit
                return self(f"unit.{key}", value=self.number(value / length, 0))
        for limit, divisor, key in (
            (1.0, 0.001, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (2 * _DAY, 3600.0, "h"),
        ):  # fmt: skip
            if size < limit:
                return self(f"unit.{key}", value=self.number(value / divisor, 1 if size < 10 * divisor else 0))
        return self("unit.d", value=self.number(value / _DAY, 1 if size < 10 * _DAY else 0))

    def quantity(self, value: float | None, unit: str) -> str:
        """A value in the unit the engine names."""
        if unit == "ratio":
            return self.ratio(value)
        if unit == "bytes":
            return self.bytes(value)
        if unit == "bytes_per_second":
            return UNKNOWN if value is None else self("unit.per_second", value=self.bytes(value))
        if unit == "seconds":
            return self.seconds(value)
        return self.number(value)

    # --- times -------------------------------------------------------------------------------------------------------

    def local(self, at: str | datetime | None) -> datetime | None:
        """A moment on the reader's wall clock."""
        if not at:
            return None
        moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(self.zone)

    def moment(self, at: str | datetime | None) -> str:
        """Date and time to the second."""
        found = self.local(at)
        pattern = "yyyy-MM-dd HH:mm:ss"
        return UNKNOWN if found is None else str(format_datetime(found, pattern, tzinfo=self.zone, locale=self._babel))

    def clock(self, at: str | datetime | None) -> str:
        """Time of day to the second."""
        found = self.local(at)
        return UNKNOWN if found is None else str(format_time(found, "HH:mm:ss", tzinfo=self.zone, locale=self._babel))

    def day(self, at: str | datetime | None) -> str:
        found = self.local(at)
        return UNKNOWN if found is None else found.strftime("%Y-%m-%d")

    def ago(self, seconds: float | None) -> str:
        return UNKNOWN if seconds is None else self("ago", value=self.seconds(max(seconds, 0.0)))

    @property
    def _babel(self) -> Locale:
        return _locale(self.language)
