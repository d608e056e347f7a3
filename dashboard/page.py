"""What a page is, and how the address finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from .callbacks import Callbacks
from .context import Caller

#: The navigation's groups, in order: four areas of analysis and the machine room.
AREAS = ("realtime", "predictive", "reporting", "system")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page: where it is, how its frame looks, and its callbacks."""

    key: str  #: prefix of its texts and element ids
    path: str  #: exact address; addresses below it belong to it when ``below`` is set
    area: str  #: one of AREAS
    layout: Callable[[Caller, Request], Any]  #: the frame, without data
    register: Callable[[Callbacks], None]  #: adds its callbacks
    below: bool = False
    charts: bool = False  #: it draws with Plotly, which then loads with the frame


@dataclass(frozen=True, slots=True)
class Request:
    """The address as a page sees it."""

    path: str
    rest: str  #: what follows the page's own path
    query: Mapping[str, str]


def find(pages: Sequence[Page], path: str | None, search: str | None) -> tuple[Page, Request] | None:
    """The page of an address, None when there is none."""
    asked = unquote(path or "/")
    asked = asked.rstrip("/") or "/"
    query = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    for page in pages:
        if asked == page.path:
            return page, Request(asked, "", query)
        if page.below and asked.startswith(f"{page.path}/"):
            return page, Request(asked, asked.removeprefix(f"{page.path}/"), query)
    return None
