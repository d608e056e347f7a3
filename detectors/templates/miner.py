"""Templates of log lines, learned as they come; state is plain data: a restart goes on with the same names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from .compound import joined
from .forms import Form, tidy
from .lexer import SHOWN, Token, lex
from .merge import Event, events_of

#: Lines whose answer is remembered.
MOST_REMEMBERED = 100_000
#: Forms that are learned: some 4 KB each.
MOST_FORMS = 20_000
#: Share of new forms at which all are looked at together again.
FEW_NEW = 0.1
#: Longer lines are told by their beginning.
LONGEST = 2_000
#: Digits become 0: lines that differ in digits alone have the same tokens.
_ALIKE = str.maketrans("123456789", "000000000")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of line."""

    id: str  #: 12 hexadecimal digits, the same after a restart and on another machine that saw its first line
    text: str  #: with ``<*>`` where lines differ
    count: int  #: lines so far


@dataclass(slots=True, eq=False)
class _Read:
    """What was read of a line, and of all lines that differ from it in digits alone."""

    tokens: list[Token]
    key: Key
    waiting: int = 0  #: lines that the form does not know of yet


@dataclass(slots=True, eq=False)
class TemplateMiner:
    """Learns with every line: a value is what looks like one, or what was seen to vary.

    Good for: lines that programs write by a format. Not for: prose, and for structured lines whose fields are already
    named (JSON), where the fields say more.
    """

    most_forms: int = MOST_FORMS  #: beyond so many forms a new one is not learned, and its lines are ``OTHER``
    _forms: dict[Key, Form] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _ids: dict[Key, tuple[str, Event]] = field(default_factory=dict)
    _known: dict[str, _Read] = field(default_factory=dict)
    _waiting: list[_Read] = field(default_factory=list)
    _new: list[Form] = field(default_factory=list)  #: since all were looked at together
    _stale: bool = False
    settled: int = 0  #: how often it was looked which forms are one event

    def learn(self, lines: Iterable[str]) -> None:
        """Count lines and what stands in their blanks."""
        for line, count in Counter(lines).items():
            read = self._read(line)
            if not read.waiting:
                self._waiting.append(read)
            read.waiting += count

    def label(self, lines: Sequence[str]) -> list[tuple[str, str]]:
        """(id, template) of each line as known now, in their order; lines of unknown form are ``OTHER``.

        A form that is new may still become one event with others: ``settle`` says so for all.
        """
        self._count()
        if len(self._new) > FEW_NEW * len(self._forms):
            self.settle()
        known = {line: self._label(line) for line in dict.fromkeys(lines)}
        return [known[line] for line in lines]

    def merged(self) -> dict[str, str]:
        """Kinds that became one with an older one: the name each had -> the name it has."""
        many = [event.forms for event in self._events if len(event.forms) > 1]
        return {_id(form.key): _id(forms[0].key) for forms in many for form in forms[1:]}

    def parameters(self, line: str) -> list[str]:
        """What stands in the blanks of a line, in order."""
        line = said(line)
        return [line[token.start : token.end] for token in self._read(line).tokens if token.kind]

    def templates(self) -> list[Template]:
        """All of them, most frequent first."""
        self.settle()
        found = [one for event in self._events for one in _templates(event)]
        return sorted(found, key=lambda one: (-one.count, one.id))

    def state(self) -> dict[str, Any]:
        """What ``restored`` needs, as plain lists and numbers (JSON), oldest form first."""
        self._count()
        forms = [
            [
                list(form.key),
                form.count,
                [[[*text, lines] for text, lines in seen.items()] for seen in form.texts.values()],
            ]
            for form in self._forms.values()
        ]
        return {"version": 1, "forms": forms}

    @classmethod
    def restored(cls, state: Mapping[str, Any], *, most_forms: int = MOST_FORMS) -> TemplateMiner:
        """A miner that goes on where that state was taken; ValueError when it is none."""
        if state.get("version") != 1:
            raise ValueError(f"templates of version {state.get('version')!r}, expected 1")
        miner = cls(most_forms=most_forms)
        for key, count, texts in state["forms"]:
            form = miner._forms[tuple(key)] = Form(tuple(key), len(miner._forms))
            form.count = count
            for seen, known in zip(form.texts.values(), texts, strict=True):
                seen.update({(kind, text): lines for kind, text, lines in known})
        miner._stale = True
        miner.settle()
        return miner

    def _read(self, line: str) -> _Read:
        line = said(line)
        alike = line.translate(_ALIKE)
        known = self._known.get(alike)
        if known is not None:
            return known
        tokens = joined(lex(line))
        read = _Read(tokens, tuple(token.key for token in tokens))
        if not any(token.kind and any(map(str.isdigit, token.text)) for token in tokens):
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[alike] = read
        return read

    def _label(self, line: str) -> tuple[str, str]:
        read = self._read(line)
        found = self._ids.get(read.key)
        if found is None:
            return OTHER
        name, event = found
        if not event.kinds:
            return name, event.template
        return _kind(event, [read.tokens[place].text for place in event.kinds])

    def settle(self) -> None:
        """Which forms are one event, anew from all of them."""
        self._count()
        if self._stale:
            self._events = events_of(self._forms.values())
            self._ids = {form.key: (_id(event.forms[0].key), event) for event in self._events for form in event.forms}
            self._new, self._stale = [], False
            self.settled += 1

    def _count(self) -> None:
        """Tell the forms of the lines that wait; a form that is new is an event of its own for now."""
        for read in self._waiting:
            form = self._forms.get(read.key)
            if form is None and len(self._forms) < self.most_forms:
                form = self._forms[read.key] = Form(read.key, len(self._forms))
                self._new.append(form)
            if form is not None:
                form.add(read.tokens, read.waiting)
            read.waiting = 0
        for form in self._new:
            if form.key not in self._ids:
                self._ids[form.key] = _id(form.key), Event([form], tidy(form.shown(0, len(form.key))))
        self._stale = self._stale or bool(self._waiting)
        self._waiting = []


def said(record: str) -> str:
    """The line of a record that tells what it is: its first, and of a Python traceback the last, the exception."""
    lines = record.strip().split("\n")
    return lines[-1 if lines[0].startswith("Traceback (") else 0].strip()[:LONGEST]


#: The answer for lines of forms that are not known.
OTHER = ("", SHOWN)


def _templates(event: Event) -> list[Template]:
    if not event.kinds:
        return [Template(_id(event.forms[0].key), event.template, sum(form.count for form in event.forms))]
    form, (place, *others) = event.forms[0], event.kinds
    if others:
        return [Template(_id(form.key), event.template, form.count)]
    return [Template(*_kind(event, [text]), lines) for (_, text), lines in form.texts[place].items()]


def _kind(event: Event, names: Sequence[str]) -> tuple[str, str]:
    """(id, template) of one kind of an event whose dotted names tell kinds apart."""
    form = event.forms[0]
    shown = dict(zip(event.kinds, names, strict=True))
    text = "".join(shown.get(place) or form.shown(place, place + 1) for place in range(len(form.key)))
    return _id((*form.key, *names)), tidy(text)


def _id(key: Sequence[str]) -> str:
    return blake2b("\x02".join(key).encode(errors="surrogatepass"), digest_size=6).hexdigest()


def parse(lines: Sequence[str]) -> list[tuple[str, str]]:
    """(id, template) of each line of a whole file: learned from all of it, then told."""
    miner = TemplateMiner()
    miner.learn(lines)
    miner.settle()
    return miner.label(lines)
