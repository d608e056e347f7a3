"""Runs Prometheus's own test scripts against this engine and counts what agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.errors import QueryError
from watchkeeper.promql import nodes
from watchkeeper.promql.compare import Mismatch, check, check_remarks
from watchkeeper.promql.context import QueryLimits
from watchkeeper.promql.engine import Engine
from watchkeeper.promql.histograms.nhcb import converted
from watchkeeper.promql.memory import MemoryReader
from watchkeeper.promql.parse import is_newer, parse
from watchkeeper.promql.pinned import other_times, pinned
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, Vector
from watchkeeper.promql.script import Clear, Eval, Load, Unread, parse_script

#: Functions whose answer depends on the query's own times, so that another grid rightly answers otherwise.
GRID_FUNCTIONS = ("start()", "end()", "range()", "step()")
PASSED, FAILED, SKIPPED = OUTCOMES = ("passed", "failed", "skipped: cannot be read")
#: What an eval is about: neither load nor expectation has a native histogram; one of them has; a construct that the
#: parser below ours rejects, whatever the samples.
PLAIN, NATIVE, NEWER = "plain", "native histogram", "newer construct"
CLASSES = (PLAIN, NATIVE, NEWER)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one eval."""

    kind: str  #: one of CLASSES
    outcome: str  #: one of OUTCOMES
    place: str  #: ``line: query``
    reason: str = ""


@dataclass(slots=True)
class Report:
    """Counts per file and class, and every case that failed."""

    counts: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)  #: file -> (class, outcome) -> evals
    failures: list[str] = field(default_factory=list)

    @property
    def total(self) -> Counter[tuple[str, str]]:
        return sum(self.counts.values(), Counter())

    @property
    def all_passed(self) -> bool:
        return all(outcome == PASSED for _, outcome in self.total)

    def passed(self, name: str) -> int:
        return sum(count for (_, outcome), count in self.counts[name].items() if outcome == PASSED)

    def lines(self) -> list[str]:
        """The report as text: one line per file, one per class, and the sum."""
        files = [f"{name}: {_told(counter)}" for name, counter in self.counts.items()]
        total = self.total
        classes = [f"class {kind}: {_told(total, kind)}" for kind in CLASSES]
        return [*files, *classes, f"total: {_told(total)}"]


def _told(counter: Counter[tuple[str, str]], kind: str = "") -> str:
    outcomes: Counter[str] = Counter()
    for (own, outcome), count in counter.items():
        if not kind or own == kind:
            outcomes[outcome] += count
    return ", ".join(f"{outcomes[outcome]} {outcome.partition(':')[0]}" for outcome in OUTCOMES)


def run_files(paths: Iterable[Path], *, verbose: bool = False) -> Report:
    """Run the scripts. ``verbose`` also lists every passed case among the failures, with its class."""
    report = Report()
    for path in paths:
        counter = report.counts.setdefault(path.name, Counter())
        for verdict in run_script(path.read_text(encoding="utf-8")):
            counter[verdict.kind, verdict.outcome] += 1
            if verbose or verdict.outcome != PASSED:
                told = f"{verdict.outcome} ({verdict.kind}) {verdict.reason}".rstrip()
                report.failures.append(f"{path.name}:{verdict.place}: {told}")
    return report


def run_script(text: str) -> Iterator[Verdict]:
    """What became of every eval in the script."""
    reader, native = MemoryReader(), False
    for command in parse_script(text):
        if isinstance(command, Clear):
            reader, native = MemoryReader(), False
        elif isinstance(command, Load):
            native = native or command.native
            _load(reader, command)
        elif isinstance(command, Unread):
            kind = NATIVE if native or "{{" in command.text else PLAIN
            yield Verdict(kind, SKIPPED, f"{command.line}: {command.text}", command.reason)
        else:
            yield _run(reader, command, native=native or command.native)


def _load(reader: MemoryReader, load: Load) -> None:
    for series, values, starts in load.rows:
        reader.add_positions(series, load.step_ms, values, starts)
    if load.classic:
        floats = [
            (series, {i * load.step_ms: value for i, value in enumerate(values) if isinstance(value, float)})
            for series, values, _ in load.rows
        ]
        for series, histograms in converted(floats).items():
            reader.add(series, sorted(histograms.items()))


def _run(reader: MemoryReader, case: Eval, *, native: bool) -> Verdict:
    place = f"{case.line}: {case.expr}"
    kind = NATIVE if native else NEWER if is_newer(case.expr) else PLAIN
    engine = Engine(reader, limits=QueryLimits(timeout_seconds=100))
    try:
        _try(engine, case)
    except (Mismatch, QueryError) as error:
        return Verdict(kind, FAILED, place, str(error))
    return Verdict(kind, PASSED, place)


def _try(engine: Engine, case: Eval) -> None:
    """The query as written; an instant query also pinned by ``@`` and asked at other times. Raises Mismatch."""
    try:
        node = parse(case.expr)
    except QueryError:
        if not case.expects("fail"):  # which words a parser finds for it is its own affair
            raise
        return
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
        if not _wanted(case, error):
            raise
        return None
    if case.expects("fail"):
        raise Mismatch("an error was expected")
    check_remarks(case, answer)
    check(case, answer)
    return answer


def _wanted(case: Eval, error: QueryError) -> bool:
    demands = case.expected.get("fail")
    return demands is not None and all(demand.matches(str(error)) for demand in demands)


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
    return Vector(
        series=tuple(ranged.series[i] for i in rows),
        values=ranged.values[rows, 1],
        time_ms=at_ms,
        histograms=None if ranged.histograms is None else ranged.histograms[rows, 1],
    )
