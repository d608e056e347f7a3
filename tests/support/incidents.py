"""Alerts in rows and incidents stepped by hand over a real state database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from support.rules import NOON, state_at

from incidents import Change, Ledger, Settings, read_ledger, step
from watchkeeper.model import Alert, AlertState, Incident, Severity


class Desk:
    """A manual clock, a database and one step at a time."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path, self.settings, self.now = path, settings or Settings(), NOON
        self.state = state_at(path)

    def restart(self) -> None:
        self.state.close()
        self.state = state_at(self.path)

    def fire(self, name: str, severity: Severity = Severity.P1, **labels: str) -> str:
        """A firing alert as a row; answers its id."""
        with self.state.begin() as unit:
            alert = Alert(
                id=unit.alerts.new_id(),
                fingerprint=name,
                rule=name,
                group="g",
                expr="up == 0",
                labels={"alertname": name, "service": "checkout", **labels},
                annotations={"summary": f"{name} 触发", "summary_en": f"{name} fires"},
                state=AlertState.FIRING,
                severity=severity,
                value=1.0,
                active_at=self.now,
                fired_at=self.now,
                last_evaluated_at=self.now,
                correlation_id=f"corr-{name}",
            )
            unit.alerts.save(alert, reason="condition_held", at=self.now)
        return alert.id

    def become(self, alert_id: str, state: AlertState) -> None:
        with self.state.begin() as unit:
            alert = unit.alerts.get(alert_id)
            assert alert is not None
            ended = self.now if state is AlertState.RESOLVED else None
            unit.alerts.save(replace(alert, state=state, resolved_at=ended), reason="test", at=self.now)

    def clear(self, alert_id: str) -> None:
        self.become(alert_id, AlertState.RESOLVED)

    def step(self, after: float = 0) -> list[Change]:
        self.now += timedelta(seconds=after)
        with self.state.begin() as unit:
            return step(self.now, unit, self.settings)

    def told(self, after: float = 0) -> list[tuple[str, str]]:
        return [(change.kind, change.reason) for change in self.step(after)]

    def incidents(self) -> list[Incident]:
        with self.state.read() as unit:
            return unit.incidents.recent(NOON - timedelta(days=1))

    def ledger(self) -> Ledger:
        with self.state.read() as unit:
            return read_ledger(unit)

    def later(self, **by: float) -> datetime:
        return self.now + timedelta(**by)
