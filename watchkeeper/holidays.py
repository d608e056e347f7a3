"""Public holidays and make-up workdays by country.

China's of the shipped years are ours, as announced; all others, and China's other years, are those of the library
``holidays`` (its word for a country: DE, or DE-BE with a part of it).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any


def _days(first: tuple[int, int], last: tuple[int, int], year: int) -> Iterator[date]:
    day, end = date(year, *first), date(year, *last)
    while day <= end:
        yield day
        day += timedelta(days=1)


#: Mainland China, as the State Council announced them: ((first, last) of each holiday, make-up workdays).
_CHINA = {
    2026: (
        (((1, 1), (1, 3)), ((2, 15), (2, 23)), ((4, 4), (4, 6)), ((5, 1), (5, 5)), ((6, 19), (6, 21)),
         ((9, 25), (9, 27)), ((10, 1), (10, 7))),
        ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)),
    ),
}  # fmt: skip

_HOLIDAYS = frozenset(day for year, (spans, _) in _CHINA.items() for span in spans for day in _days(*span, year))
_WORKDAYS = frozenset(date(year, *day) for year, (_, days) in _CHINA.items() for day in days)


def checked_country(name: str) -> str:
    """The name itself; ValueError when nobody knows its holidays. Empty: no holidays."""
    if name and name != "CN":
        _of(name)
    return name


def is_holiday(day: date, country: str) -> bool:
    """Whether the country does not work although the weekday is one of work."""
    if not country:
        return False
    if country == "CN" and day.year in _CHINA:
        return day in _HOLIDAYS
    return day in _of(country)


def is_made_up(day: date, country: str) -> bool:
    """Whether the country works on this day although it is a weekend's."""
    if not country:
        return False
    if country == "CN" and day.year in _CHINA:
        return day in _WORKDAYS
    found = _of(country)
    return day not in found and day in found.weekend_workdays


@lru_cache(maxsize=32)
def _of(country: str) -> Any:
    """The library's calendar, which fills in years as they are asked for; a third of a second to import."""
    import holidays

    name, _, part = country.partition("-")
    try:
        return holidays.country_holidays(name, subdiv=part or None)
    except NotImplementedError as error:
        raise ValueError(f"{country!r} has no known holidays; write a country like CN, DE or US-CA: {error}") from None
