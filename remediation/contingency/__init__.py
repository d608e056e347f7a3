"""Contingency plans: steps of people and of rules in order, a recovery clock, drills. No effects of its own."""

from .book import PlanError, begun, changed
from .load import PACKS, load, pack_paths
from .machine import Ask, Look, advance, begin
from .people import abort, mark, retry
from .turn import Move, Turn

__all__ = [
    "PACKS",
    "Ask",
    "Look",
    "Move",
    "PlanError",
    "Turn",
    "abort",
    "advance",
    "begin",
    "begun",
    "changed",
    "load",
    "mark",
    "pack_paths",
    "retry",
]
