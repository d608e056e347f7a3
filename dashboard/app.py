"""The dashboard's ASGI application: Dash on FastAPI behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from watchkeeper.clock import Clock, SystemClock

from . import shell
from .callbacks import Callbacks
from .client import EngineClient
from .documents import Documents
from .downloads import Downloads
from .forms import Forms
from .guard import Guard
from .headers import policy
from .lean import LeanDash, serve_plotly
from .page import Page
from .pages import BUILTIN
from .session import Sessions
from .settings import Settings
from .shared_answers import SharedAnswers

HERE = Path(__file__).parent


class Dashboard(Guard):
    """The guarded application; the attributes are there for tests that walk routes and callbacks."""

    server: FastAPI
    dash: LeanDash
    callbacks: Callbacks


def create(settings: Settings, *, clock: Clock | None = None, pages: Sequence[Page] = ()) -> Dashboard:
    """Everything wired, nothing started. ``pages`` come after the dashboard's own."""
    clock = clock or SystemClock()
    engine = EngineClient(settings, clock)
    sessions = Sessions(engine, settings, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.aclose()

    server = FastAPI(title="Watchkeeper", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    Forms(settings, engine, sessions).register(server)
    Downloads().register(server)
    serve_plotly(server)
    dash = _dash(server)
    callbacks = Callbacks(dash)
    shown = (*BUILTIN, *pages)
    shell.register(callbacks, shown)
    for page in shown:
        page.register(callbacks)
    dash.layout = partial(shell.layout, shown)
    dash.draws_charts = partial(shell.draws_charts, shown)
    dash.document = Documents().text
    compressed = GZipMiddleware(server, minimum_size=1000, compresslevel=5)
    answers = SharedAnswers(compressed, clock, callbacks.shared)
    guarded = Dashboard(answers, settings, engine, sessions, clock, policy(dash.csp_hashes()))
    guarded.server, guarded.dash, guarded.callbacks = server, dash, callbacks
    return guarded


def _dash(server: FastAPI) -> LeanDash:
    return LeanDash(
        "dashboard",
        server=server,  # type: ignore[arg-type]  # its annotation forgets that instances are taken
        assets_folder=str(HERE / "assets"),
        assets_ignore=r"forms\.css",
        title="Watchkeeper",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        enable_mcp=False,
        add_log_handler=False,
        index_string=(HERE / "templates" / "index.html").read_text(encoding="utf-8"),
    )
