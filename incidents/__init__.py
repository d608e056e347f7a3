"""Incidents: many alerts, few incidents, the right people, two clocks. Resolve is never lost."""

from .correlate import step
from .ledger import Ledger, read_ledger
from .lifecycle import IncidentError, acknowledge, mitigate, start_work
from .routing import Route, channels, route
from .settings import Settings
from .telling import Change

__all__ = [
    "Change",
    "IncidentError",
    "Ledger",
    "Route",
    "Settings",
    "acknowledge",
    "channels",
    "mitigate",
    "read_ledger",
    "route",
    "start_work",
    "step",
]
