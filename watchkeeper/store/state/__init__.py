"""State: alerts, incidents, actions, messages, people and the audit, on SQLite or PostgreSQL."""

from watchkeeper.store.state.database import State, sqlite_url
from watchkeeper.store.state.repositories import Transition, Unit
from watchkeeper.store.state.repositories.actions import Declaration, IntentRow
from watchkeeper.store.state.repositories.alerts import AlertWrite
from watchkeeper.store.state.repositories.audit import AuditRow
from watchkeeper.store.state.repositories.audit import Wanted as AuditWanted
from watchkeeper.store.state.repositories.charges import CostFile
from watchkeeper.store.state.repositories.incidents import IncidentWrite
from watchkeeper.store.state.repositories.kpis import KpiForecast, KpiValue
from watchkeeper.store.state.repositories.outbox import Delivery

__all__ = [
    "AlertWrite",
    "AuditRow",
    "AuditWanted",
    "CostFile",
    "Declaration",
    "Delivery",
    "IncidentWrite",
    "IntentRow",
    "KpiForecast",
    "KpiValue",
    "State",
    "Transition",
    "Unit",
    "sqlite_url",
]
