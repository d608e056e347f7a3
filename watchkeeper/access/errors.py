"""Kinds of AccessError, so that the API can tell 401 (plain AccessError) from 400, 403 and 429."""

from __future__ import annotations

from watchkeeper.errors import AccessError


class ForbiddenError(AccessError):
    """Signed in, but not allowed."""


class WeakPasswordError(AccessError):
    """The password, or the name, does not fit the rules; the message says which."""


class LockedOutError(AccessError):
    """Too many failed tries of this account from this source; ``retry_after`` in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many failed tries; try again in {retry_after:.0f} s")
