"""Who behaves otherwise than usual: baselines of users, addresses, machines and services, and a risk from 0 to 100."""

from __future__ import annotations

from .act import KINDS, Act, Kind, Place, network
from .entity import Entity
from .kept import restored, state
from .risk import HALF_LIFE, Reason
from .watch import Entities, Standing

__all__ = [
    "HALF_LIFE", "KINDS", "Act", "Entities", "Entity", "Kind", "Place", "Reason", "Standing", "network", "restored",
    "state",
]  # fmt: skip
