"""State: alerts, incidents, actions, messages, people and the audit, on SQLite or PostgreSQL."""

from watchkeeper.store.state.database import State, sqlite_url
from watchkeeper.store.state.repositories import Transition, Unit
from watchkeeper.store.state.repositories.actions import Declaration, IntentRow
from watchkeeper.store.state.repositories.outbox import Delivery

__all__ = ["Declaration", "Delivery", "IntentRow", "State", "Transition", "Unit", "sqlite_url"]
