"""Snapshots for backups: made and dropped by name, never at a path of the caller's choice."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request

from watchkeeper.access import Permission
from watchkeeper.app import snapshots
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine

router = APIRouter(prefix="/api/wk/snapshots", dependencies=[Depends(needs(Permission.MANAGE_USERS))])


@router.post("")
def make(request: Request) -> dict[str, Any]:
    """A consistent state of samples, state and journal inside the data directory. Runs beside the engine's loop."""
    engine: Engine = request.app.state.engine
    name, size = snapshots.take(engine, engine.clock.now())
    return {"name": name, "sample_bytes": size}


@router.delete("/{name}")
def drop(request: Request, name: str) -> dict[str, Any]:
    """Done with it."""
    engine: Engine = request.app.state.engine
    if not snapshots.drop(engine.data.snapshots, name):
        raise HTTPException(404, f"there is no snapshot {name}")
    return {"dropped": name}
