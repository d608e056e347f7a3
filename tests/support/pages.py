"""What tests of pages need: readers of a fake engine, what a reader reads, and a page's callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dash import Dash
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from dashboard.callbacks import Callbacks, Handler
from dashboard.client import Credentials, EngineClient
from dashboard.context import Caller, Principal
from dashboard.i18n import Words, zone_of
from watchkeeper.clock import SystemClock

from .fake_engine import FakeEngine


def reader(
    engine: FakeEngine, client: EngineClient, language: str, *, name: str = "viewer", zone: str = "Asia/Shanghai"
) -> Caller:
    """A signed-in reader; ``name`` is known to the engine, with the role of that name."""
    session = engine.sign_in(name)
    who = Principal(name, name, language, zone, Credentials(session, f"csrf-{session}"))
    return Caller(who, Words(language, zone_of(zone)), "light", client, 5.0, SystemClock())


def markup(component: Any) -> str:
    """Everything of a component tree, as it goes to the browser."""
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def texts(component: Any) -> str:
    """The texts alone, a line each."""
    if isinstance(component, str):
        return component + "\n"
    if isinstance(component, list | tuple):
        return "".join(texts(one) for one in component)
    return texts(component.children) if isinstance(component, Component) and hasattr(component, "children") else ""


class Recorder(Callbacks):
    """Wires callbacks as the dashboard does, and keeps each handler under the function's name."""

    def __init__(self) -> None:
        super().__init__(Dash("recorder", suppress_callback_exceptions=True, add_log_handler=False))
        self.found: dict[str, list[Handler]] = {}

    def callback_for(self, permission: Any, *wiring: Any, **options: Any) -> Callable[[Handler], Handler]:
        register = super().callback_for(permission, *wiring, **options)

        def keep(handler: Handler) -> Handler:
            self.found.setdefault(handler.__name__, []).append(handler)
            return register(handler)

        return keep


def recorded(page: Any) -> Recorder:
    """A page's callbacks: ``found`` by function, ``declared`` with what each needs."""
    recorder = Recorder()
    page.PAGE.register(recorder)
    return recorder


def handlers(page: Any) -> dict[str, list[Handler]]:
    return recorded(page).found
