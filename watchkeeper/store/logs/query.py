"""What people type into the search box, as terms.

connection refused          both words, whole and in any case
"connection refused"        side by side
-health                     not this one
level=error  user="a b"     a label, or a field of a JSON or key=value line
path~"/api/.*"              the same by pattern (RE2)
/timeout|timed out/         any part of the line by pattern (RE2)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from watchkeeper.errors import QueryError
from watchkeeper.store.logs.tokens import whole_tokens

MOST_TERMS, MOST_CHARACTERS = 30, 2000
_TERM = re.compile(
    r"""\s*(?P<not>-)?(?:
        /(?P<regex>(?:[^/\\]|\\.)+)/(?=\s|$)
      | (?P<name>[A-Za-z_@][\w.@\-]*)(?P<op>[=~])(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<value>\S+))
      | "(?P<phrase>(?:[^"\\]|\\.)*)"
      | (?P<word>\S+)
    )""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"[\w.:@\-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that a line must have, or must not."""

    kind: str  #: text | field | field_regex | regex
    text: str  #: words, value or pattern
    name: str = ""  #: of the field
    negated: bool = False

    def tokens(self) -> set[bytes]:
        """What a part must hold for any of its lines to match; empty: cannot be said."""
        if self.negated or self.kind not in ("text", "field"):
            return set()
        return whole_tokens(self.text) if self.kind == "text" or _PLAIN.fullmatch(self.text) else set()


def parse(query: str) -> list[Term]:
    """Raises QueryError with the mistake and the remedy."""
    if len(query) > MOST_CHARACTERS:
        raise QueryError(f"the question has more than {MOST_CHARACTERS} characters; shorten it")
    found, position, text = [], 0, query.rstrip()
    while position < len(text):
        matched = _TERM.match(text, position)
        if matched is None:
            raise QueryError(f'"-" at place {position + 1} must be followed by a word')
        term = _term(matched)
        if term.text or term.kind != "text":
            found.append(term)
        position = matched.end()
    if len(found) > MOST_TERMS:
        raise QueryError(f"the question has more than {MOST_TERMS} terms; leave some out")
    return found


def _term(matched: re.Match[str]) -> Term:
    negated = bool(matched["not"])
    if matched["regex"] is not None:
        return Term("regex", _checked(matched["regex"].replace("\\/", "/")), negated=negated)
    if matched["name"] is not None:
        value = matched["value"] if matched["quoted"] is None else _bare(matched["quoted"])
        if matched["op"] == "~":
            return Term("field_regex", _checked(value), matched["name"], negated)
        return Term("field", value, matched["name"], negated)
    text = matched["word"] if matched["phrase"] is None else _bare(matched["phrase"])
    return Term("text", text.strip('"') if matched["phrase"] is None else text, negated=negated)


def _bare(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)


def _checked(pattern: str) -> str:
    import pyarrow as pa  # RE2 is heavy, and only patterns need it
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""], pa.string()), pattern)
    except pa.ArrowInvalid as error:
        raise QueryError(f"/{pattern}/ is no RE2 pattern: {error}") from None
    return pattern
