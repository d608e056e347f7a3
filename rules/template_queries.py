"""What rule templates may ask: other queries, their samples, links. All of it is bounded, loops included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus, urlsplit

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels

from .template_functions import TemplateError

#: Queries one text may ask, and rounds all its loops may make together.
MAX_QUERIES, MAX_ROUNDS = 8, 10_000

Ask = Callable[[str], Sequence[tuple[Labels, float]]]


class Run:
    """One rendering: what it may ask, and how much it has asked."""

    def __init__(self, ask: Ask | None, now_seconds: float, external_url: str) -> None:
        self._ask, self.now_seconds, self.external_url = ask, now_seconds, external_url
        self._queries = self._rounds = 0

    def query(self, expr: Any) -> list[dict[str, Any]]:
        """The samples of an instant query, as ``{"Labels": ..., "Value": ...}``."""
        if self._ask is None:
            raise TemplateError("query: there is nothing to ask here")
        self._queries += 1
        if self._queries > MAX_QUERIES:
            raise TemplateError(f"query: more than {MAX_QUERIES} in one text")
        try:
            return [{"Labels": dict(series), "Value": float(value)} for series, value in self._ask(str(expr))]
        except QueryError as error:
            raise TemplateError(f"query: {error}") from None

    def round(self) -> None:
        """Count one round of a loop."""
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise TemplateError(f"range: more than {MAX_ROUNDS} rounds in one text")


def items(thing: Any) -> list[tuple[Any, Any]]:
    """What ``range`` goes over: (key, value) pairs, keys of mappings sorted."""
    if isinstance(thing, Mapping):
        return sorted(thing.items())
    if isinstance(thing, list | tuple):
        return list(enumerate(thing))
    raise TemplateError("range: only samples, lists and mappings can be gone over")


def _first(samples: Any) -> Any:
    if not samples:
        raise TemplateError("first() called on vector with no elements")
    return samples[0]


def _sorted_by(label: Any, samples: Any) -> Any:
    return sorted(samples, key=lambda sample: str(sample["Labels"].get(label, "")))


def _path(run: Run) -> str:
    return urlsplit(run.external_url).path.rstrip("/")


#: Functions of samples.
OF_SAMPLES: dict[str, Callable[..., Any]] = {
    "first": _first,
    "value": lambda sample: sample["Value"],
    "label": lambda name, sample: sample["Labels"].get(name, ""),
    "strvalue": lambda sample: sample["Labels"].get("__value__", ""),
    "sortByLabel": _sorted_by,
    "args": lambda *values: {f"arg{place}": value for place, value in enumerate(values)},
    "safeHtml": str,
    "graphLink": lambda expr: f"/graph?g0.expr={quote_plus(str(expr))}&g0.tab=0",
    "tableLink": lambda expr: f"/graph?g0.expr={quote_plus(str(expr))}&g0.tab=1",
}
#: Functions that need the rendering they stand in.
OF_RUN: dict[str, Callable[..., Any]] = {
    "query": Run.query,
    "now": lambda run: run.now_seconds,
    "externalURL": lambda run: run.external_url,
    "pathPrefix": _path,
}
