"""Kinds of AccessError, so that the API can tell 401 (plain AccessError) from 400, 403, 404, 422 and 429."""

from __future__ import annotations

from watchkeeper.errors import AccessError


class ForbiddenError(AccessError):
    """Signed in, but not allowed."""


class WeakPasswordError(AccessError):
    """The password, or the name, does not fit the rules; the message says which."""


class UnknownUserError(AccessError):
    """The request names a user or a token that is not there; who asks is known."""


class UnknownRoleError(AccessError):
    """The request names a role that is not one."""


class LockedOutError(AccessError):
    """Too many failed tries of this account from this source; ``retry_after`` in seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many failed tries; try again in {retry_after:.0f} s")
