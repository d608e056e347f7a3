"""What series, label names and label values there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.answers import Parameters, cut, engine_of, quoted, success, whole
from watchkeeper.app.api.prometheus.times import LATEST_MS, span_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher
from watchkeeper.promql import parse, selectors
from watchkeeper.promql.nodes import Selector

router = APIRouter(prefix="/api/v1", dependencies=[Depends(read)])

#: A label name of any characters as clients put it into an address: ``_dd_`` is a character, ``__`` an underscore.
ESCAPED = re.compile(r"__|_([0-9A-Fa-f]{1,6})_")


@router.post("/series", include_in_schema=False)
@router.get("/series")
def series(request: Request, found: Parameters) -> Response:
    engine, (start, end) = engine_of(request), span_ms(found, -LATEST_MS, LATEST_MS)
    wanted = matchers(found)
    if not wanted:
        raise QueryError("no match[] parameter provided")
    rows = {one for group in wanted for one in engine.samples.series(group, start, end)}
    kept, warnings = cut(sorted(rows), whole(found, "limit"))
    return success([dict(one) for one in kept], warnings)


@router.post("/labels", include_in_schema=False)
@router.get("/labels")
def label_names(request: Request, found: Parameters) -> Response:
    engine, (start, end) = engine_of(request), span_ms(found, -LATEST_MS, LATEST_MS)
    names = {name for group in matchers(found) or [[]] for name in engine.samples.label_names(group, start, end)}
    kept, warnings = cut(sorted(names), whole(found, "limit"))
    return success(kept, warnings)


@router.get("/label/{name}/values")
def label_values(request: Request, name: str, found: Parameters) -> Response:
    engine, (start, end) = engine_of(request), span_ms(found, -LATEST_MS, LATEST_MS)
    plain = unescape(name)
    groups = matchers(found) or [[]]
    values = {value for group in groups for value in engine.samples.label_values(plain, group, start, end)}
    kept, warnings = cut(sorted(values), whole(found, "limit"))
    return success(kept, warnings)


def unescape(name: str) -> str:
    """The label's own name. Raises QueryError for what no label can be called."""
    plain = name
    if name.startswith("U__"):
        plain = ESCAPED.sub(_unescaped, name[3:])
    elif not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
        plain = ""
    if not plain or any(0xD800 <= ord(one) < 0xE000 for one in plain):
        raise QueryError(f"invalid label name: {quoted(name)}")
    return plain


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1] or "5f", 16)
    return chr(code) if code <= sys.maxunicode else "\ud800"  # no character: the caller refuses it


def matchers(found: dict[str, list[str]], name: str = "match[]") -> list[list[Matcher]]:
    """The selectors of a parameter. Each must be one plain selector. Raises QueryError."""
    groups: list[Sequence[Matcher]] = []
    for text in found.get(name, []):
        if not isinstance(parse(text), Selector):
            raise QueryError(f'invalid parameter "{name}": {quoted(text)} is not a selector')
        groups.append(selectors(text)[0][0])
    return [list(group) for group in groups]
