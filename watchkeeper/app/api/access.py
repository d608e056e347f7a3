"""Set-up, sign-in, sessions, users and tokens over HTTP."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from watchkeeper.access import (
    LockedError,
    Permission,
    Principal,
    change_user,
    create_user,
    login,
    logout,
    new_token,
    session_principal,
    set_preferences,
    setup_needed,
    use_setup_secret,
)
from watchkeeper.access.sessions import expires_at
from watchkeeper.access.setup import KEY
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import Caller, needs
from watchkeeper.app.engine import Engine
from watchkeeper.errors import AccessError

router = APIRouter(prefix="/api/wk")


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


def engine_of(request: Request) -> Engine:
    found: Engine = request.app.state.engine
    return found


def bad_request(error: AccessError) -> HTTPException:
    return HTTPException(400, str(error))


@router.get("/setup")
def setup(request: Request) -> dict[str, bool]:
    with engine_of(request).state.read() as unit:
        return {"needed": setup_needed(unit)}


@router.post("/setup", status_code=201)
def first_account(request: Request, body: Setup) -> dict[str, str]:
    """Make the first administrator with the secret that `up` printed."""
    engine = engine_of(request)
    with engine.state.begin() as unit:
        secret_stands = unit.documents.get(KEY) is not None and setup_needed(unit)
        try:
            user = use_setup_secret(
                unit,
                body.secret,
                body.name,
                body.password,
                engine.clock.now(),
                language=body.language,
                time_zone=body.time_zone,
            )
        except AccessError as error:
            wrong_secret = not secret_stands or "secret" in str(error)
            raise HTTPException(403 if wrong_secret else 400, str(error)) from None
    engine.data.setup_secret.unlink(missing_ok=True)
    return {"name": user.name}


@router.post("/login")
def sign_in(request: Request, body: Login) -> dict[str, Any]:
    engine = engine_of(request)
    source = body.source or (request.client.host if request.client else "unknown")
    try:
        signed = login(engine.state, body.name, body.password, source, engine.clock.now())
    except LockedError as error:
        headers = {"Retry-After": str(math.ceil(error.seconds))}
        raise HTTPException(429, str(error), headers=headers) from None
    except AccessError as error:
        raise HTTPException(401, str(error)) from None
    return {"session": signed.session, "csrf": signed.csrf, "user": _user(signed.user)}


@router.post("/logout")
def sign_out(request: Request, _caller: Caller) -> dict[str, bool]:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "session":
        with engine_of(request).state.begin() as unit:
            logout(unit, value.strip())
    return {"ended": True}


@router.get("/session")
def session(request: Request) -> dict[str, Any]:
    engine = engine_of(request)
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "session":
        raise HTTPException(401, "this is for browser sessions")
    try:
        _, user, row = session_principal(engine.state, value.strip(), engine.clock.now())
    except AccessError as error:
        raise HTTPException(401, str(error)) from None
    return {"user": _user(user), "csrf": row.csrf, "expires_at": shapes.moment(expires_at(row))}


@router.patch("/session")
def preferences(request: Request, body: Preferences, caller: Caller) -> dict[str, Any]:
    with engine_of(request).state.begin() as unit:
        try:
            user = set_preferences(unit, caller.name, language=body.language, time_zone=body.time_zone)
        except AccessError as error:
            raise bad_request(error) from None
    return {"user": _user(user)}


Admin = Annotated[Principal, Depends(needs(Permission.MANAGE_USERS))]


@router.get("/users")
def users(request: Request, _caller: Admin) -> dict[str, Any]:
    with engine_of(request).state.read() as unit:
        return {"users": [{**_user(row), "disabled": row.disabled} for row in unit.people.users()]}


@router.post("/users", status_code=201)
def add_user(request: Request, body: NewUser, caller: Admin) -> dict[str, Any]:
    engine = engine_of(request)
    with engine.state.begin() as unit:
        try:
            user = create_user(
                unit,
                body.name,
                body.role,
                body.password,
                engine.clock.now(),
                by=caller.name,
                language=body.language,
                time_zone=body.time_zone,
            )
        except AccessError as error:
            raise bad_request(error) from None
    return {"user": _user(user)}


@router.patch("/users/{name}")
def edit_user(request: Request, name: str, body: UserChange, caller: Admin) -> dict[str, Any]:
    engine = engine_of(request)
    with engine.state.begin() as unit:
        try:
            user = change_user(
                unit,
                name,
                engine.clock.now(),
                by=caller.name,
                role=body.role,
                disabled=body.disabled,
                password=body.password,
            )
        except AccessError as error:
            raise bad_request(error) from None
    return {"user": _user(user)}


@router.get("/tokens")
def tokens(request: Request, _caller: Admin) -> dict[str, Any]:
    names = ("id_hash", "name", "user", "role", "created_at", "expires_at", "revoked_at")
    with engine_of(request).state.read() as unit:
        rows = unit.people.tokens()
    return {"tokens": [{name: shapes.plain(getattr(row, name)) for name in names} for row in rows]}


@router.post("/tokens", status_code=201)
def add_token(request: Request, body: NewToken, caller: Admin) -> dict[str, str]:
    engine = engine_of(request)
    with engine.state.begin() as unit:
        try:
            value = new_token(
                unit, body.name, caller.name, body.role, engine.clock.now(), lifetime=timedelta(days=body.days)
            )
        except AccessError as error:
            raise bad_request(error) from None
    return {"token": value}


@router.delete("/tokens/{id_hash}")
def revoke_token(request: Request, id_hash: str, caller: Admin) -> Response:
    engine = engine_of(request)
    with engine.state.begin() as unit:
        unit.people.revoke_token(id_hash, engine.clock.now())
        unit.audit.append(caller.name, "revoke_token", id_hash[:16], {}, at=engine.clock.now())
    return Response(status_code=204)


def _user(row: Any) -> dict[str, Any]:
    return {"name": row.name, "role": row.role, "language": row.language, "time_zone": row.time_zone}
