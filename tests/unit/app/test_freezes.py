"""Freezes that were told, as remediation takes them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from support.rules import NOON, state_at

from watchkeeper.app.pipeline.freezes import freezes_now
from watchkeeper.model import Event, EventKind, EventStatus

HOUR = timedelta(hours=1)


def test_a_freeze_holds_until_its_end_or_until_it_is_called_off(tmp_path: Path) -> None:
    state = state_at(tmp_path / "state.db")

    def tell(title: str, start: timedelta, at: timedelta = timedelta(0), **more: object) -> None:
        told = Event(kind=EventKind.FREEZE, title=title, start=NOON + start, **more)  # type: ignore[arg-type]
        with state.begin() as unit:
            unit.events.add([told], at=NOON + at)

    tell("sales", -HOUR, end=NOON + HOUR, service="shop")
    tell("audit", -HOUR)
    tell("over", -2 * HOUR, end=NOON)
    tell("later", HOUR, status=EventStatus.PLANNED)

    def on() -> list[str]:
        with state.read() as unit:
            return sorted(one.reason for one in freezes_now(unit, NOON))

    assert on() == ["audit", "sales"]
    tell("audit", -HOUR, at=timedelta(seconds=1), status=EventStatus.CANCELLED)
    assert on() == ["sales"]
