"""What every route of Prometheus's API shares: parameters in, ``status`` and ``data`` out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.responses import Response

from watchkeeper.app.engine import Engine
from watchkeeper.errors import QueryError

T = TypeVar("T")

#: Said when ``limit`` cut an answer.
TRUNCATED = "results truncated due to limit"
#: Go's zero time: never.
NEVER = "0001-01-01T00:00:00Z"


async def parameters(request: Request) -> dict[str, list[str]]:
    """Query string and form together: Grafana posts forms."""
    found: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        found.setdefault(key, []).append(value)
    if request.method == "POST":
        form = await request.form()
        for key, item in form.multi_items():
            found.setdefault(key, []).append(str(item))
    return found


Parameters = Annotated[dict[str, list[str]], Depends(parameters)]


def engine_of(request: Request) -> Engine:
    found: Engine = request.app.state.engine
    return found


def first(found: dict[str, list[str]], name: str) -> str:
    """The parameter's first value, empty without one."""
    return next(iter(found.get(name, ())), "")


def flag(found: dict[str, list[str]], name: str) -> bool:
    """As Go reads a truth value; absent is false. Raises QueryError."""
    text = first(found, name)
    if text.lower() in ("", "0", "f", "false"):
        return False
    if text.lower() in ("1", "t", "true"):
        return True
    raise QueryError(f'invalid parameter "{name}": cannot parse {quoted(text)} as a truth value')


def whole(found: dict[str, list[str]], name: str) -> int:
    """A whole number from 0, which is also the default. Raises QueryError."""
    text = first(found, name)
    try:
        value = int(text or 0)
    except ValueError:
        raise QueryError(f'invalid parameter "{name}": {quoted(text)} is not a whole number') from None
    if value < 0:
        raise QueryError(f'invalid parameter "{name}": {name} must be non-negative')
    return value


def quoted(text: str) -> str:
    """As Go's %q writes it."""
    return json.dumps(text[:200], ensure_ascii=False)


def cut(rows: Sequence[T], limit: int) -> tuple[Sequence[T], list[str]]:
    """(the first ``limit`` rows, what to warn of); 0 is no limit."""
    return (rows[:limit], [TRUNCATED]) if 0 < limit < len(rows) else (rows, [])


def success(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    return success_text(_dumps(data), warnings, infos)


def success_text(data: bytes, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """As ``success``, of data that is JSON already."""
    parts = [b'{"status":"success","data":', data]
    if warnings:
        parts += [b',"warnings":', _dumps(warnings)]
    if infos:
        parts += [b',"infos":', _dumps(infos)]
    return Response(b"".join([*parts, b"}"]), media_type="application/json")


def rfc3339(at: datetime | None) -> str:
    """UTC without needless digits, as Go writes a time; None is Go's zero time."""
    if at is None:
        return NEVER
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def _dumps(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
