"""What the server says about names, labels and its own past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matcher
from watchkeeper.store.samples.remote.raw import query_error, selector
from watchkeeper.store.samples.remote.server import Server, ServerError

DAY_MS = 86_400_000
#: How far back is looked for the oldest sample, in days.
LONGEST_DAYS = 1 << 11
#: Looked for anew this often; between two looks it only grows older with the server's retention.
LOOK_MS = 600_000


def answer(server: Server, path: str, parameters: list[tuple[str, str]]) -> Any:
    """Raises QueryError."""
    try:
        return server.ask(path, parameters)
    except ServerError as error:
        raise query_error(error) from error


def _asked(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[tuple[str, str]]:
    span = [("start", f"{max(start_ms, 0) / 1000:.3f}"), ("end", f"{max(end_ms, 0) / 1000:.3f}")]
    return [("match[]", selector(matchers)), *span] if matchers else span


def series(server: Server, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
    asked = _asked(matchers, start_ms, end_ms)
    if not matchers:
        asked.append(("match[]", selector(())))
    rows = answer(server, "/api/v1/series", asked)
    try:
        return [tuple(sorted(row.items())) for row in rows]
    except (AttributeError, TypeError):
        raise QueryError("the sample server answers no list of series", kind="execution") from None


def label_names(server: Server, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
    return _words(answer(server, "/api/v1/labels", _asked(matchers, start_ms, end_ms)))


def label_values(server: Server, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
    path = f"/api/v1/label/{quote(name, safe='')}/values"
    return _words(answer(server, path, _asked(matchers, start_ms, end_ms)))


def _words(data: Any) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(word, str) for word in data):
        raise QueryError("the sample server answers no list of words", kind="execution")
    return data


class Oldest:
    """When the server's samples begin, to about an eighth of their age; None while nobody knows."""

    def __init__(self, server: Server) -> None:
        self._server, self._looked_ms = server, -LOOK_MS
        self.time_ms: int | None = None

    def look(self, now_ms: int) -> None:
        """Ask anew when it is time. A server that does not answer leaves what was known."""
        if now_ms - self._looked_ms < LOOK_MS:
            return
        try:
            self.time_ms = self._find(now_ms)
            self._looked_ms = now_ms
        except QueryError:
            return  # counted by the server; asked again at the next upkeep

    def _find(self, now_ms: int) -> int | None:
        width, found = DAY_MS // 8, None
        while width <= LONGEST_DAYS * DAY_MS:
            if label_names(self._server, (), now_ms - 2 * width, now_ms - width):
                found = now_ms - 2 * width
            width *= 2
        if found is None:
            return now_ms - DAY_MS // 8 if label_names(self._server, (), now_ms - DAY_MS // 8, now_ms) else None
        step = (now_ms - found) // 16
        while not label_names(self._server, (), found, found + step - 1):
            found += step
        return found
