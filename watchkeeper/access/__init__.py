"""Users, sessions, tokens and roles: one guard for the API and, through it, for the dashboard."""

from watchkeeper.access.guard import authenticate
from watchkeeper.access.lockout import LockedError
from watchkeeper.access.roles import ROLES, Permission, Principal, allows
from watchkeeper.access.sessions import login, logout, session_principal
from watchkeeper.access.setup import new_setup_secret, setup_needed, use_setup_secret
from watchkeeper.access.tokens import new_token
from watchkeeper.access.users import change_user, create_user, set_preferences

__all__ = [
    "ROLES",
    "LockedError",
    "Permission",
    "Principal",
    "allows",
    "authenticate",
    "change_user",
    "create_user",
    "login",
    "logout",
    "new_setup_secret",
    "new_token",
    "session_principal",
    "set_preferences",
    "setup_needed",
    "use_setup_secret",
]
