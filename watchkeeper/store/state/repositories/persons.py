"""One person's data in the state: events overwritten, the account removed, and where else they are named."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Text, delete, or_, select, type_coerce, update

from watchkeeper.person import Person
from watchkeeper.store.state.columns import Json, Words
from watchkeeper.store.state.repositories.common import Repository
from watchkeeper.store.state.tables import events, login_failures, metadata, sessions, tokens, users

#: Columns of events in which people are named. The rest tells deliveries and services apart.
SAID = ("title", "version", "actor", "link", "labels", "payload")
#: Tables whose rows of a person are removed or overwritten.
DONE = frozenset({"events", "users", "sessions", "tokens", "login_failures"})


class Persons(Repository):
    def events_naming(self, person: Person) -> list[str]:
        """Ids."""
        return [str(row["id"]) for row in self._rows(person, SAID)]

    def overwrite_events(self, person: Person) -> int:
        """How many events had the person in their words; they stay, without them."""
        rows = list(self._rows(person, SAID))
        for row in rows:
            values = {name: person.erased(row[name]) for name in SAID}
            self.connection.execute(update(events).where(events.c.id == row["id"]).values(**values))
        return len(rows)

    def _rows(self, person: Person, names: tuple[str, ...]) -> Iterator[dict[str, object]]:
        where = or_(*(_holds(events.c[name], person) for name in names))
        for row in self.connection.execute(select(events).where(where)).mappings():
            if any(person.erased(row[name]) != row[name] for name in names):
                yield dict(row)

    def accounts(self, person: Person) -> list[str]:
        """Names of accounts that are the person's: one of the words as a whole, in any case."""
        words = {word.casefold() for word in person.words}
        names = self.connection.execute(select(users.c.name)).scalars()
        return [name for name in names if name.casefold() in words]

    def remove_accounts(self, names: list[str], person: Person) -> None:
        """The accounts with their sessions and tokens, and sign-ins that failed under any of the words."""
        self.connection.execute(delete(sessions).where(sessions.c.user.in_(names)))
        self.connection.execute(delete(tokens).where(tokens.c.user.in_(names)))
        self.connection.execute(delete(users).where(users.c.name.in_(names)))
        tried = self.connection.execute(select(login_failures.c.account).distinct()).scalars()
        own = [name for name in tried if person.named_in(name)]
        self.connection.execute(delete(login_failures).where(login_failures.c.account.in_(own)))

    def left(self, person: Person) -> dict[str, int]:
        """Table -> rows that name the person and stay as they are."""
        found: dict[str, int] = {}
        for table in metadata.sorted_tables:
            columns = [column for column in table.columns if isinstance(column.type, Words | Json)]
            if table.name in DONE or not columns:
                continue
            texts = [type_coerce(column, Text) for column in columns]
            query = select(*texts).where(or_(*(_holds(column, person) for column in columns)))
            rows = self.connection.execute(query)
            count = sum(any(person.named_in(text) for text in row if text) for row in rows)
            if count:
                found[table.name] = count
        return found


def _holds(column: ColumnElement[object], person: Person) -> ColumnElement[bool]:
    """The database's own coarse look: who it finds is looked at closely."""
    text = type_coerce(column, Text)
    return or_(*(text.icontains(form, autoescape=True) for form in person.forms))
