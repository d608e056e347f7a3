"""Words on alarms: right, wrong, expected; what follows from them, and how good each detector is."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.alarms import Alarm, alarms, find
from watchkeeper.app.pipeline.hear import UndoneError, UnknownAlarmError
from watchkeeper.config.types import parse_duration
from watchkeeper.model import Opinion

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Alarms listed at most, and how far back.
MOST, BACK = 500, timedelta(days=7)

Heard = Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]


class Word(BaseModel):
    verdict: Opinion
    note: str = Field(default="", max_length=2000)
    began_at: AwareDatetime | None = None  #: when what it is about really began
    lasting: str = Field(default="", max_length=20)  #: expected: for how long; empty: ``feedback.expected_for``


class NewIncident(BaseModel):
    service: str = Field(min_length=1, max_length=200)
    what: str = Field(min_length=1, max_length=2000)
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None


@router.get("/alarms")
def listed(request: Request, limit: int = 100) -> dict[str, Any]:
    """Every alarm of the last week (anomalies: of the last day) with what people said of it."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.read() as unit:
        rows = alarms(engine, unit, now - BACK)[: min(max(limit, 1), MOST)]
        said = {one.alarm: one for one in unit.feedback.words(now - BACK) if one.undone_at is None}
    return {
        "now": shapes.moment(now),
        "alarms": [_alarm(one) | {"word": shapes.record(said.get(one.id))} for one in rows],
    }


@router.get("/alarms/{alarm_id}")
def one_alarm(request: Request, alarm_id: str) -> dict[str, Any]:
    """The alarm, or all alarms of an incident, with the word on each: what the link of a message shows."""
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        rows = find(engine, unit, alarm_id)
        said = {one.id: unit.feedback.words_on(one.id)[-1:] for one in rows}
    if not rows:
        raise HTTPException(404, f"there is no alarm {alarm_id}")
    return {"alarms": [_alarm(one) | {"word": shapes.record(next(iter(said[one.id]), None))} for one in rows]}


@router.post("/alarms/{alarm_id}/verdict", status_code=201)
def say(request: Request, alarm_id: str, body: Word, caller: Heard) -> dict[str, Any]:
    """``{"words": [...]}``: one for an alarm, one for each alarm of an incident."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    if body.began_at is not None and body.began_at > now:
        raise HTTPException(400, "began_at: it has not begun yet")
    try:
        said = engine.hearing.say(
            alarm_id, body.verdict, caller.name, now, note=body.note, began_at=_utc(body.began_at),
            lasting=_lasting(body.lasting),
        )  # fmt: skip
    except UnknownAlarmError as error:
        raise HTTPException(404, str(error)) from None
    return {"words": [shapes.record(one) for one in said]}


@router.post("/feedback/{row_id}/undo")
def undo(request: Request, row_id: str, caller: Heard) -> dict[str, Any]:
    """Take back a word with all that followed from it, an expectation, a move of a limit, or a recorded incident."""
    engine: Engine = request.app.state.engine
    try:
        engine.hearing.take_back(row_id, caller.name, engine.clock.now())
    except UnknownAlarmError as error:
        raise HTTPException(404, str(error)) from None
    except UndoneError as error:
        raise HTTPException(409, str(error)) from None
    return {"undone": row_id}


@router.post("/recorded", status_code=201)
def record(request: Request, body: NewIncident, caller: Heard) -> dict[str, Any]:
    """An incident that people noticed, with the detectors that had told of it."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    began, ended = _utc(body.began_at), _utc(body.ended_at)
    if began is None or began > now or (ended is not None and ended < began):
        raise HTTPException(400, "began_at is not in the future, and ended_at not before it")
    return shapes.record(engine.hearing.record(body.service, body.what, began, ended, caller.name, now)) or {}


@router.get("/detectors")
def detectors(request: Request) -> dict[str, Any]:
    """Precision, recall and time to detect; what is expected, which limits were moved and why."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    section = engine.config.feedback
    found = engine.hearing.figures(now)
    with engine.state.read() as unit:
        expectations, moves = unit.feedback.expectations(now), unit.feedback.moves()[-MOST:]
        recorded = unit.feedback.recorded(now - section.window)
    return {
        "now": shapes.moment(now),
        "days": section.window.days,
        "figures": [{**shapes.plain(asdict(one)), "enough": one.enough} for one in found],
        "expectations": [shapes.record(one) for one in expectations],
        "moves": [shapes.record(one) for one in reversed(moves)],
        "bounds": [section.lower, section.upper],
        "recorded": [shapes.record(one) for one in reversed(recorded)],
    }


def _alarm(one: Alarm) -> dict[str, Any]:
    row: dict[str, Any] = shapes.plain(asdict(one))
    return row


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


def _lasting(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        length: timedelta = parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, f"lasting: {error}") from None
    if length <= timedelta(0):
        raise HTTPException(400, "lasting: more than nothing")
    return length
