"""The tree of expected errors.

WatchkeeperError
├── ConfigError        a file, key or value the user can mend; names place and remedy
├── CollectError       a source could not be read; ``reason`` is a bounded word for counters
├── StoreError         samples or state could not be kept or read
│   ├── RejectedError  samples refused by a rule or limit; ``reason`` is counted
│   ├── StoreFullError no space left: nothing was acknowledged
│   └── LeaseLostError another engine acts now: nothing was written
├── QueryError         PromQL that is wrong, too large or too slow; ``kind`` as Prometheus names it
├── DeliveryError      a message was not accepted; ``permanent`` says whether trying again can help
├── ActionError        an action could not be planned, done, verified or rolled back
├── AccessError        not signed in, or not allowed
└── OutboundError      an outbound request was refused, failed or broke a limit
"""

from __future__ import annotations

from typing import Literal


class WatchkeeperError(Exception):
    """Anything Watchkeeper expects to go wrong."""


class ConfigError(WatchkeeperError):
    """A mistake in a file the user owns, with the place and the remedy."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None, key: str = "") -> None:
        self.message, self.file, self.line, self.key = message, file, line, key
        place = f"{file}:{line}" if file and line else (file or "")
        super().__init__(": ".join(part for part in (place, key, message) if part))


class CollectError(WatchkeeperError):
    """A source could not be read. ``reason`` is one bounded word, fit for a metric label."""

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class StoreError(WatchkeeperError):
    """Samples or state could not be kept or read."""


class RejectedError(StoreError):
    """Samples refused by a rule or a limit. ``reason`` is counted."""

    def __init__(self, message: str, *, reason: str, samples: int) -> None:
        self.reason, self.samples = reason, samples
        super().__init__(message)


class StoreFullError(StoreError):
    """No space left on the device: nothing of this write was acknowledged."""


class LeaseLostError(StoreError):
    """Another engine holds the lease: this one's writes are refused."""


class QueryError(WatchkeeperError):
    """PromQL that cannot be answered; ``kind`` is Prometheus's errorType."""

    def __init__(
        self, message: str, *, kind: Literal["bad_data", "execution", "timeout", "canceled"] = "bad_data"
    ) -> None:
        self.kind = kind
        super().__init__(message)


class DeliveryError(WatchkeeperError):
    """A message was not accepted. ``permanent``: trying again cannot help. ``retry_after`` in seconds."""

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: float | None = None, code: str = ""
    ) -> None:
        self.permanent, self.retry_after, self.code = permanent, retry_after, code
        super().__init__(message)


class ActionError(WatchkeeperError):
    """An action could not be planned, executed, verified or rolled back.

    ``unknown``: the effect may or may not have happened; read the target before anything else.
    """

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        self.unknown = unknown
        super().__init__(message)


class AccessError(WatchkeeperError):
    """Not signed in, or signed in without the permission asked for."""


class OutboundError(WatchkeeperError):
    """An outbound request failed. ``reason``: refused_address, redirect, too_large, timeout, connect, protocol, tls."""

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)
