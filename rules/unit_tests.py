"""promtool's unit tests of rules, with our ``remediation_test`` beside ``alert_rule_test`` and ``promql_expr_test``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from watchkeeper.clock import from_ms, to_ms
from watchkeeper.config.yaml import AsWritten, read
from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, RemedyRule, Tick, format_series
from watchkeeper.promql import Engine, Histogram, MemoryReader, NativeValue, Scalar, Vector, pairs, selectors
from watchkeeper.promql.compare import almost_equal
from watchkeeper.promql.histograms.alike import alike
from watchkeeper.promql.histograms.notation import parse_histogram
from watchkeeper.promql.notation import parse_series, parse_values

from .backtest_remedy import backtest_remedy
from .book import RuleBook
from .evaluate import Evaluator
from .fields import Fields
from .load import load
from .observe import observe

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILE_KEYS = ("rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare", "start_timestamp")
TEST_KEYS = (
    "name", "interval", "input_series", "alert_rule_test", "promql_expr_test", "remediation_test", "external_labels",
    "external_url", "start_timestamp",
)  # fmt: skip
#: promtool compares exactly; so do we, but for the last digits of sums.
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    file: str
    line: int
    test: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.test}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    files: int
    tests: int
    checks: int
    failures: Sequence[Failure]

    @property
    def passed(self) -> bool:
        return not self.failures and self.checks > 0


def run_tests(paths: Iterable[Path]) -> Report:
    """Run every file. A file that cannot be read raises ConfigError; an expectation that is not met is a failure."""
    files = tests = checks = 0
    failures: list[Failure] = []
    for path in paths:
        files += 1
        root = Fields(document := read(path, environment=AsWritten()), document.data, ())
        root.known(*FILE_KEYS)
        book = load(_rule_files(root, path))
        interval = root.duration("evaluation_interval", timedelta(minutes=1))
        order = [str(name) for name in root.items("group_eval_order")]
        if len(set(order)) < len(order):
            raise root.error("names a group twice", "group_eval_order")
        start = _start(root, EPOCH)
        for index, data in enumerate(root.items("tests")):
            case = _Case(Fields(document, data, ("tests", index)), book, interval, order, start)
            case.run()
            tests, checks = tests + 1, checks + case.checks
            failures += case.failures
    return Report(files=files, tests=tests, checks=checks, failures=failures)


def _rule_files(root: Fields, path: Path) -> list[Path]:
    found: list[Path] = []
    for index, name in enumerate(root.items("rule_files")):
        matching = sorted(path.parent.glob(str(name))) if not Path(str(name)).is_absolute() else [Path(str(name))]
        if not matching:
            raise root.error("no such file beside the test file", "rule_files", index)
        found += matching
    return found


def _start(fields: Fields, default: datetime) -> datetime:
    """``start_timestamp``: when the series begin and evaluations are counted from; seconds, or RFC 3339."""
    text = fields.text("start_timestamp", "")
    if not text:
        return default
    try:
        return EPOCH + timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        said = "must be seconds since 1970 or a time like 2024-01-31T12:00:00Z"
        raise fields.error(said, "start_timestamp") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Case:
    """One entry of ``tests``: series in memory, rules evaluated over simulated time, expectations checked."""

    def __init__(
        self, fields: Fields, book: RuleBook, interval: timedelta, order: Sequence[str], start: datetime
    ) -> None:
        fields.known(*TEST_KEYS)
        self.fields, self.book, self.interval = fields, book, interval
        self.name = fields.text("name", f"test {fields.path[-1]}")
        self.groups = sorted(book.groups, key=lambda group: order.index(group.name) if group.name in order else -1)
        self.start = _start(fields, start)
        self.reader = MemoryReader()
        self.engine = Engine(self.reader)
        self.evaluator = Evaluator(
            book, {}, fields.texts("external_labels"), external_url=fields.text("external_url", ""),
            attach_external=False,
        )  # fmt: skip
        self.checks = 0
        self.failures: list[Failure] = []

    def run(self) -> None:
        self._load()
        plan = self._planned()
        end = max([when for when, _ in plan], default=timedelta(0))
        waiting = sorted(plan, key=lambda one: one[0])
        moment = timedelta(0)
        while moment <= end:
            self._evaluate(self.start + moment)
            following = moment + self.interval
            while waiting and waiting[0][0] < following:
                waiting.pop(0)[1]()
            moment = following

    def query(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        answer = self.engine.instant(expr, to_ms(at))
        if isinstance(answer, Scalar):
            return [((), answer.value)]
        if not isinstance(answer, Vector):
            raise QueryError("a rule needs an expression of instant vector or scalar")
        return pairs(answer)

    # --- before ----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        step = to_ms(EPOCH + self.fields.duration("interval", self.interval))
        for index, data in enumerate(self.fields.items("input_series")):
            one = Fields(self.fields.document, data, (*self.fields.path, "input_series", index))
            one.known("series", "values")
            try:
                values = parse_values(one.text("values"))
                times = range(to_ms(self.start), to_ms(self.start) + step * len(values), step)
                samples = [(at, value) for at, value in zip(times, values, strict=True) if value is not None]
                self.reader.add(parse_series(one.text("series")), samples)
            except QueryError as error:
                raise one.error(str(error)) from None

    def _planned(self) -> list[tuple[timedelta, Callable[[], None]]]:
        found: list[tuple[timedelta, Callable[[], None]]] = []
        kinds = {
            "alert_rule_test": (self._alerts, ("eval_time", "alertname", "exp_alerts")),
            "promql_expr_test": (self._expression, ("expr", "eval_time", "exp_samples")),
            "remediation_test": (self._remedy, ("eval_time", "rule", "expect", "proposals")),
        }
        for kind, (check, keys) in kinds.items():
            for index, data in enumerate(self.fields.items(kind)):
                one = Fields(self.fields.document, data, (*self.fields.path, kind, index))
                one.known(*keys)
                found.append((one.duration("eval_time"), _Bound(check, one)))
        return found

    # --- over time -------------------------------------------------------------------------------------------------

    def _evaluate(self, now: datetime) -> None:
        for group in self.groups:
            result = self.evaluator.evaluate_group(group, now, self.query)
            for tick in result.ticks:
                self._append(tick, result.histograms)
            for health in result.health.values():
                if health.error:
                    after = (now - self.start).total_seconds()
                    self._fail(self.fields, f"rule {health.rule} failed at {after:g}s: {health.error}")

    def _append(self, tick: Tick, histograms: Mapping[Labels, Histogram]) -> None:
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True):
            self.reader.add(series, [(tick.time_ms, histograms.get(series, value))])

    # --- expectations ----------------------------------------------------------------------------------------------

    def _alerts(self, one: Fields) -> None:
        name = one.text("alertname")
        if not any(rule.name == name for _, rule in self.book.alert_rules()):
            raise one.error(f"no rule is called {name!r}", "alertname")
        wanted = []
        for index, data in enumerate(one.items("exp_alerts")):
            alert = Fields(one.document, data, (*one.path, "exp_alerts", index))
            alert.known("exp_labels", "exp_annotations")
            wanted.append(({**alert.texts("exp_labels"), "alertname": name}, alert.texts("exp_annotations")))
        got = [
            (dict(active.labels), dict(active.annotations))
            for rule, active in self.evaluator.active()
            if rule.name == name and active.firing
        ]
        self._compare(one, f"{name} at {one.text('eval_time', '0')}", _sorted(wanted), _sorted(got))

    def _expression(self, one: Fields) -> None:
        expr, at = one.promql("expr"), self.start + one.duration("eval_time")
        wanted: dict[Labels, float] = {}
        for index, data in enumerate(one.items("exp_samples")):
            sample = Fields(one.document, data, (*one.path, "exp_samples", index))
            wanted.update([_expected(sample)])
        try:
            got = dict(self.query(expr, at))
        except QueryError as error:
            self.checks += 1
            self._fail(one, f"{expr}: {error}")
            return
        same = wanted.keys() == got.keys() and all(_near(wanted[key], got[key]) for key in wanted)
        self.checks += 1
        if not same:
            self._fail(one, f"{expr}: expected {_samples(wanted)}, got {_samples(got)}")

    def _remedy(self, one: Fields) -> None:
        name, expect = one.text("rule"), one.text("expect", "" if "proposals" in one.data else None)
        rule = next((remedy for remedy in self.book.remedies if remedy.name == name), None)
        if rule is None:
            raise one.error(f"no remediation is called {name!r}", "rule")
        if "proposals" in one.data:
            self._proposals(one, rule)
        if not expect:
            return
        if expect not in VERDICTS:
            raise one.error(f"must be one of {', '.join(VERDICTS)}", "expect")
        observation = observe(rule, self.start + one.duration("eval_time"), self.query, self._newest(rule))
        got = next(word for word, bad in VERDICTS.items() if bad is observation.bad)
        self._compare(one, f"{name} at {one.text('eval_time', '0')} ({observation.reason})", expect, got)

    def _proposals(self, one: Fields, rule: RemedyRule) -> None:
        """How often it was proposed until then: k of n, by two witnesses, again after each cooldown."""
        end = self.start + one.duration("eval_time")
        found = backtest_remedy(rule, self.start, end, self.query, self._newest(rule), UTC)
        what = f"{rule.name} until {one.text('eval_time', '0')}, proposals"
        self._compare(one, what, one.number("proposals"), len(found.proposals))

    def _newest(self, rule: RemedyRule) -> Callable[[str, datetime], datetime | None]:
        reach = to_ms(EPOCH + 10 * rule.interval) + 300_000

        def newest(expr: str, at: datetime) -> datetime | None:
            end = to_ms(at)
            times = [
                int(matrix.times[matrix.present.any(axis=0)][-1])
                for matchers, _, _ in selectors(expr)
                for matrix in self.reader.select(matchers, end - reach, end)
                if matrix.present.any()
            ]
            return from_ms(max(times)) if times else None

        return newest

    def _compare(self, one: Fields, what: str, wanted: object, got: object) -> None:
        self.checks += 1
        if wanted != got:
            self._fail(one, f"{what}: expected {wanted}, got {got}")

    def _fail(self, one: Fields, message: str) -> None:
        self.failures.append(
            Failure(file=one.document.file, line=one.line, test=self.name, message=message),
        )


VERDICTS: Mapping[str, bool | None] = {"bad": True, "good": False, "unknown": None}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A check with its expectation."""

    check: Callable[[Fields], None]
    one: Fields

    def __call__(self) -> None:
        self.check(self.one)


def _sorted(alerts: Iterable[Any]) -> list[Any]:
    return sorted(alerts, key=lambda alert: sorted(alert[0].items()))


def _expected(sample: Fields) -> tuple[Labels, float]:
    """One of ``exp_samples``: a number, or a histogram in Prometheus's notation."""
    sample.known("labels", "value", "histogram")
    text = sample.text("labels", "")
    series = parse_series(text) if text.strip() not in ("", "{}") else ()
    native = sample.text("histogram", "")
    try:
        return series, NativeValue(parse_histogram(native)) if native else float(sample.text("value", "0"))
    except (QueryError, ValueError) as error:
        raise sample.error(str(error), "histogram" if native else "value") from None


def _near(wanted: float, got: float) -> bool:
    if isinstance(wanted, NativeValue) and isinstance(got, NativeValue):
        return alike(got.histogram, wanted.histogram, almost_equal)
    if isinstance(wanted, NativeValue) or isinstance(got, NativeValue):
        return False
    return (math.isnan(wanted) and math.isnan(got)) or math.isclose(wanted, got, rel_tol=TOLERANCE, abs_tol=1e-12)


def _samples(samples: Mapping[Labels, float]) -> str:
    told = [f"{format_series(key) or '{}'} {_told(value)}" for key, value in sorted(samples.items())]
    return ", ".join(told) or "nothing"


def _told(value: float) -> str:
    return value.histogram.text() if isinstance(value, NativeValue) else str(value)
