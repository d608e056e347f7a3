"""The process that may change things, and the engine's way to it."""

from __future__ import annotations

from .client import SocketClient
from .core import Actuator
from .journal import Journal
from .peer import separation
from .server import serve

__all__ = ["Actuator", "Journal", "SocketClient", "separation", "serve"]
