"""Who may do what: users, sessions, tokens and one guard for API and pages."""

from watchkeeper.access.errors import ForbiddenError, LockedOutError, WeakPasswordError
from watchkeeper.access.guard import authenticate, require, require_csrf, require_recent_password
from watchkeeper.access.roles import PERMISSIONS, Permission, Principal, Role

__all__ = [
    "PERMISSIONS",
    "ForbiddenError",
    "LockedOutError",
    "Permission",
    "Principal",
    "Role",
    "WeakPasswordError",
    "authenticate",
    "require",
    "require_csrf",
    "require_recent_password",
]
