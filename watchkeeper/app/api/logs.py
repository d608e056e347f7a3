"""Log lines by words, fields, time, service and severity."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import SEVERITIES, SEVERITY_CODES
from watchkeeper.store.logs import Found, Question
from watchkeeper.store.logs.match import spans
from watchkeeper.store.logs.query import Term, parse

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: What is looked at when nothing else is said.
HOUR_MS = 3_600_000
#: Word for lines that state no severity.
NONE = "none"
#: Templates among which one is looked for, and words of it that are looked up.
MOST_KINDS, MOST_WORDS = 100_000, 8
Moment = Annotated[int | None, Query(ge=0, le=1 << 53)]


@router.get("/logs")
def logs(
    request: Request,
    query: str = "",
    start_ms: Moment = None,
    end_ms: Moment = None,
    service: str = "",
    severity: str = "",
    template: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: str = "",
    buckets: Annotated[int, Query(ge=0, le=200)] = 0,
) -> dict[str, Any]:
    """Lines newest first; ``next`` is ``before`` of the next page. The last hour unless a range is given.

    ``template`` is the name of a kind of lines; its fixed words are looked up, and each line found is asked its kind.
    A question that cannot be read is answered with its mistake in ``error``.
    """
    engine: Engine = request.app.state.engine
    end = to_ms(engine.clock.now()) if end_ms is None else end_ms
    start = end - HOUR_MS if start_ms is None else start_ms
    if start > end:
        raise HTTPException(400, "start_ms is behind end_ms")
    question = Question(
        query=query,
        start_ms=start,
        end_ms=end,
        service=service,
        severities=_severities(severity),
        limit=limit,
        before=_cursor(before),
        buckets=buckets,
    )
    try:
        question = _of_kind(engine, question, template) if template else question
        found, terms = engine.lines.store.search(question), parse(question.query)
    except QueryError as error:
        return {**_shape(Found(), [], question), "error": str(error)}
    return _shape(found, terms, question)


@router.get("/logs/templates")
def templates(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> dict[str, Any]:
    """Kinds of lines, the most frequent first; ``enabled`` is whether they are learned."""
    engine: Engine = request.app.state.engine
    kinds = engine.log_metrics.kinds(limit)
    return {
        "enabled": engine.log_metrics.templates.enabled,
        "templates": [shapes.plain(asdict(one)) for one in kinds],
        "unusual": [{**shapes.plain(asdict(one)), "texts": texts} for one, texts in engine.log_metrics.unusual()],
    }


def _of_kind(engine: Engine, question: Question, name: str) -> Question:
    """Only lines of one template: its words narrow the search, the miner decides."""
    text = next((one.text for one in engine.log_metrics.kinds(MOST_KINDS) if one.id == name), None)
    if text is None:
        raise QueryError(f"there is no template {name!r}; GET /api/wk/logs/templates names them")
    words = list(dict.fromkeys(re.findall(r"(?<!\S)[A-Za-z]{2,40}(?!\S)", text)))[:MOST_WORDS]
    query = " ".join([question.query, *(f'"{word}"' for word in words)]).strip()
    return replace(question, query=query, keep=partial(engine.log_metrics.of_kind, name))


def _severities(words: str) -> frozenset[int]:
    wanted = [word for word in words.split(",") if word]
    if wrong := [word for word in wanted if word not in SEVERITY_CODES and word != NONE]:
        raise HTTPException(400, f"there is no severity {wrong[0]!r}; write some of {NONE}{', '.join(SEVERITIES)}")
    return frozenset(0 if word == NONE else SEVERITY_CODES[word] for word in wanted)


def _cursor(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,16}\.\d{1,18}", text):
        raise HTTPException(400, "before is no cursor; give what `next` of the page before said")
    at, _, number = text.partition(".")
    return int(at), int(number)


def _shape(found: Found, terms: list[Term], question: Question) -> dict[str, Any]:
    lines = [
        {
            "time_ms": line.time_ms,
            "severity": line.severity,
            "labels": dict(line.labels),
            "text": line.text,
            "hits": spans(line.text, terms),
        }
        for line in found.lines
    ]
    last = found.lines[-1] if found.lines and found.more else None
    shaped: dict[str, Any] = {
        "lines": lines,
        "next": f"{last.time_ms}.{last.sequence}" if last else "",
        "partial": found.partial,
        "scanned_bytes": found.scanned_bytes,
        "start_ms": question.start_ms,
        "end_ms": question.end_ms,
        "error": "",
    }
    if found.counts is not None:
        shaped["matched"] = found.matched
        shaped["counts"] = {word or NONE: row for word, row in zip(SEVERITIES, found.counts.tolist(), strict=True)}
    return shaped
