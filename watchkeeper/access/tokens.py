"""Tokens for machines: hashed at rest, bound to a role, at most 90 days, revocable at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from watchkeeper.access.errors import ForbiddenError, UnknownUserError, WeakPasswordError
from watchkeeper.access.roles import Role, lesser, parse_role
from watchkeeper.access.secrets import hashed, new_secret
from watchkeeper.access.users import existing
from watchkeeper.clock import begun_ms
from watchkeeper.errors import AccessError
from watchkeeper.store.state import State
from watchkeeper.store.state.repositories.people import Token

LONGEST = timedelta(days=90)
#: Owner of the tokens the engine makes for its own processes and the command line; no user can be named so.
SYSTEM = "system:"


def create_token(
    state: State, *, name: str, user: str, role: str, lifetime: timedelta, now: datetime, actor: str
) -> tuple[str, Token]:
    """(the secret, shown once; its row). A token never has more rights than its user, now or later."""
    wanted = parse_role(role)
    with state.begin() as unit:
        owner = existing(unit, user)
        if owner.disabled or lesser(wanted, Role(owner.role)) is not wanted:
            raise ForbiddenError(f"{user} may not have a token with the role {wanted}")
        secret, token = _new(name, user, wanted, lifetime, now)
        unit.people.add_token(token)
        detail = {"name": name, "role": wanted, "expires_at": token.expires_at}
        unit.audit.append(actor, "token.create", token.id_hash[:12], detail, at=now)
    return secret, token


def token_owner(state: State, caller: str, named: str) -> str:
    """Whose a new token is: the caller's own. The command line is no user: it names one, or there is one administrator.

    Raises ForbiddenError.
    """
    if not caller.startswith(SYSTEM):
        if named not in ("", caller):
            raise ForbiddenError("a token is its maker's own; leave `user` out")
        return caller
    if named:
        return named
    with state.read() as unit:
        admins = [one.name for one in unit.people.users() if one.role == Role.ADMIN and not one.disabled]
    if len(admins) == 1:
        return admins[0]
    if not admins:
        raise ForbiddenError("a token belongs to a user, and there is no administrator yet: make the first account")
    raise ForbiddenError(f"say whose token it is by `user`: {', '.join(sorted(admins))}")


def create_system_token(
    state: State, name: str, role: Role, *, now: datetime, lifetime: timedelta = LONGEST
) -> tuple[str, Token]:
    """A token of the engine's own, for ``name``; earlier ones of that name are revoked."""
    owner = f"{SYSTEM}{name}"
    with state.begin() as unit:
        for old in unit.people.tokens():
            if old.user == owner and old.revoked_at is None:
                unit.people.revoke_token(old.id_hash, now)
        secret, token = _new(name, owner, role, lifetime, now)
        unit.people.add_token(token)
        unit.audit.append("engine", "token.create", token.id_hash[:12], {"name": name, "role": role}, at=now)
    return secret, token


def revoke_token(state: State, id_hash: str, *, actor: str, now: datetime) -> None:
    with state.begin() as unit:
        if unit.people.token(id_hash) is None:
            raise UnknownUserError("there is no such token")
        unit.people.revoke_token(id_hash, now)
        unit.audit.append(actor, "token.revoke", id_hash[:12], {}, at=now)


def find_token(state: State, secret: str, now: datetime) -> tuple[Token, Role]:
    """The live token and the role it has today, which is never above its user's."""
    with state.read() as unit:
        token = unit.people.token(hashed(secret))
        owner = unit.people.user(token.user) if token and not token.user.startswith(SYSTEM) else None
    if token is None or token.revoked_at is not None or not token.created_at <= now < token.expires_at:
        raise AccessError("the token is unknown, revoked or expired")
    if token.user.startswith(SYSTEM):
        return token, Role(token.role)
    if owner is None or owner.disabled:
        raise AccessError("the token is unknown, revoked or expired")
    return token, lesser(Role(token.role), Role(owner.role))


def _new(name: str, user: str, role: Role, lifetime: timedelta, now: datetime) -> tuple[str, Token]:
    if not timedelta(0) < lifetime <= LONGEST:
        raise WeakPasswordError(f"a token lives {LONGEST.days} days at most")
    secret, made = f"wk_{new_secret()}", begun_ms(now)
    token = Token(
        id_hash=hashed(secret), name=name[:80], user=user, role=role, created_at=made, expires_at=made + lifetime
    )
    return secret, token
