"""Hear: what people say of alarms is kept, taught, counted and shown; all of it can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from analytics.feedback import Figures, figures
from watchkeeper.app.pipeline.alarms import Alarm, alarms, find
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.taught import Taught, by_mark, limits_of, newest_moves
from watchkeeper.app.schedule import every
from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Feedback, Lesson, Move, Opinion, Recorded, labels
from watchkeeper.model.feedback import minute_of_week

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: How often figures are published and what was taught is read again.
EVERY = timedelta(minutes=1)
#: An alarm so long before an incident was recorded to have begun is taken for its.
LEAD = timedelta(minutes=15)
#: Alarms later than this after it began did not tell of it.
LATE = timedelta(hours=6)


class UnknownAlarmError(WatchkeeperError):
    """There is no alarm, word, expectation, move or recorded incident of this id."""


class UndoneError(WatchkeeperError):
    """It was undone before."""


@dataclass(slots=True, eq=False)
class Hearing:
    """Words come over the API; ``step`` publishes what is made of them."""

    engine: Engine
    _published: Published = field(default_factory=lambda: Published("feedback"))

    # --- words -------------------------------------------------------------------------------------------------------

    def say(
        self,
        alarm_id: str,
        opinion: Opinion,
        actor: str,
        now: datetime,
        *,
        note: str = "",
        began_at: datetime | None = None,
        lasting: timedelta | None = None,
    ) -> list[Feedback]:
        """Keep a word on an alarm, or on all alarms of an incident; one said before on the same alarm is taken back.

        ``began_at``: when what it is about really began. ``lasting``: for how long an expected one is not told.
        """
        with self.engine.state.begin() as unit:
            found = find(self.engine, unit, alarm_id)
            if not found:
                raise UnknownAlarmError(
                    f"there is no alarm {alarm_id}; ids look like alert-7, inc-3 or anomaly-0f…-1700000000000, "
                    "and anomalies can be judged for a day"
                )
            said = [self._keep(unit, one, opinion, actor, now, note, began_at, lasting) for one in found]
        self.refresh(now)
        return said

    def _keep(
        self, unit: Unit, alarm: Alarm, opinion: Opinion, actor: str, now: datetime, note: str,
        began_at: datetime | None, lasting: timedelta | None,
    ) -> Feedback:  # fmt: skip
        for earlier in unit.feedback.words_on(alarm.id):
            self._take_back(unit, earlier, actor, now)
        word = unit.feedback.add(
            Feedback(
                alarm=alarm.id, incident=alarm.incident, detector=alarm.detector, service=alarm.service,
                labels=alarm.labels, opinion=opinion, began_at=began_at or alarm.began_at, raised_at=alarm.raised_at,
                note=note, actor=actor, at=now,
            )
        )  # fmt: skip
        if opinion is Opinion.EXPECTED:
            self._teach(unit, alarm, word, lasting)
        elif alarm.detector in self.engine.scoring.kinds():
            section = self.engine.config.feedback
            by = section.step if opinion is Opinion.WRONG else -section.step_down
            about = (alarm.detector, alarm.service, alarm.metric)
            self._move(unit, about, by, why=opinion, word=word.id, actor=actor, now=now)
        detail = {"opinion": opinion, "word": word.id, "note": note}
        unit.audit.append(actor, "feedback", alarm.id, detail, at=now)
        return word

    def _teach(self, unit: Unit, alarm: Alarm, word: Feedback, lasting: timedelta | None) -> None:
        section, zone = self.engine.config.feedback, self.engine.config.time_zone
        unit.feedback.add(
            Lesson(
                feedback=word.id, mark=alarm.mark, title=alarm.title, labels=alarm.labels,
                minute=minute_of_week(alarm.raised_at, zone), zone=zone,
                length_seconds=max((alarm.ended_at or word.at) - alarm.raised_at, timedelta()).total_seconds()
                if alarm.ended_at or alarm.is_open else 0.0,
                change=alarm.change, created_at=word.at,
                until=word.at + min(lasting or section.expected_for, section.expected_most), actor=word.actor,
            )
        )  # fmt: skip

    def _move(
        self, unit: Unit, about: tuple[str, str, str], by: float, *, why: str, word: str, actor: str, now: datetime
    ) -> None:
        """Within the bounds; a move that changes nothing is none. ``about``: detector, service, metric."""
        section, (detector, service, metric) = self.engine.config.feedback, about
        old = limits_of(unit.feedback.moves(), self.engine.scoring.kinds()).get((service, metric), 0.0)
        new = round(min(max(old + by, section.lower), section.upper), 6)
        if new != old:
            unit.feedback.add(
                Move(detector=detector, service=service, metric=metric, old=old, new=new, why=why, feedback=word,
                     actor=actor, at=now)
            )  # fmt: skip

    # --- taken back --------------------------------------------------------------------------------------------------

    def take_back(self, row_id: str, actor: str, now: datetime) -> None:
        """Undo a word with all that followed from it, one expectation, one move, or a recorded incident."""
        with self.engine.state.begin() as unit:
            undone = self._undone(unit, row_id, actor, now)
            if undone is None:
                raise UnknownAlarmError(f"there is no {row_id}; ids look like word-1, expected-1, move-1 or recorded-1")
            if not undone:
                raise UndoneError(f"{row_id} was undone before")
            unit.audit.append(actor, "undo_feedback", row_id, {}, at=now)
        self.refresh(now)

    def _undone(self, unit: Unit, row_id: str, actor: str, now: datetime) -> bool | None:
        """None: there is no such row; False: it was undone before."""
        word, move = unit.feedback.get(Feedback, row_id), unit.feedback.get(Move, row_id)
        if word is not None:
            return self._take_back(unit, word, actor, now)
        if move is not None:
            return self._move_back(unit, move, actor, now)
        if unit.feedback.get(Lesson, row_id) is not None:
            return unit.feedback.undo(Lesson, row_id, by=actor, at=now)
        if unit.feedback.get(Recorded, row_id) is not None:
            self._moves_back(unit, row_id, actor, now)
            return unit.feedback.undo(Recorded, row_id, by=actor, at=now)
        return None

    def _take_back(self, unit: Unit, word: Feedback, actor: str, now: datetime) -> bool:
        for taught in unit.feedback.taught_by(word.id):
            unit.feedback.undo(Lesson, taught.id, by=actor, at=now)
        self._moves_back(unit, word.id, actor, now)
        return unit.feedback.undo(Feedback, word.id, by=actor, at=now)

    def _moves_back(self, unit: Unit, row_id: str, actor: str, now: datetime) -> None:
        for move in unit.feedback.moves():
            if move.feedback == row_id and move.undone_at is None:
                self._move_back(unit, move, actor, now)

    def _move_back(self, unit: Unit, move: Move, actor: str, now: datetime) -> bool:
        """By as much as it moved, recorded as a move of its own."""
        if not unit.feedback.undo(Move, move.id, by=actor, at=now):
            return False
        self._move(
            unit,
            (move.detector, move.service, move.metric),
            move.old - move.new,
            why="undone",
            word=move.id,
            actor=actor,
            now=now,
        )
        return True

    # --- incidents that people recorded ------------------------------------------------------------------------------

    def record(
        self, service: str, what: str, began_at: datetime, ended_at: datetime | None, actor: str, now: datetime
    ) -> Recorded:
        """Keep it with the detectors that told of it in time; where ours did not, its limits for the service fall."""
        with self.engine.state.begin() as unit:
            told = self._told(unit, service, began_at, ended_at or now)
            row = unit.feedback.add(
                Recorded(service=service, what=what, began_at=began_at, ended_at=ended_at, found=told, actor=actor,
                         at=now)
            )  # fmt: skip
            if not self.engine.scoring.kinds() & told.keys():
                step, about = -self.engine.config.feedback.step, (self.engine.config.scoring.detector, service, "")
                self._move(unit, about, step, why="missed", word=row.id, actor=actor, now=now)
            unit.audit.append(actor, "record_incident", row.id, {"service": service, "what": what}, at=now)
        self.refresh(now)
        return row

    def _told(self, unit: Unit, service: str, began_at: datetime, ended_at: datetime) -> dict[str, str]:
        """Detector -> its first alarm of this service around the beginning."""
        found: dict[str, str] = {}
        last = min(ended_at, began_at + LATE)
        for one in reversed(alarms(self.engine, unit, began_at - LATE)):
            if one.service == service and began_at - LEAD <= one.raised_at <= last:
                found.setdefault(one.detector, one.raised_at.isoformat())
        return found

    # --- figures -----------------------------------------------------------------------------------------------------

    def refresh(self, now: datetime) -> None:
        """Tell the scoring what was taught."""
        section = self.engine.config.feedback
        with self.engine.state.read() as unit:
            expectations, moves = unit.feedback.expectations(now), unit.feedback.moves()
        self.engine.scoring.taught = Taught(
            expected=by_mark(expectations),
            limits=limits_of(moves, self.engine.scoring.kinds()),
            lower=section.lower,
            upper=section.upper,
        )

    def figures(self, now: datetime) -> list[Figures]:
        since = now - self.engine.config.feedback.window
        with self.engine.state.read() as unit:
            return figures(unit.feedback.words(since), unit.feedback.recorded(since))

    async def step(self, now: datetime) -> None:
        rows = await asyncio.to_thread(self._rows, now)
        if rows or len(self._published):
            await self.engine.collecting.append_derived("feedback", [self._published.tick(rows, now)])

    def _rows(self, now: datetime) -> list[Row]:
        self.refresh(now)
        rows = [row for one in self.figures(now) for row in series_of(one)]
        with self.engine.state.read() as unit:
            moved = newest_moves(unit.feedback.moves(), self.engine.scoring.kinds())
        for (service, metric), one in moved.items():
            about = {"detector": one.detector, "service": service, "metric": metric}
            rows.append((labels("watchkeeper_detector_limit", about), one.new))
        return rows


def series_of(one: Figures) -> Sequence[Row]:
    """``watchkeeper_detector_*{detector,service}``; what is not known has no series."""
    about = {"detector": one.detector, "service": one.service}
    found: list[Row] = [
        (labels("watchkeeper_detector_precision", about), one.precision),
        (labels("watchkeeper_detector_recall", about), one.recall),
        (labels("watchkeeper_detector_time_to_detect_seconds", about), one.time_to_detect_seconds),
        (labels("watchkeeper_detector_missed_incidents", about), float(one.missed)),
    ]
    for opinion, count in (("right", one.right), ("wrong", one.wrong), ("expected", one.expected)):
        found.append((labels("watchkeeper_detector_verdicts", about, opinion=opinion), float(count)))
    return found


def schedule(engine: Engine, now: datetime) -> None:
    engine.scheduler.add("feedback", every(EVERY, now + EVERY / 6), engine.hearing.step)
