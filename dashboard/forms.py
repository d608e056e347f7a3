"""Sign in, first account, sign out: plain forms without script, forwarded to the engine."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from .client import Credentials, EngineClient, EngineDownError, EngineError
from .context import current
from .guard import LANGUAGE_COOKIE
from .guard import Request as Parts
from .i18n import LANGUAGES, Words, known_language, zone_of
from .session import Sessions
from .settings import Settings

#: Cookie and field that together prove a form came from our own page.
FORM_COOKIE = "wk-form"
TEMPLATES = Path(__file__).parent / "templates"
#: The browser drops the cookie when the session is over at the latest.
SESSION_SECONDS = 12 * 3600


class Forms:
    """The routes of people who are not signed in yet, and the way out."""

    def __init__(self, settings: Settings, engine: EngineClient, sessions: Sessions) -> None:
        self._settings, self._engine, self._sessions = settings, engine, sessions
        self._jinja = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)

    def register(self, router: FastAPI) -> None:
        router.add_api_route("/login", self.show_login, methods=["GET"], response_model=None)
        router.add_api_route("/login", self.login, methods=["POST"], response_model=None)
        router.add_api_route("/setup", self.show_setup, methods=["GET"], response_model=None)
        router.add_api_route("/setup", self.setup, methods=["POST"], response_model=None)
        router.add_api_route("/language", self.language, methods=["POST"], response_model=None)
        router.add_api_route("/logout", self.logout, methods=["POST"], response_model=None)
        router.add_api_route("/-/healthy", healthy, methods=["GET"], response_model=None)

    # --- sign in -----------------------------------------------------------------------------------------------------

    async def show_login(self, request: Request) -> Response:
        onward = local_path(request.query_params.get("next", "/"))
        try:
            if (await self._engine.call("GET", "/api/wk/setup")).get("needed"):
                return RedirectResponse("/setup", 303)
        except (EngineDownError, EngineError):
            return self._page(request, "login.html", 503, error="login.engine_down", next=onward)
        return self._page(request, "login.html", 200, next=onward, fresh="fresh" in request.query_params)

    async def login(self, request: Request) -> Response:
        form = await fields(request)
        onward = local_path(form.get("next", "/"))
        if not self._own(request, form):
            return self._page(request, "login.html", 400, error="login.expired", next=onward)
        body = {
            "name": form.get("name", ""),
            "password": form.get("password", ""),
            "source": request.client.host if request.client else "",
        }
        try:
            answer = await self._engine.call("POST", "/api/wk/login", body=body)
        except EngineDownError:
            return self._page(request, "login.html", 503, error="login.engine_down", next=onward)
        except EngineError as error:
            return self._refused(request, error, onward, body["name"])
        await self._leave(request.cookies.get(self._settings.cookie, ""))
        response = RedirectResponse(onward, 303)
        self._keep(response, self._settings.cookie, answer["session"])
        response.delete_cookie(FORM_COOKIE, path="/", secure=self._settings.secure, httponly=True, samesite="strict")
        return response

    async def _leave(self, session: str) -> None:
        """The session this browser had until now ends: whoever else knows it, knows nothing of the new one."""
        try:
            before = await self._sessions.principal(session)
            if before is not None:
                await self._engine.call("POST", "/api/wk/logout", before.who, body={})
        except EngineDownError:
            return  # it runs out by itself; the new one is good all the same
        except EngineError as error:
            if error.status != 401:
                raise
        self._sessions.forget(session)

    def _refused(self, request: Request, error: EngineError, onward: str, name: str) -> Response:
        if error.status == 429:
            seconds = error.retry_after or 60
            wait = {"wait": self._words(request).seconds(seconds)}
            page = self._page(request, "login.html", 429, error="login.wait", values=wait, next=onward, name=name)
            page.headers["retry-after"] = str(seconds)
            return page
        wrong = error.status in (400, 401, 403, 422)
        key = "login.wrong" if wrong else "login.engine_down"
        return self._page(request, "login.html", 401 if wrong else 503, error=key, next=onward, name=name)

    # --- first account -----------------------------------------------------------------------------------------------

    async def show_setup(self, request: Request) -> Response:
        try:
            needed = (await self._engine.call("GET", "/api/wk/setup")).get("needed")
        except (EngineDownError, EngineError):
            return self._page(request, "setup.html", 503, error="login.engine_down")
        return self._page(request, "setup.html", 200) if needed else RedirectResponse("/login", 303)

    async def setup(self, request: Request) -> Response:
        form = await fields(request)
        kept: dict[str, Any] = {"name": form.get("name", ""), "time_zone": form.get("time_zone", "")}
        if not self._own(request, form):
            return self._page(request, "setup.html", 400, error="login.expired", **kept)
        if form.get("password") != form.get("again"):
            return self._page(request, "setup.html", 400, error="setup.differ", **kept)
        body = {
            "secret": form.get("secret", "").strip(),
            "name": kept["name"].strip(),
            "password": form.get("password", ""),
            "language": known_language(form.get("language", ""), self._settings.language),
            "time_zone": kept["time_zone"] or self._settings.time_zone,
        }
        try:
            await self._engine.call("POST", "/api/wk/setup", body=body)
        except EngineDownError:
            return self._page(request, "setup.html", 503, error="login.engine_down", **kept)
        except EngineError as error:
            key = "setup.secret_wrong" if error.status == 403 else "setup.refused"
            status = error.status if error.status in (400, 403, 422, 429) else 503
            return self._page(request, "setup.html", status, error=key, values={"reason": str(error)}, **kept)
        return RedirectResponse("/login?fresh=1", 303)

    # --- the rest ----------------------------------------------------------------------------------------------------

    async def language(self, request: Request) -> Response:
        form = await fields(request)
        response = RedirectResponse(local_path(form.get("next", "/login")), 303)
        if self._own(request, form):
            self._keep(response, LANGUAGE_COOKIE, known_language(form.get("language", "")), seconds=400 * 86_400)
        return response

    async def logout(self, request: Request) -> Response:
        caller = current()
        form = await fields(request)
        if not hmac.compare_digest(form.get("csrf", "").encode(), caller.principal.who.csrf.encode()):
            return PlainTextResponse("the form has expired: reload the page\n", 400)
        who: Credentials = caller.principal.who
        response = RedirectResponse("/login", 303)
        try:
            await self._engine.call("POST", "/api/wk/logout", who, body={})
        except EngineDownError:
            return PlainTextResponse(caller.words("login.engine_down") + "\n", 503)
        except EngineError as error:
            if error.status != 401:
                raise
        self._sessions.forget(who.session)
        response.delete_cookie(
            self._settings.cookie, path="/", secure=self._settings.secure, httponly=True, samesite="strict"
        )
        return response

    def _words(self, request: Request) -> Words:
        return Words(Parts(request.scope).language(self._settings.language), zone_of(self._settings.time_zone))

    def _page(
        self, request: Request, template: str, status: int, *, error: str = "",
        values: Mapping[str, object] | None = None, **context: Any,
    ) -> Response:  # fmt: skip
        words = self._words(request)
        proof = secrets.token_urlsafe(32)
        html = self._jinja.get_template(template).render(
            t=words,
            proof=proof,
            languages=LANGUAGES,
            error=words(error, **(values or {})) if error else "",
            here=f"/{template.removesuffix('.html')}",
            **context,
        )
        page = HTMLResponse(html, status)
        self._keep(page, FORM_COOKIE, proof)
        return page

    def _keep(self, response: Response, name: str, value: str, *, seconds: int = SESSION_SECONDS) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._settings.secure, httponly=True, samesite="strict"
        )

    @staticmethod
    def _own(request: Request, form: Mapping[str, str]) -> bool:
        """The field and the cookie agree: the form was drawn by us for this browser."""
        cookie = request.cookies.get(FORM_COOKIE, "")
        return bool(cookie) and hmac.compare_digest(cookie.encode(), form.get("proof", "").encode())


async def healthy() -> Response:
    return PlainTextResponse("Watchkeeper dashboard is alive.\n")


async def fields(request: Request) -> dict[str, str]:
    """The fields of a plain form; the last of a name wins. One of too many fields is none of ours, and empty."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        found = parse_qs(body, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}


def local_path(wanted: str) -> str:
    """A path of our own to go on to: never another site."""
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if safe and not wanted.startswith("/login") else "/"
