"""Runs Prometheus's own test scripts against this engine and counts what agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.errors import QueryError
from watchkeeper.promql import nodes
from watchkeeper.promql.compare import Mismatch, check, check_remarks
from watchkeeper.promql.context import QueryLimits
from watchkeeper.promql.engine import Engine
from watchkeeper.promql.memory import MemoryReader
from watchkeeper.promql.parse import parse
from watchkeeper.promql.pinned import other_times, pinned
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, Vector
from watchkeeper.promql.script import Clear, Eval, Load, parse_script

#: Functions whose answer depends on the query's own times, so that another grid rightly answers otherwise.
GRID_FUNCTIONS = ("start()", "end()", "range()", "step()")
PASSED, FAILED = "passed", "failed"
NATIVE = "skipped: native histogram"
REJECTED = "skipped: construct the parser rejects"


@dataclass(slots=True)
class Report:
    """Counts per file and class, and every case that failed."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)  #: file name -> class -> evals
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def lines(self) -> list[str]:
        """The report as text, one line per file and a sum."""
        rows = [*self.counts.items(), ("total", self.total)]
        return [
            f"{name}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counter.items()))
            for name, counter in rows
        ]


def run_files(paths: Iterable[Path], *, verbose: bool = False) -> Report:
    """Run the scripts. ``verbose`` also lists every skipped case and why among the failures."""
    report = Report()
    for path in paths:
        counter = report.counts.setdefault(path.name, Counter())
        for kind, place, reason in run_script(path.read_text(encoding="utf-8")):
            counter[kind] += 1
            if kind == FAILED or (verbose and kind != PASSED):
                report.failures.append(f"{path.name}:{place}: {kind}: {reason}")
    return report


def run_script(text: str) -> Iterable[tuple[str, str, str]]:
    """(class, ``line: query``, reason) of every eval in the script."""
    reader, native = MemoryReader(), False
    for command in parse_script(text):
        if isinstance(command, Clear):
            reader, native = MemoryReader(), False
        elif isinstance(command, Load):
            native = native or command.native
            for series, values, starts in command.rows:
                reader.add_positions(series, command.step_ms, values, starts)
        else:
            kind, reason = _run(reader, command, native=native or command.native)
            yield kind, f"{command.line}: {command.expr}", reason


def _run(reader: MemoryReader, case: Eval, *, native: bool) -> tuple[str, str]:
    try:
        parse(case.expr)
    except QueryError as error:
        if case.expects("fail"):
            return PASSED, ""
        return (NATIVE if native else REJECTED), str(error)
    engine = Engine(reader, limits=QueryLimits(timeout_seconds=100))
    try:
        _try(engine, case)
    except (Mismatch, QueryError) as error:
        return (NATIVE if native else FAILED), str(error)
    if case.native:  # the floats agree, but what is expected besides them could not be compared
        return NATIVE, "expects native histograms"
    return PASSED, ""


def _try(engine: Engine, case: Eval) -> None:
    """The query as written; an instant query also pinned by ``@`` and asked at other times. Raises Mismatch."""
    node = parse(case.expr)
    if case.step_ms:
        _judge(case, lambda: engine.range_of(node, case.start_ms, case.end_ms, case.step_ms))
        return
    _instant(engine, case, node, case.start_ms)
    fixed = pinned(node, case.start_ms)
    if fixed is None or case.expects("fail"):
        return
    for at_ms in other_times(case.start_ms):
        try:
            _instant(engine, case, fixed, at_ms)
        except Mismatch as error:
            raise Mismatch(f"pinned by @ and asked at {at_ms} ms: {error}") from None


def _instant(engine: Engine, case: Eval, node: nodes.Node, at_ms: int) -> None:
    answer = _judge(case, lambda: engine.instant_of(node, at_ms))
    if answer is not None and case.raw is None and case.string is None and not case.expects("ordered"):
        _replay(engine, case, node, at_ms, scalar=isinstance(answer, Scalar))


def _judge(case: Eval, ask: Callable[[], Result]) -> Result | None:
    """The answer when it is right; None for an error that was expected."""
    try:
        answer = ask()
    except QueryError as error:
        demands = case.expected.get("fail")
        if demands is None or not all(demand.matches(str(error)) for demand in demands):
            raise
        return None
    if case.expects("fail"):
        raise Mismatch("an error was expected")
    check_remarks(case, answer)
    check(case, answer)
    return answer


def _replay(engine: Engine, case: Eval, node: nodes.Node, at_ms: int, *, scalar: bool) -> None:
    """The same answer must stand at the middle step of a range query."""
    if any(name in case.expr for name in GRID_FUNCTIONS):
        return
    minute = 60_000
    ranged = engine.range_of(node, at_ms - minute, at_ms + minute, minute)
    try:
        check(case, _middle(ranged, scalar=scalar, at_ms=at_ms))
    except Mismatch as error:
        raise Mismatch(f"in range mode: {error}") from None


def _middle(ranged: RangeMatrix, *, scalar: bool, at_ms: int) -> Result:
    if scalar:
        return Scalar(value=float(ranged.values[0, 1]), time_ms=at_ms)
    rows = [i for i in range(len(ranged.series)) if ranged.present[i, 1]]
    return Vector(series=tuple(ranged.series[i] for i in rows), values=ranged.values[rows, 1], time_ms=at_ms)
