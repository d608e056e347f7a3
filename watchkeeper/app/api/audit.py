"""The audit: rows that are asked for, whether the chain holds, and the rows as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.chain import Verified
from watchkeeper.app.engine import Engine
from watchkeeper.store.state import AuditRow, AuditWanted

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

Words = Annotated[str, Query(max_length=200)]
#: Fields of a row on a page; an export has the previous hash too, so that it can be verified by itself.
NAMES = ("seq", "at", "actor", "action", "subject", "detail", "hash")
#: Rows that are read at a time for an export.
CHUNK = 500


def wanted(
    actor: Words = "",
    action: Words = "",
    text: Words = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> AuditWanted:
    moments = (at if at is None or at.tzinfo else at.replace(tzinfo=UTC) for at in (since, until))
    return AuditWanted(actor=actor, action=action, text=text, since=next(moments), until=next(moments), before=before)


@router.get("/audit")
def audit(request: Request, asked: Annotated[AuditWanted, Depends(wanted)], limit: int = 200) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    most = min(max(limit, 1), 1000)
    with engine.state.read() as unit:
        rows = unit.audit.newest(most + 1, asked)
    shown = rows[:most]
    return {
        "rows": [_row(row) for row in shown],
        "next": shown[-1].seq if len(rows) > most else None,
        **_chain(engine, engine.chain.look(engine.clock.now())),
    }


@router.post("/audit/verify")
def verify(request: Request, _caller: Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]) -> dict[str, Any]:
    """Read every row now, and compare it with the heads that were kept elsewhere."""
    engine: Engine = request.app.state.engine
    return _chain(engine, engine.chain.look(engine.clock.now(), anew=True))


@router.get("/audit/export")
def export(
    request: Request, asked: Annotated[AuditWanted, Depends(wanted)], limit: Annotated[int, Query(ge=0)] = 0
) -> StreamingResponse:
    """Every row that is asked for, newest first, a line of JSON each; ``limit`` 0 is all of them."""
    engine: Engine = request.app.state.engine
    name = f"watchkeeper-audit-{engine.clock.now():%Y%m%dT%H%M%SZ}.jsonl"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    lines = islice(_lines(engine, asked), limit or None)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


def _lines(engine: Engine, asked: AuditWanted) -> Iterator[str]:
    """In pieces, each a read of its own: an export of years holds no snapshot open."""
    while True:
        with engine.state.read() as unit:
            rows = unit.audit.newest(CHUNK, asked)
        for row in rows:
            yield json.dumps({**_row(row), "previous_hash": row.previous_hash}, ensure_ascii=False) + "\n"
        if len(rows) < CHUNK:
            return
        asked = replace(asked, before=rows[-1].seq)


def _row(row: AuditRow) -> dict[str, Any]:
    return {name: shapes.plain(getattr(row, name)) for name in NAMES}


def _chain(engine: Engine, found: Verified) -> dict[str, Any]:
    missing = found.missing and {"row": found.missing[0], "hash": found.missing[1]}
    heads = [
        {"place": place, "at": shapes.moment(sent.at), "row": sent.row, "outcome": sent.outcome}
        for place, sent in sorted(engine.heads.last.items())
    ]
    return {
        "intact": found.intact,
        "broken_at": found.broken_at,
        "missing_head": missing,
        "verified_at": shapes.moment(found.at),
        "verified_rows": found.rows,
        "head": found.head,
        "heads_compared": found.heads,
        "heads_unread": found.unread,
        "heads_sent": heads,
        "heads_configured": engine.heads.any,
    }
