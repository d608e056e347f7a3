"""Prometheus's test-script language (promql/promqltest): load, clear, eval, expect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels
from watchkeeper.promql.durations import duration_ms
from watchkeeper.promql.notation import Value, parse_starts, parse_values, split_series

LOAD = re.compile(r"load(?P<nhcb>_with_nhcb)?\s+(?P<step>\S+)$")
INSTANT = re.compile(r"eval(?:_(?P<mode>fail|warn|ordered|info))?\s+instant\s+(?:at\s+(?P<at>.+?))?\s+(?P<expr>.+)$")
RANGE = re.compile(
    r"eval(?:_(?P<mode>fail|warn|info))?\s+range\s+from\s+(?P<from>\S+)\s+to\s+(?P<to>\S+)"
    r"\s+step\s+(?P<step>\S+)\s+(?P<expr>.+)$"
)
EXPECT = re.compile(
    r"expect\s+(?P<kind>fail|warn|no_warn|info|no_info|ordered)(?:\s+(?P<match>regex|msg):(?P<text>.+))?$"
)
EXPECT_RANGE = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$")
OLD_FAIL = re.compile(r"expected_fail_(?P<match>message|regexp)\s+(?P<text>.+)$")
NATIVE = "{{"


@dataclass(slots=True)
class Load:
    """Samples to add: (series, milliseconds apart, values by position, start times by position)."""

    step_ms: int
    rows: list[tuple[Labels, list[Value], list[int | None]]]
    native: bool  #: holds native histograms
    classic: bool = False  #: its classic histograms are to be loaded as native ones, too


@dataclass(slots=True)
class Clear:
    pass


@dataclass(slots=True)
class Expected:
    """A demand on messages: any, exactly this text, or a match of this pattern."""

    text: str = ""
    pattern: str = ""

    def matches(self, message: str) -> bool:
        if self.pattern:
            return re.search(self.pattern, message) is not None
        return not self.text or message == self.text


@dataclass(slots=True)
class Eval:
    """One query and everything that is expected of its answer."""

    line: int
    expr: str
    start_ms: int
    end_ms: int
    step_ms: int  #: 0 for an instant query
    expected: dict[str, list[Expected]] = field(default_factory=dict)  #: kind of expectation -> demands
    rows: dict[Labels, list[Value]] = field(default_factory=dict)  #: in the order written
    scalar: float | None = None
    string: str | None = None
    raw: tuple[int, int, int] | None = None  #: from, to, step of an expected range vector
    native: bool = False

    def expects(self, kind: str) -> bool:
        return kind in self.expected


@dataclass(slots=True)
class Unread:
    """A command that cannot be read."""

    line: int
    text: str
    reason: str


Command = Load | Clear | Eval | Unread


def parse_script(text: str) -> Iterator[Command]:
    """The commands in order."""
    lines = [line.strip() for line in text.splitlines()]
    lines = ["" if line.startswith("#") else line for line in lines]
    i = 0
    while i < len(lines):
        if not lines[i]:
            i += 1
            continue
        end = i + 1
        while end < len(lines) and lines[end]:
            end += 1
        if lines[i].lower() == "clear":
            yield Clear()
            i += 1
        else:
            try:
                yield _command(lines, i, end)
            except QueryError as error:
                yield Unread(i + 1, lines[i], str(error))
            i = end


def _command(lines: list[str], start: int, end: int) -> Command:
    head, body = lines[start], lines[start + 1 : end]
    if load := LOAD.match(head):
        return _load(load, body)
    if instant := INSTANT.match(head):
        at = _ms(instant["at"] or "0")
        case = Eval(start + 1, instant["expr"], at, at, 0)
    elif ranged := RANGE.match(head):
        case = Eval(start + 1, ranged["expr"], _ms(ranged["from"]), _ms(ranged["to"]), _ms(ranged["step"]))
        instant = ranged
    else:
        raise QueryError(f"line {start + 1}: unknown command {head!r}")
    if instant["mode"]:
        case.expected.setdefault(instant["mode"], []).append(Expected())
    for line in body:
        _expect(case, line)
    return case


def _ms(text: str) -> int:
    return 0 if text == "0" else duration_ms(text)


def _load(found: re.Match[str], body: list[str]) -> Load:
    nhcb = found["nhcb"] is not None
    load = Load(_ms(found["step"]), [], native=nhcb, classic=nhcb)
    starts: list[int | None] = []
    default: list[int | None] = []
    for line in body:
        head, _, rest = line.partition("@st ")
        if rest and " " not in head.strip() and not head.endswith('"'):
            starts, default = (parse_starts(rest), default) if head else (starts, parse_starts(rest))
            continue
        series, values = split_series(line)
        load.native = load.native or NATIVE in values
        load.rows.append((series, parse_values(values), starts or default))
        starts = []
    return load


def _expect(case: Eval, line: str) -> None:
    """Read one line below an eval."""
    if found := EXPECT.match(line):
        text = (found["text"] or "").strip()
        demand = Expected(pattern=text) if found["match"] == "regex" else Expected(text=text)
        case.expected.setdefault(found["kind"], []).append(demand)
    elif found := OLD_FAIL.match(line):
        text = found["text"].strip()
        case.expected["fail"] = [Expected(text=text) if found["match"] == "message" else Expected(pattern=text)]
    elif found := EXPECT_RANGE.match(line):
        case.raw = (_ms(found[1]), _ms(found[2]), _ms(found[3]))
    elif line.startswith("expect string"):
        literal = line.removeprefix("expect string").strip()
        case.string = literal[1:-1] if literal[0] == "`" else str(ast.literal_eval(literal))
    elif (number := _number(line)) is not None:
        case.scalar = number
    else:
        series, values = split_series(line)
        case.native = case.native or NATIVE in values
        case.rows[series] = parse_values(values)


def _number(text: str) -> float | None:
    try:
        return float(int(text, 0))
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
