"""Collectors: each reads one source and answers ticks, log lines and its own ledger."""

from typing import Any

from .host import Host
from .openmetrics import Openmetrics

#: Kind -> class. The kind is the word in ``watchkeeper.yaml`` and the first part of ``Tick.target``.
BUILTIN: dict[str, type[Any]] = {
    "host": Host,
    "openmetrics": Openmetrics,
}

__all__ = ["BUILTIN"]
