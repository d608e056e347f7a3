"""Agents: what they are to collect, the lines they send, and how each fares."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from watchkeeper.access import Permission
from watchkeeper.app.agents import agents_of
from watchkeeper.app.api import clients
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.assigning import rows_for
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.errors import StoreError
from watchkeeper.wire.errors import TooLargeError, WireError

router = APIRouter(prefix="/api/wk/agents")
writer = Depends(needs(Permission.WRITE_SAMPLES))

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
#: Seconds an agent is asked to wait when the store cannot take lines now.
RETRY_AFTER = "5"


@router.get("", dependencies=[Depends(read)])
def agents(request: Request) -> dict[str, Any]:
    """{"agents": [{"agent", "location", "state": up|silent, ...}]}, by name."""
    return {"agents": agents_of(request.app.state.engine)}


@router.post("/{name}/lines", dependencies=[writer])
async def lines(request: Request, name: Name) -> Response:
    """{"next"}: number of the first line of the agent's queue that is not kept yet. Durable before the answer."""
    engine: Engine = request.app.state.engine
    if clients.unknown(engine, request):
        return PlainTextResponse(clients.WANTED, status_code=403)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        return PlainTextResponse("content-encoding must be gzip or none\n", status_code=415)
    body = await request.body()
    try:
        following = await run_in_threadpool(engine.receiving_lines.write, name, body, gzipped=encoding == "gzip")
    except WireError as error:
        return PlainTextResponse(f"{error}\n", status_code=413 if isinstance(error, TooLargeError) else 400)
    except StoreError as error:
        return PlainTextResponse(f"{error}\n", status_code=503, headers={"Retry-After": RETRY_AFTER})
    if (source := engine.receiving_lines.sources.get(name)) is not None:
        engine.sources.setdefault(source.name, source)
    return JSONResponse({"next": following})


@router.get("/{name}/clock", dependencies=[writer])
def clock(request: Request, name: Name) -> dict[str, int]:  # noqa: ARG001 - whose clock it is compared with
    """{"now_ms"}: the engine's time, by which an agent judges its own."""
    engine: Engine = request.app.state.engine
    return {"now_ms": to_ms(engine.clock.now())}


@router.get("/{name}/sources", dependencies=[writer])
def sources(request: Request, name: Name, location: str = "") -> dict[str, Any]:
    """{"sources"}: what this agent is to run. There may be secrets in it: only the agent itself gets an answer."""
    engine: Engine = request.app.state.engine
    if not clients.asked_for(engine) or name not in clients.names_of(request):
        said = f"sources are handed out where engine.tls.clients_ca is set, to the holder of a certificate for {name}"
        raise HTTPException(403, said)
    return {"sources": rows_for(engine.config, name, location)}
