"""A log line as tokens: what looks like a value is a blank, by the form of it alone and for every system alike.

The forms are those that log lines of any program share: numbers, addresses, names of hosts, paths, identifiers with
digits, times, quantities. What a program calls its parameters beyond that is learned from many lines (``merge``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

#: Stands in a key where a line has a value.
BLANK = "\x00"
#: What a template shows there.
SHOWN = "<*>"


class Token(NamedTuple):
    """One piece of a line."""

    key: str  #: the piece itself, or ``BLANK``
    kind: str  #: of a blank, how far its text may be shown: see ``forms``
    text: str  #: what a template shows while no other text was seen here
    start: int  #: place in the line
    end: int


#: A plain value; it is never shown.
VALUE = "value"
#: A number with its unit, of which only the unit may be shown.
QUANTITY = "quantity"
#: A dotted name after ``=``.
MEMBER = "member"
#: A word after ``=``.
ASSIGNED = "assigned"
#: A word after "user".
USER = "user"
#: A name of three or more dotted parts: a class, a package, a property.
DOTTED = "dotted"
#: A word with one digit: ssh2, log4j, eth1.
NAMED = "named"

_CUT = r"\s,!;:=|\"'\[\](){}"  # ends a path or a name
_PIECE = rf"[^{_CUT}.\-+@#$%&/]"  # one character of the smallest piece
_UNIT = r"(?:[KMGTP]i?B|B|[kmg]b|[Bb]ytes?|ms|us|ns|msecs?|secs?|seconds?|minutes?|mins?|hours?|days?)"
_ENDING = r"(?:com|net|org|edu|gov|io|cn|de|uk|jp|ru|fr|br|it|nl|pl|tw|kr|us|info|local|internal|localdomain)"
#: What stands after such a name and ``=`` is text that tells events apart.
_SAYS = r"(?:msg|message|event|level|lvl|severity|error|err|reason|title)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"

_PATTERN = re.compile(
    rf"""
 (?P<url>\b[A-Za-z][A-Za-z0-9+.\-]*://)[^\s,;"')\]}}>]+
|(?P<named>(?<![\w.\-])(?!{_SAYS}=)[A-Za-z_][\w.\-]*=")[^"]*(?=")
|(?P<request>\b(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS|CONNECT)\ )\S+\ HTTP/[\d.]+
|(?P<value>(?<![\w.])(?:
   \d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?
  |(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\ )?{_MONTH}\ +\d{{1,2}}\ \d\d:\d\d:\d\d(?:\ \d{{4}})?
  |[0-9a-fA-F]{{2}}(?::[0-9a-fA-F]{{2}}){{5,}}
  |[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}}
  |\d{{1,2}}:\d\d(?::\d\d)?(?:[.,]\d+)?(?![:\d])
 )(?!\w))
|(?P<host>(?<![\w/])[A-Za-z][\w.\-]*(?=/\d+\.\d+\.\d+\.\d+)
  |(?<![\w./@:$-])(?=[A-Za-z0-9\-]*[\d.\-])[A-Za-z0-9](?:[\w\-]|\.(?=\w))*(?=:\d{{2,5}}(?![\w:]|\.\w))
  |(?<![\w./@$-])(?:
     (?=[\w.]*(?:-|[a-zA-Z]\d|\d[a-zA-Z]))[A-Za-z0-9](?:[\w\-]*\.)+[a-z]{{2,6}}
    |[a-z0-9](?:[a-z0-9\-]*\.)+{_ENDING}
    |[a-z0-9](?:[a-z0-9\-]*\.){{3,}}[a-z]{{2}}
    |(?=[A-Za-z\-]*\d)[A-Za-z]\w*-\w+-\w+(?!-)
   )(?![\w$(-]|\.\w))
|(?P<path>(?<![^{_CUT}<])(?:[A-Za-z]:\\[^{_CUT}]*|(?:/[^{_CUT}/]+)+/?))
|(?:(?<![\w.\-+@$%&/:])[<>]?[-+]?\d+(?:\.\d+)?(?P<unit>\ ?{_UNIT})(?:\ \(\d+(?:\.\d+)?\ [KMGT]?i?B\))?)(?![\w:=])
|(?P<function>[A-Za-z_]+\d{{0,2}}[A-Za-z_]*(?=\())
|(?P<number>(?:(?<![^\s=:(\[,<>])[-+])?(?:[A-Za-z]+_-)?{_PIECE}*\d{_PIECE}*(?:\.{_PIECE}*\d{_PIECE}*)*|(?<!\w)[a-fA-F]{{8,}}(?!\w))
|(?P<dotted>[A-Za-z_][\w$]*(?:[./]+[A-Za-z_$][\w$]*)+(?![\w/]|\.\w))
|(?P<word>{_PIECE}+)
|(?P<space>\s+)
|(?P<other>.)
""",
    re.VERBOSE | re.DOTALL,
)
_TRUTH = frozenset({"true", "false"})
_ACCOUNTS = frozenset({"root", "admin"})
_SAYING = re.compile(rf"{_SAYS}")
_ONE_DIGIT = re.compile(r"[A-Za-z]{2,}\d[A-Za-z_]*")
_SEPARATED = re.compile(r"[./]+")

#: A blank of a token: its kind and what may be shown; None where it is no blank.
Blank = tuple[str, str] | None


def lex(line: str) -> list[Token]:
    """Tokens of a line; blanks that stick together are one."""
    found: list[Token] = []
    before = last = ""  # the last token that is no space, and the last token; "=" only where a value is to follow
    for match in _PATTERN.finditer(line):
        name, text = match.lastgroup or "other", match.group()
        start, end = match.span()
        if name in _OPENED:  # its first part stays
            found.append(Token(match.group(name), "", match.group(name), start, match.end(name)))
            start = match.end(name)
        blank = _READERS[name](match, before, last) if name in _READERS else _ALWAYS.get(name)
        last = _put(
            found, Token(BLANK, *blank, start, end) if blank else Token(_shown(text), "", _shown(text), start, end)
        )
        before = _before(before, last)
    return found


def _before(before: str, last: str) -> str:
    if last == " ":
        return before
    return ":" if last == "=" and _SAYING.fullmatch(before) else last


def _shown(text: str) -> str:
    return text if not text.isspace() else " "


def _put(found: list[Token], token: Token) -> str:
    if token.key == BLANK and found and found[-1].key == BLANK:
        first = found.pop()
        token = Token(BLANK, VALUE, first.text + token.text, first.start, token.end)
    found.append(token)
    return token.key


def _quantity(match: re.Match[str], _before: str, _last: str) -> Blank:
    """A unit that sticks to its number is part of the value."""
    unit = match.group("unit")
    return (QUANTITY, SHOWN + unit) if unit.startswith(" ") else (VALUE, SHOWN)


def _number(match: re.Match[str], _before: str, _last: str) -> Blank:
    text = match.group()
    return (NAMED, text) if _ONE_DIGIT.fullmatch(text) else (VALUE, SHOWN)


def _dotted(match: re.Match[str], before: str, _last: str) -> Blank:
    text = match.group()
    several = len(_SEPARATED.split(text)) > 2
    if before == "=":
        return MEMBER if several or "/" in text else ASSIGNED, text
    return (DOTTED, text) if several else None


def _word(match: re.Match[str], before: str, last: str) -> Blank:
    text = match.group()
    if before == "=" and text.lower() not in _TRUTH and text[0].isalnum():
        return (
            None if match.string.startswith("=", match.end()) else (ASSIGNED, text)
        )  # "logname= uid=0": none was given
    if text in _ACCOUNTS:
        return VALUE, SHOWN
    return (USER, text) if last == " " and before.lower() == "user" and text.isalnum() else None


_ALWAYS: dict[str, Blank] = dict.fromkeys(("url", "request", "named", "value", "host", "path"), (VALUE, SHOWN))
_OPENED = frozenset({"url", "request", "named"})
_READERS: dict[str, Callable[[re.Match[str], str, str], Blank]] = {
    "unit": _quantity,
    "number": _number,
    "dotted": _dotted,
    "word": _word,
}
