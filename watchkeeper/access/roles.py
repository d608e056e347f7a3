"""Who may what: three roles, and a permission for everything that is not just reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    KILL_SWITCH_SET = "kill_switch_set"
    KILL_SWITCH_CLEAR = "kill_switch_clear"
    APPROVE_REVERSIBLE = "approve_reversible"  #: actions of class A1 and A2
    APPROVE_RISKY = "approve_risky"  #: actions of class A3 and A4
    REPORT = "report"
    NOTIFY_TEST = "notify_test"
    MANAGE_USERS = "manage_users"
    MANAGE_RULES = "manage_rules"


_VIEWER = frozenset({Permission.READ})
_OPERATOR = _VIEWER | {
    Permission.ACKNOWLEDGE,
    Permission.SILENCE,
    Permission.KILL_SWITCH_SET,
    Permission.APPROVE_REVERSIBLE,
    Permission.REPORT,
    Permission.NOTIFY_TEST,
}

#: Role -> what it may do. Anything not named here is refused.
ROLES = MappingProxyType({"viewer": _VIEWER, "operator": _OPERATOR, "admin": frozenset(Permission)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who has proved who they are. ``csrf`` is set for browser sessions only."""

    name: str
    role: str
    via: str  #: session | token
    csrf: str = ""
    authenticated_at: datetime | None = None  #: when a password was last typed; None for tokens


def allows(principal: Principal, permission: Permission) -> bool:
    """True when the role has the permission; unknown roles have none."""
    return permission in ROLES.get(principal.role, frozenset())
