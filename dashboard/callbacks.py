"""Every callback says what it needs: Dash sends them all to one address, so an address cannot protect them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, no_update
from dash.exceptions import PreventUpdate

from watchkeeper.errors import AccessError

from .client import EngineDownError, EngineError
from .context import Caller, current
from .permissions import Permission
from .static_tree import lighten
from .widgets import engine_down, refused

Handler = Callable[..., Awaitable[Any]]
LOG = logging.getLogger("watchkeeper.dashboard")


class Callbacks:
    """Registers callbacks and remembers what each one needs."""

    def __init__(self, app: Dash) -> None:
        self._app = app
        self.shared: set[str] = set()  #: ids of callbacks that answer all readers of one kind alike: SharedAnswers
        self.declared: dict[str, Permission] = {}  #: callback id -> permission; a test walks the app's own map

    def callback_for(
        self, permission: Permission, *wiring: Any, blank: Sequence[Any] = (), shared: bool = False, **options: Any
    ) -> Callable[[Handler], Handler]:
        """A callback of signed-in users with ``permission``: ``handler(caller, *values)``.

        When the engine is silent or says no, the first output shows that and the others become ``blank`` (left alone
        where ``blank`` is shorter), so that no old value stands there as if it were current.

        ``shared``: the answer depends on nothing but the values, ticks aside, and the reader's role, language, zone and
        theme, so all who ask within a second get the same one.
        """
        outputs = sum(isinstance(part, Output) for part in wiring)
        rest = [*blank, *([no_update] * (outputs - 1 - len(blank)))]

        asked = [part for part in wiring if not isinstance(part, Output)]
        places = [place for place, part in enumerate(asked) if isinstance(part, Input)]
        buttons = bool(places) and all(asked[place].component_property == "n_clicks" for place in places)

        def register(handler: Handler) -> Handler:
            @wraps(handler)
            async def guarded(*values: Any) -> Any:
                if buttons and not any(_pressed(values[place]) for place in places):
                    raise PreventUpdate  # buttons that have just appeared, and nobody pressed one
                caller = current()
                found = await _attempt(caller, permission, handler, values)
                if isinstance(found, _Failed):
                    return [found.component, *rest] if rest else found.component
                return lighten(found)

            before = set(self._app.callback_map)
            self._app.callback(*wiring, **options)(guarded)
            self._declare(before, permission, shared=shared)
            return handler

        return register

    def in_browser(self, function: str, *wiring: Any, **options: Any) -> None:
        """A callback that runs in the browser alone, from assets/client.js; it reaches no data."""
        before = set(self._app.callback_map)
        wire: Any = self._app.clientside_callback
        wire(ClientsideFunction("watchkeeper", function), *wiring, **options)
        self._declare(before, Permission.READ)

    def _declare(self, before: set[str], permission: Permission, *, shared: bool = False) -> None:
        for name in set(self._app.callback_map) - before:
            self.declared[name] = permission
            if shared:
                self.shared.add(name)


def _pressed(clicks: Any) -> bool:
    """A count of clicks, or one for each of many buttons."""
    return any(clicks) if isinstance(clicks, list) else bool(clicks)


class _Failed:
    """What to show in place of an answer."""

    def __init__(self, component: Any) -> None:
        self.component = component


async def _attempt(caller: Caller, permission: Permission, handler: Handler, values: Sequence[Any]) -> Any:
    try:
        if not caller.may(permission):
            raise AccessError(permission.value)
        return await handler(caller, *values)
    except EngineDownError as error:
        return _Failed(engine_down(caller, error))
    except EngineError as error:
        return _Failed(refused(caller, error.status, str(error)))
    except AccessError as error:
        return _Failed(refused(caller, 403, str(error)))
    except PreventUpdate:
        raise
    except Exception:  # Dash answers 500 and says nothing; the page then shows that no news comes
        LOG.exception("callback %s failed", getattr(handler, "__qualname__", "?"))
        raise
