"""Roles and what they allow. What is not listed is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from watchkeeper.access.errors import UnknownRoleError


class Role(StrEnum):
    VIEWER = "viewer"
    WRITER = "writer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Permission(StrEnum):
    READ = "read"
    WRITE_SAMPLES = "write_samples"  #: remote write and its like
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    KILL_SWITCH_SET = "kill_switch_set"
    KILL_SWITCH_CLEAR = "kill_switch_clear"
    APPROVE_REVERSIBLE = "approve_reversible"  #: classes A1 and A2
    APPROVE_RISKY = "approve_risky"  #: classes A3 and A4
    REPORT = "report"
    NOTIFY_TEST = "notify_test"
    TEST_RULES = "test_rules"  #: back-tests: they change nothing, but cost the engine work
    MANAGE_USERS = "manage_users"
    MANAGE_RULES = "manage_rules"


_VIEWER = frozenset({Permission.READ})
_WRITER = _VIEWER | {Permission.WRITE_SAMPLES}
_OPERATOR = _WRITER | {
    Permission.ACKNOWLEDGE,
    Permission.SILENCE,
    Permission.KILL_SWITCH_SET,
    Permission.APPROVE_REVERSIBLE,
    Permission.REPORT,
    Permission.NOTIFY_TEST,
    Permission.TEST_RULES,
}
_ADMIN = _OPERATOR | {
    Permission.KILL_SWITCH_CLEAR,
    Permission.APPROVE_RISKY,
    Permission.MANAGE_USERS,
    Permission.MANAGE_RULES,
}
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.WRITER: _WRITER,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: _ADMIN,
}

_RANK = {role: rank for rank, role in enumerate(Role)}


def lesser(one: Role, other: Role) -> Role:
    """The role with fewer permissions."""
    return min(one, other, key=_RANK.__getitem__)


def parse_role(text: str) -> Role:
    """Raises UnknownRoleError on a word that is no role."""
    try:
        return Role(text)
    except ValueError:
        known = ", ".join(Role)
        raise UnknownRoleError(f"{text[:40]!r} is not a role; known roles are {known}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever asks, after authentication."""

    name: str  #: a user's name, or system:<name> for a token of the engine itself
    role: Role
    via: str  #: session | token
    csrf: str = ""  #: what unsafe requests of a session must repeat; empty for tokens
    authenticated_at: datetime | None = None  #: when the password was last typed; None for tokens
    expires_at: datetime | None = None
    language: str = ""
    time_zone: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        return PERMISSIONS[self.role]
