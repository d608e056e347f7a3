"""Public holidays and make-up workdays by country and year; configuration adds to them or replaces them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta


def _days(first: tuple[int, int], last: tuple[int, int], year: int) -> Iterator[date]:
    day, end = date(year, *first), date(year, *last)
    while day <= end:
        yield day
        day += timedelta(days=1)


#: Mainland China, as the State Council announced them: ((first, last) of each holiday, make-up workdays).
#: A year that is not here has plain weekdays until its announcement is added to the configuration.
_CHINA = {
    2026: (
        (((1, 1), (1, 3)), ((2, 15), (2, 23)), ((4, 4), (4, 6)), ((5, 1), (5, 5)), ((6, 19), (6, 21)),
         ((9, 25), (9, 27)), ((10, 1), (10, 7))),
        ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)),
    ),
}  # fmt: skip

HOLIDAYS = {
    "CN": frozenset(
        day for year, (spans, _) in _CHINA.items() for first, last in spans for day in _days(first, last, year)
    ),
    "": frozenset[date](),
}
WORKDAYS = {
    "CN": frozenset(date(year, *day) for year, (_, days) in _CHINA.items() for day in days),
    "": frozenset[date](),
}
