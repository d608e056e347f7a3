"""Who may press what. The engine decides again; this only keeps buttons and callbacks honest."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What a callback needs before it runs."""

    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    APPROVE = "approve_reversible"
    APPROVE_RISKY = "approve_risky"
    KILL_SWITCH_SET = "kill_switch_set"
    KILL_SWITCH_CLEAR = "kill_switch_clear"
    REPORT = "report"
    MANAGE_USERS = "manage_users"


_VIEWER = frozenset({Permission.READ})
_OPERATOR = _VIEWER | {
    Permission.ACKNOWLEDGE,
    Permission.APPROVE,
    Permission.KILL_SWITCH_SET,
    Permission.REPORT,
}
ROLES = {"viewer": _VIEWER, "writer": _VIEWER, "operator": _OPERATOR, "admin": frozenset(Permission)}


def allows(role: str, permission: Permission) -> bool:
    """A role nobody knows may do nothing."""
    return permission in ROLES.get(role, frozenset())
