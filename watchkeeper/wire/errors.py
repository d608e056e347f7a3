"""What is wrong with bytes from outside."""

from __future__ import annotations

from watchkeeper.errors import WatchkeeperError


class WireError(WatchkeeperError):
    """A body that cannot be read. ``reason`` is one bounded word, fit for a metric label."""

    def __init__(self, message: str, *, reason: str = "malformed") -> None:
        self.reason = reason
        super().__init__(message)


class TooLargeError(WireError):
    """A body that is, or says it will be, larger than is taken in."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="too_large")
