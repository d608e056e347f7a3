"""Documents drawn once for all readers of one kind: who reads is filled in.

A document costs some 10 ms to draw, and two of its words depend on the person: the name, and the word that proves that
a form comes from this page. It is drawn for a stand-in with neither, so that nothing of one reader can be left in what
another one gets.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from .client import Credentials
from .context import Caller, current, set_current

#: Seconds a drawing is used again: a frame may hold a date.
FRESH_SECONDS = 10.0
#: Drawings remembered.
REMEMBERED = 100


class Documents:
    """Remembers drawings by the reader's role, language, zone and theme, and by the address."""

    def __init__(self) -> None:
        self._name, self._csrf = f"name{secrets.token_hex(16)}", f"csrf{secrets.token_hex(16)}"
        self._drawn: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    def text(self, draw: Callable[[], str]) -> str:
        """The document for the current caller, for whom ``draw`` would make one."""
        caller = current()
        key, now = (*caller.view, caller.address), caller.clock.monotonic()
        at, drawing = self._drawn.get(key, (-FRESH_SECONDS, ""))
        if now - at >= FRESH_SECONDS:
            drawing = self._draw(caller, draw)
            self._drawn[key] = now, drawing
            self._drawn.move_to_end(key)
            while len(self._drawn) > REMEMBERED:
                self._drawn.popitem(last=False)
        principal = caller.principal
        return drawing.replace(self._name, _data(principal.name)).replace(self._csrf, _data(principal.who.csrf))

    def _draw(self, caller: Caller, draw: Callable[[], str]) -> str:
        nobody = replace(caller.principal, name=self._name, who=Credentials(csrf=self._csrf))
        set_current(replace(caller, principal=nobody))
        try:
            return draw()
        finally:
            set_current(caller)


def _data(text: str) -> str:
    """Inside a string of JSON inside an element of HTML."""
    return json.dumps(text)[1:-1].replace("<", "\\u003c")
