"""Back-tests of the command line: what is asked for, and the lines that tell what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from detectors import findings
from watchkeeper.app import backtest_picture as pictures
from watchkeeper.app.asking_series import ask, span_of
from watchkeeper.app.client import Client
from watchkeeper.app.detecting import built, matrix_of
from watchkeeper.app.replaying import Replay, Told, days_of, judged, own_name, replay
from watchkeeper.app.series_files import FileError, ordered, read_table
from watchkeeper.app.series_times import are_real
from watchkeeper.clock import from_ms
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import Matrix
from watchkeeper.promql.durations import duration_ms

Say = Callable[[str], None]
#: Alarms of one series that are printed at most.
SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line said."""

    detector: str
    options: Mapping[str, Any]
    learning: str
    columns: Sequence[str]
    rule: str
    since: str
    step: str
    zone: str
    picture: Path | None

    @property
    def place(self) -> tzinfo:
        try:
            return ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ConfigError(f"unknown time zone {self.zone!r}; write one like Asia/Shanghai", key="--zone") from None

    @property
    def learning_ms(self) -> int:
        try:
            return duration_ms(self.learning) if self.learning != "0" else 0
        except QueryError as error:
            raise ConfigError(str(error), key="--learning") from None


# --- a detector ------------------------------------------------------------------------------------------------------


def of_file(path: Path, asked: Asked, warn: Say, say: Say) -> None:
    """A detector over the columns of a file, each a series."""
    table = read_table(path, asked.columns)
    one = ordered(table)
    for note in table.notes:
        warn(f"{path}: {note}")
    if not are_real(one.times):
        raise FileError(f"{path}: its times count rows; a back-test needs real ones, `watchkeeper detect` does not")
    matrix = matrix_of(table.columns, np.rint(one.times * 1000).astype(np.int64), one.values.T)
    found = _told(matrix, asked, say)
    if table.label is not None:
        label = np.zeros(len(one.times), np.bool_)
        label[one.place[table.label]] = True
        events, hit, false = judged(found.alarms, label, matrix.times)
        days = max(days_of(matrix.times), 1e-9)
        say(f"labels: {hit} of {events} events found, {false} false alarms, {false / days:.2f} a day")


def of_query(expr: str, asked: Asked, data: Path | None, say: Say) -> None:
    """A detector over what the running engine has stored."""
    _told(ask(Client.of(data), expr, asked.since, asked.step), asked, say)


def _told(matrix: Matrix, asked: Asked, say: Say) -> Replay:
    detector = built(asked.detector, asked.options)
    zone, learning_ms = asked.place, asked.learning_ms
    found = replay(detector, matrix, learning_ms)
    rows = sorted(range(len(matrix.series)), key=lambda row: -len(found.of(row)))
    days = max(days_of(matrix.times), 1e-9)
    say(
        f"{asked.detector}: {len(matrix.series)} series over {days:.1f} days, {len(found.alarms)} alarms, "
        f"{len(found.alarms) / days / len(matrix.series):.2f} a series-day"
    )
    for row in rows:
        mine = found.of(row)
        if mine:
            say(f"{own_name(matrix.series[row])}: {len(mine)} alarms")
        for one in mine[:SHOWN]:
            say(f"    {line_of(one, zone)}")
        if len(mine) > SHOWN:
            say(f"    and {len(mine) - SHOWN} more")
    if asked.picture is not None:
        heading = f"What {asked.detector} would have told: {len(found.alarms)} alarms"
        pictures.save(pictures.of_detector(found, rows, zone, heading), asked.picture)
        say(f"picture: {asked.picture}")
    return found


def line_of(one: Told, zone: tzinfo) -> str:
    """When, what kind, how far from what."""
    end = "still open" if one.ended_ms is None else shown(one.ended_ms, zone)
    found = one.found
    since = "" if found.since_ms is None else f" since {shown(found.since_ms, zone)}"
    size = "" if found.change != found.change else f", {found.change:+.4g} from {found.baseline:.4g}"
    more = "over " if found.factor >= findings.MOST else ""
    times = f", {more}{found.factor:.4g} times too far" if found.factor >= 1.0 else ""  # of an odd course: less
    return f"{shown(one.raised_ms, zone)} .. {end}  {found.kind}{since}{size}{times}"


def shown(moment_ms: int, zone: tzinfo) -> str:
    return from_ms(moment_ms).astimezone(zone).isoformat(timespec="seconds")


# --- rules -----------------------------------------------------------------------------------------------------------


def of_rules(file: Path, asked: Asked, data: Path | None, say: Say) -> None:
    """Rules over what the running engine has stored."""
    from watchkeeper.app.rules_cli import backtested, tell_backtest

    zone, days = asked.place, span_of(asked.since, asked.step)[0] / 86_400_000
    rows = backtested(file, asked.rule, days, data)
    tell_backtest(rows, say)
    if asked.picture is None:
        return
    client, drawn = Client.of(data), dict[str, tuple[Matrix | None, float | None]]()
    for name, expr in _expressions(file).items():
        if name in {row["rule"] for row in rows}:
            drawn[name] = _value_of(client, expr, asked)
    now = datetime.now(zone)
    span = (now - timedelta(days=days), now)
    pictures.save(pictures.of_rules(rows, drawn, span, zone), asked.picture)
    say(f"picture: {asked.picture}")


def _expressions(file: Path) -> dict[str, str]:
    from rules.load import load

    book = load([file])
    found = {rule.name: rule.expr for _, rule in book.alert_rules()}
    return found | {one.name: one.when for one in book.remedies}


def _value_of(client: Client, expr: str, asked: Asked) -> tuple[Matrix | None, float | None]:
    """What the expression compares, and with which number; (None, None) where it cannot be told or is not stored."""
    left, limit = compared(expr)
    try:
        return ask(client, left, asked.since, asked.step), limit
    except FileError:
        return None, limit


def compared(expr: str) -> tuple[str, float | None]:
    """``a > 3`` is (a, 3.0); anything else is itself without a limit."""
    import promql_parser

    try:
        tree = promql_parser.parse(expr)
    except ValueError:
        return expr, None
    if not isinstance(tree, promql_parser.BinaryExpr) or str(tree.op) not in ("<", ">", "<=", ">=", "==", "!="):
        return expr, None
    right = tree.rhs
    if isinstance(right, promql_parser.NumberLiteral):
        return tree.lhs.prettify(), float(right.val)
    return expr, None
