"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from watchkeeper.config.types import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("7d", 604800), ("2w", 1209600), ("0", 0), (0, 0)],
)
def test_durations_are_read(text: object, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", [5, "5", "m", "5 m", "-5m", "5mm5", None, "1h 30m", ""])
def test_a_guess_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write a duration with its unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "1m30s"), (86400, "1d"), (0.25, "250ms"), (3661, "1h1m1s")]
)
def test_durations_are_written_in_their_shortest_exact_form(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
    assert seconds == 0 or parse_duration(text).total_seconds() == seconds
