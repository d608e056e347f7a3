"""Repositories over one transaction. ``with state.begin() as unit: unit.alerts.save(...)``."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Connection

from watchkeeper.store.state.repositories.actions import Actions
from watchkeeper.store.state.repositories.alerts import Alerts
from watchkeeper.store.state.repositories.audit import Audit
from watchkeeper.store.state.repositories.charges import Charges
from watchkeeper.store.state.repositories.documents import Documents
from watchkeeper.store.state.repositories.events import Events
from watchkeeper.store.state.repositories.feedback import Feedbacks
from watchkeeper.store.state.repositories.incidents import Incidents
from watchkeeper.store.state.repositories.kpis import Kpis
from watchkeeper.store.state.repositories.outbox import Outbox
from watchkeeper.store.state.repositories.people import People
from watchkeeper.store.state.repositories.persons import Persons
from watchkeeper.store.state.repositories.plans import Plans
from watchkeeper.store.state.repositories.transitions import Transition, Transitions

__all__ = ["Transition", "Unit"]


class Unit:
    """All repositories on one connection, hence in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def transitions(self) -> Transitions:
        return Transitions(self.connection)

    @cached_property
    def alerts(self) -> Alerts:
        return Alerts(self.connection)

    @cached_property
    def incidents(self) -> Incidents:
        return Incidents(self.connection)

    @cached_property
    def actions(self) -> Actions:
        return Actions(self.connection)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.connection)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.connection)

    @cached_property
    def documents(self) -> Documents:
        return Documents(self.connection)

    @cached_property
    def people(self) -> People:
        return People(self.connection)

    @cached_property
    def persons(self) -> Persons:
        return Persons(self.connection)

    @cached_property
    def kpis(self) -> Kpis:
        return Kpis(self.connection)

    @cached_property
    def charges(self) -> Charges:
        return Charges(self.connection)

    @cached_property
    def events(self) -> Events:
        return Events(self.connection)

    @cached_property
    def feedback(self) -> Feedbacks:
        return Feedbacks(self.connection)

    @cached_property
    def plans(self) -> Plans:
        return Plans(self.connection)
