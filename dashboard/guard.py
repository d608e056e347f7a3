"""The one door: every page, callback and websocket of the dashboard passes here.

Deny by default: without a valid session only the paths in ``PUBLIC`` answer. Paths are compared exactly, so another
spelling of a path is simply another path, and refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from watchkeeper.asgi import BodyLimit
from watchkeeper.clock import Clock

from .client import EngineClient, EngineDownError
from .context import Caller, Principal, Theme, set_current
from .headers import PLAIN, security_headers
from .i18n import Words, known_language, preferred_language, zone_of
from .session import Sessions
from .settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Answered without a session: the forms, what they need to look right, and the sign of life.
FORMS = ("/login", "/setup", "/language")
STATIC = ("/assets/forms.css", "/assets/logo.svg", "/favicon.ico", "/_favicon.ico")
PUBLIC = frozenset({*FORMS, *STATIC, "/-/healthy"})
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
#: Callback bodies and forms are small.
MAX_BODY = 1 << 20
THEME_COOKIE, LANGUAGE_COOKIE = "wk-theme", "wk-language"


class Request:
    """The few parts of a scope that decide."""

    def __init__(self, scope: Scope) -> None:
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")
        self.headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        self.host = self.headers.get("host", "").lower()
        self.cookies = _cookies(self.headers.get("cookie", ""))
        query = scope.get("query_string", b"").decode("latin-1")
        self.target: str = self.path + (f"?{query}" if query else "")

    @property
    def theme(self) -> Theme:
        return "dark" if self.cookies.get(THEME_COOKIE) == "dark" else "light"

    def language(self, fallback: str) -> str:
        chosen = self.cookies.get(LANGUAGE_COOKIE, "")
        return known_language(chosen, preferred_language(self.headers.get("accept-language", ""), fallback))

    @property
    def wants_page(self) -> bool:
        return self.method in ("GET", "HEAD") and not self.path.startswith(("/_dash-", "/assets/"))


class Guard:
    """Pure ASGI around the whole application."""

    def __init__(
        self, app: App, settings: Settings, engine: EngineClient, sessions: Sessions, clock: Clock, csp: str
    ) -> None:
        self._app: App = BodyLimit(app, MAX_BODY)  # a declared length is refused earlier, but need not be true
        self._settings, self._engine, self._sessions, self._clock = settings, engine, sessions, clock
        self._headers = security_headers(csp, secure=settings.secure)
        self._plain_headers = security_headers(PLAIN, secure=settings.secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    # --- websockets --------------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        principal = None
        if self._trusts(request, must_have_origin=True):
            try:
                principal = await self._sessions.principal(self._session(request))
            except EngineDownError:
                principal = None
        if principal is None:
            await receive()
            await send({"type": "websocket.close", "code": 4401, "reason": "sign in first"})
            return
        set_current(self._caller(request, principal))
        await self._app(scope, receive, send)

    # --- pages and callbacks -----------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        dressed = self._dressed(request, send)
        refusal = self._malformed(request)
        if refusal is None and request.path not in PUBLIC:
            principal, refusal = await self._known(request)
            set_current(self._caller(request, principal) if principal else None)
        if refusal is not None:
            await refusal(scope, receive, dressed)
            return
        if request.method == "HEAD":
            scope, dressed = {**scope, "method": "GET"}, _without_body(dressed)
        await self._app(scope, receive, dressed)

    def _malformed(self, request: Request) -> Response | None:
        """What no session can make right."""
        if request.host not in self._settings.hosts:
            return PlainTextResponse("unknown host name: set dashboard.public_url to the address in use\n", 421)
        if request.method not in (*SAFE_METHODS, "POST"):
            return PlainTextResponse("method not allowed\n", 405)
        if request.method == "POST" and not self._trusts(request, must_have_origin=True):
            return JSONResponse({"error": "the request comes from another site", "kind": "origin"}, 403)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return PlainTextResponse("too large\n", 413)
        return None

    async def _known(self, request: Request) -> tuple[Principal | None, Response | None]:
        """The caller, or the answer for one who is nobody."""
        session = self._session(request)
        try:
            principal = await self._sessions.principal(session)
        except EngineDownError:
            principal = self._sessions.remembered(session)
            if principal is None:
                return None, self._down(request)
        return (principal, None) if principal else (None, self._nobody(request))

    @staticmethod
    def _nobody(request: Request) -> Response:
        if request.wants_page:
            return RedirectResponse(f"/login?next={quote(request.target, safe='')}", 303)
        return JSONResponse({"error": "sign in first", "kind": "unauthenticated"}, 401)

    @staticmethod
    def _down(request: Request) -> Response:
        if request.wants_page:
            return RedirectResponse(f"/login?next={quote(request.target, safe='')}&down=1", 303)
        return JSONResponse({"error": "the engine does not answer", "kind": "engine_down"}, 503)

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _session(self, request: Request) -> str:
        return request.cookies.get(self._settings.cookie, "")

    def _trusts(self, request: Request, *, must_have_origin: bool) -> bool:
        origin = request.headers.get("origin", "")
        if not origin:
            return not must_have_origin
        return request.host in self._settings.hosts and origin == self._settings.origin(request.host)

    def _caller(self, request: Request, principal: Principal) -> Caller:
        language = known_language(principal.language, self._settings.language)
        words = Words(language, zone_of(principal.time_zone))
        refresh, address = self._settings.refresh_seconds, request.target if request.wants_page else ""
        changed = partial(self._sessions.forget, self._session(request))
        return Caller(principal, words, request.theme, self._engine, refresh, self._clock, changed, address)

    def _dressed(self, request: Request, send: Send) -> Send:
        own = self._plain_headers if request.path in FORMS else self._headers
        caching = _caching(request)

        async def dressed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                extra = [pair for pair in own if pair[0] not in present]
                if b"cache-control" not in present:
                    extra.append((b"cache-control", caching))
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        return dressed


def _caching(request: Request) -> bytes:
    """A file whose address changes when it changes is kept for a year."""
    if request.path.startswith("/assets/") and request.target.startswith(f"{request.path}?m="):
        return b"private, max-age=31536000, immutable"
    if request.path.startswith(("/_dash-component-suites/", "/assets/")):
        return b"private, max-age=60"
    return b"no-store"


def _without_body(send: Send) -> Send:
    async def headless(message: MutableMapping[str, Any]) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return headless


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
