"""Tell: what was decided becomes messages in the outbox, and messages become deliveries. Fails open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from incidents.correlate import Change as IncidentChange
from incidents.routing import Route, channels
from remediation.change import Change as ActionChange

from watchkeeper.store.state import State, Unit
from watchkeeper.clock import Clock
from watchkeeper.outbound import Outbound
from watchkeeper.config import Loaded


class Telling:
    """placeholder"""

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url

    @classmethod
    def of(cls, loaded: Loaded, *, state: State, clock: Clock, outbound: Outbound, routes: Sequence[Route]) -> Telling:
        return cls("http://x")

    @classmethod
    def channels_of(cls, loaded): ...
    def about_incidents(self, at, unit, changes):
        return 0

    def about_actions(self, at, unit, changes):
        return 0

    def wake(self): ...
    async def start(self, now): ...
    async def deliver(self, now): ...
    async def digest(self, now, figures): ...
    def channels_view(self):
        return []
