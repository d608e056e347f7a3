"""Clocks: injected, aware, and never backwards by accident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.clock import ManualClock, SystemClock, from_ms, to_ms

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(NOON)
    assert (clock.now(), clock.monotonic()) == (NOON, 0.0)
    clock.advance(timedelta(seconds=90))
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(seconds=90), 90.0)


def test_a_wall_clock_jump_leaves_the_monotonic_clock_alone() -> None:
    clock = ManualClock(NOON)
    clock.jump(timedelta(hours=-24))
    assert clock.now() == NOON - timedelta(hours=24)
    assert clock.monotonic() == 0.0


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        ManualClock(NOON).advance(-1)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


def test_the_system_clock_is_utc_and_monotonic() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= first


@pytest.mark.parametrize("ms", [0, 1, 1_700_000_000_123, 4_102_444_800_999])
def test_milliseconds_survive_the_round_trip(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
