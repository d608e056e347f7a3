"""Set-up, sign-in, sessions, users and tokens over HTTP."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from watchkeeper.access import LockedOutError, Permission, Principal
from watchkeeper.access.roles import parse_role
from watchkeeper.access.sessions import expires_at, find_session, log_in, log_out
from watchkeeper.access.setup import finish_setup, setup_needed
from watchkeeper.access.tokens import create_token, revoke_token, token_owner
from watchkeeper.access.users import create_user, new_user, set_disabled, set_password, set_preferences, set_role
from watchkeeper.app.api import shapes
from watchkeeper.app.api.changes import counted
from watchkeeper.app.api.guard import Caller, needs
from watchkeeper.app.api.source import source_of
from watchkeeper.app.engine import Engine

router = APIRouter(prefix="/api/wk", dependencies=[Depends(counted)])


class Setup(BaseModel):
    secret: str = Field(max_length=200)
    name: str = Field(max_length=80)
    password: str = Field(max_length=1000)
    language: str = "zh-CN"
    time_zone: str = "Asia/Shanghai"


class Login(BaseModel):
    name: str = Field(max_length=80)
    password: str = Field(max_length=1000)
    source: str = Field(default="", max_length=64)


class Preferences(BaseModel):
    language: str | None = None
    time_zone: str | None = None


class NewUser(BaseModel):
    name: str = Field(max_length=80)
    role: str
    password: str = Field(max_length=1000)
    language: str = "zh-CN"
    time_zone: str = "Asia/Shanghai"


class UserChange(BaseModel):
    role: str | None = None
    disabled: bool | None = None
    password: str | None = Field(default=None, max_length=1000)


class NewToken(BaseModel):
    name: str = Field(min_length=1, max_length=80)
    role: str = "viewer"
    days: float = Field(default=90, gt=0, le=90)
    user: str = Field(default="", max_length=80)  #: whose it is; only the command line, which is nobody, names another


def engine_of(request: Request) -> Engine:
    found: Engine = request.app.state.engine
    return found


def credential(request: Request) -> str:
    """The session id of the Authorization header, empty for other kinds."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "session" else ""


@router.get("/setup")
def setup(request: Request) -> dict[str, bool]:
    return {"needed": setup_needed(engine_of(request).state)}


@router.post("/setup", status_code=201)
def first_account(request: Request, body: Setup) -> dict[str, str]:
    """Make the first administrator with the secret that `up` printed."""
    engine = engine_of(request)
    name = finish_setup(
        engine.state,
        body.secret,
        body.name,
        body.password,
        language=body.language,
        time_zone=body.time_zone,
        now=engine.clock.now(),
    )
    engine.data.setup_secret.unlink(missing_ok=True)
    return {"name": name}


@router.post("/login")
def sign_in(request: Request, body: Login) -> dict[str, Any]:
    engine = engine_of(request)
    source = source_of(request, body.source)
    try:
        signed = log_in(
            engine.state,
            body.name,
            body.password,
            source=source,
            now=engine.clock.now(),
            previous=credential(request),
        )
    except LockedOutError as error:
        headers = {"Retry-After": str(math.ceil(error.retry_after))}
        raise HTTPException(429, str(error), headers=headers) from None
    return {"session": signed.session, "csrf": signed.csrf, "user": _user(signed.user)}


@router.post("/logout")
def sign_out(request: Request, _caller: Caller) -> dict[str, bool]:
    engine = engine_of(request)
    log_out(engine.state, credential(request), engine.clock.now())
    return {"ended": True}


@router.get("/session")
def session(request: Request) -> dict[str, Any]:
    """Asked by the dashboard for every page: that alone does not keep a session alive."""
    engine = engine_of(request)
    row, user = find_session(engine.state, credential(request), engine.clock.now(), touch=False)
    return {"user": _user(user), "csrf": row.csrf, "expires_at": shapes.moment(expires_at(row))}


@router.patch("/session")
def preferences(request: Request, body: Preferences, caller: Caller) -> dict[str, Any]:
    engine = engine_of(request)
    set_preferences(engine.state, caller.name, language=body.language, time_zone=body.time_zone, now=engine.clock.now())
    return {"user": _named(engine, caller.name)}


Admin = Annotated[Principal, Depends(needs(Permission.MANAGE_USERS))]


@router.get("/users")
def users(request: Request, _caller: Admin) -> dict[str, Any]:
    with engine_of(request).state.read() as unit:
        return {"users": [{**_user(row), "disabled": row.disabled} for row in unit.people.users()]}


@router.post("/users", status_code=201)
def add_user(request: Request, body: NewUser, caller: Admin) -> dict[str, Any]:
    engine = engine_of(request)
    user = new_user(
        body.name,
        parse_role(body.role),
        body.password,
        language=body.language,
        time_zone=body.time_zone,
        now=engine.clock.now(),
    )
    create_user(engine.state, user, actor=caller.name, now=engine.clock.now())
    return {"user": _user(user)}


@router.patch("/users/{name}")
def edit_user(request: Request, name: str, body: UserChange, caller: Admin) -> dict[str, Any]:
    engine = engine_of(request)
    now = engine.clock.now()
    if body.role is not None:
        set_role(engine.state, name, body.role, actor=caller.name, now=now)
    if body.disabled is not None:
        set_disabled(engine.state, name, body.disabled, actor=caller.name, now=now)
    if body.password is not None:
        set_password(engine.state, name, body.password, actor=caller.name, now=now)
    return {"user": _named(engine, name)}


@router.get("/tokens")
def tokens(request: Request, _caller: Admin) -> dict[str, Any]:
    names = ("id_hash", "name", "user", "role", "created_at", "expires_at", "revoked_at")
    with engine_of(request).state.read() as unit:
        rows = unit.people.tokens()
    return {"tokens": [{name: shapes.plain(getattr(row, name)) for name in names} for row in rows]}


@router.post("/tokens", status_code=201)
def add_token(request: Request, body: NewToken, caller: Admin) -> dict[str, str]:
    engine = engine_of(request)
    role = parse_role(body.role)  # a role that does not exist is said before whose token it is
    secret, _ = create_token(
        engine.state,
        name=body.name,
        user=token_owner(engine.state, caller.name, body.user),
        role=role,
        lifetime=timedelta(days=body.days),
        now=engine.clock.now(),
        actor=caller.name,
    )
    return {"token": secret}


@router.delete("/tokens/{id_hash}")
def drop_token(request: Request, id_hash: str, caller: Admin) -> Response:
    engine = engine_of(request)
    revoke_token(engine.state, id_hash, actor=caller.name, now=engine.clock.now())
    return Response(status_code=204)


def _named(engine: Engine, name: str) -> dict[str, Any]:
    with engine.state.read() as unit:
        user = unit.people.user(name)
    if user is None:
        raise HTTPException(404, f"there is no user {name!r}")
    return _user(user)


def _user(row: Any) -> dict[str, Any]:
    return {"name": row.name, "role": row.role, "language": row.language, "time_zone": row.time_zone}
