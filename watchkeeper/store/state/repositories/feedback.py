"""Words on alarms, what they taught, moves of limits, recorded incidents: rows are undone, never removed by hand."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Table, delete, func, insert, select, update

from watchkeeper.model import Feedback, Lesson, Move, Opinion, Recorded
from watchkeeper.store.state.repositories.common import Repository, next_number
from watchkeeper.store.state.tables import expectations, feedback, recorded_incidents, threshold_moves

Row = TypeVar("Row", Feedback, Lesson, Move, Recorded)
#: Kind of row -> its table, and how its ids begin.
TABLES: dict[type[Any], tuple[Table, str]] = {
    Feedback: (feedback, "word"),
    Lesson: (expectations, "expected"),
    Move: (threshold_moves, "move"),
    Recorded: (recorded_incidents, "recorded"),
}
#: Rows read at most.
MOST = 10_000


class Feedbacks(Repository):
    def add(self, row: Row) -> Row:
        """The row with its id."""
        table, prefix = TABLES[type(row)]
        kept = replace(row, id=f"{prefix}-{next_number(self.connection, prefix)}")
        self.connection.execute(insert(table).values(**asdict(kept)))
        return kept

    def get(self, kind: type[Row], row_id: str) -> Row | None:
        table, _ = TABLES[kind]
        row = self.connection.execute(select(table).where(table.c.id == row_id)).mappings().first()
        return None if row is None else _read(kind, row)

    def undo(self, kind: type[Row], row_id: str, *, by: str, at: datetime) -> bool:
        """False when it was undone before."""
        table, _ = TABLES[kind]
        unchanged = (table.c.id == row_id) & table.c.undone_at.is_(None)
        return bool(self.connection.execute(update(table).where(unchanged).values(undone_at=at, undone_by=by)).rowcount)

    def words(self, since: datetime) -> list[Feedback]:
        """Oldest first, undone ones too."""
        query = select(feedback).where(feedback.c.at >= since).order_by(*in_order(feedback)).limit(MOST)
        return [_read(Feedback, row) for row in self.connection.execute(query).mappings()]

    def words_on(self, alarm: str) -> list[Feedback]:
        """Those on one alarm that stand."""
        query = select(feedback).where(feedback.c.alarm == alarm, feedback.c.undone_at.is_(None))
        return [_read(Feedback, row) for row in self.connection.execute(query.order_by(*in_order(feedback))).mappings()]

    def expectations(self, now: datetime) -> list[Lesson]:
        """Those in force."""
        table = expectations
        query = select(table).where(table.c.until > now, table.c.undone_at.is_(None)).order_by(table.c.created_at)
        return [_read(Lesson, row) for row in self.connection.execute(query.limit(MOST)).mappings()]

    def taught_by(self, word: str) -> list[Lesson]:
        query = select(expectations).where(expectations.c.feedback == word, expectations.c.undone_at.is_(None))
        return [_read(Lesson, row) for row in self.connection.execute(query).mappings()]

    def moves(self) -> list[Move]:
        """The newest, oldest first, undone ones too."""
        order = [column.desc() for column in in_order(threshold_moves)]
        rows = self.connection.execute(select(threshold_moves).order_by(*order).limit(MOST)).mappings()
        return [_read(Move, row) for row in rows][::-1]

    def recorded(self, since: datetime) -> list[Recorded]:
        """Oldest first, undone ones too."""
        table = recorded_incidents
        query = select(table).where(table.c.began_at >= since).order_by(table.c.began_at, table.c.id).limit(MOST)
        return [_read(Recorded, row) for row in self.connection.execute(query).mappings()]

    def prune(self, before: datetime) -> int:
        """Drop old words, recorded incidents and expectations that are over. Moves stay: limits are made of them."""
        dropped = 0
        for condition in (
            delete(feedback).where(feedback.c.at < before),
            delete(expectations).where(expectations.c.until < before),
            delete(recorded_incidents).where(recorded_incidents.c.at < before),
        ):
            dropped += self.connection.execute(condition).rowcount
        return dropped


def in_order(table: Table) -> tuple[Any, ...]:
    """By time, and rows of one moment as they were added: move-10 comes after move-9."""
    return table.c.at, func.length(table.c.id), table.c.id


def _read(kind: type[Row], row: Any) -> Row:
    values = dict(row)
    if kind is Feedback:
        values["opinion"] = Opinion(values["opinion"])
    return kind(**values)
