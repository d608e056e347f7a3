"""Judge: rules over what is stored; alerts as rows; incidents and messages in the same transaction."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from rules.alerts import GroupResult, Health
from rules.backtest import Backtest, backtest
from rules.backtest_remedy import backtest_remedy
from rules.book import AlertRule, Group, RuleBook
from rules.evaluate import Evaluator
from rules.lint import lint
from rules.load import PACKS, load_text
from rules.persist import Saved, save
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.bounds import BoundedAsk, Bounds
from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigError
from watchkeeper.model import Tick
from watchkeeper.store.state import State, Unit
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

LANGUAGES = ("zh-CN", "en")
#: A back-test evaluates a rule at most this often.
MOST_EVALUATIONS = 20_000

#: What follows a change of alerts, inside the same transaction: incidents, then messages into the outbox.
Follow = Callable[[datetime, Unit, Sequence[Saved]], int]


@dataclass(slots=True)
class Ran:
    """The last evaluation of one group."""

    at: datetime | None = None
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Judging:
    """Holds the rule book in force and evaluates its groups in the rules' own thread."""

    state: State
    ask: Ask
    clock: Clock
    telemetry: Telemetry
    executor: Executor
    default_interval: timedelta
    evaluator: Evaluator
    follow: Follow
    recorded: Callable[[Sequence[Tick]], Awaitable[None]]
    wake: Callable[[], None]  #: there are new messages
    changed: Callable[[RuleBook], None]  #: the book was replaced: schedule anew
    ran: dict[str, Ran] = field(default_factory=dict)
    reload_error: str = ""  #: why the last reload changed nothing; empty when it did
    _findings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def book(self) -> RuleBook:
        return self.evaluator.book

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self, now: datetime) -> None:
        """Take up the alerts of the last life."""
        with self.state.read() as unit:
            rows = unit.alerts.open()
        orphans = self.evaluator.restore(rows, now)
        self._write(now, orphans)
        self._lint()

    def use(self, book: RuleBook, now: datetime) -> None:
        """Go on with other rules; runs in the rules' thread."""
        with self._lock:
            self._write(now, self.evaluator.replace_book(book, now))
        self._lint()
        self.changed(book)

    # --- one evaluation --------------------------------------------------------------------------------------------

    async def step(self, group_name: str, now: datetime) -> None:
        """Evaluate one group; what it records is appended and scored like any other tick."""
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self.executor, self._evaluate, group_name, now)
        if result is not None and result.ticks:
            await self.recorded(result.ticks)

    def _evaluate(self, group_name: str, now: datetime) -> GroupResult | None:
        with self._lock:
            group = next((one for one in self.book.groups if group_key(one) == group_name), None)
            if group is None:
                return None
            started = time.perf_counter()
            with self.ask.promql.ahead():
                result = self.evaluator.evaluate_group(group, now, self.ask)
            self._write(now, result.changes)
            self.ran[group_name] = Ran(now, time.perf_counter() - started)
        return result

    def _write(self, now: datetime, changes: Any) -> None:
        """Rows first, then whatever follows from them, then commit; only then does the evaluator believe it."""
        if not changes:
            return
        with self.state.begin() as unit:
            saved = save(changes, unit)
            messages = self.follow(now, unit, saved)
        self.evaluator.confirm(saved)
        if messages:
            self.wake()

    def tend(self, now: datetime) -> None:
        """What follows from time alone; only writes when something does."""
        with self._lock, self.state.begin() as unit:
            messages = self.follow(now, unit, ())
        if messages:
            self.wake()

    def backtest(
        self, text: str, file: str, name: str, span: timedelta, zone: tzinfo, *, bounds: Bounds
    ) -> list[dict[str, Any]]:
        """Rules of a file over what is stored; the interval grows so that a long span stays affordable."""
        end, ask = self.clock.now(), BoundedAsk(self.ask, bounds)
        found = load_text(text, file, interval=self.default_interval)
        alerts = [(max(group.interval, span / MOST_EVALUATIONS), rule) for group, rule in found.alert_rules()]
        alerts = [one for one in alerts if name in ("", one[1].name)]
        remedies = [(max(one.interval, span / MOST_EVALUATIONS), one) for one in found.remedies]
        remedies = [one for one in remedies if name in ("", one[1].name)]
        bounds.plan(sum(span // interval + 1 for interval, _ in [*alerts, *remedies]))
        rows = [backtest(rule, end - span, end, ask, zone, interval=interval) for interval, rule in alerts]
        rows += [
            backtest_remedy(remedy, end - span, end, ask, ask.newest, zone, interval=interval)
            for interval, remedy in remedies
        ]
        if not rows:
            raise ConfigError(f"no alerting or remediation rule{f' named {name!r}' if name else ''}", file=file)
        return [_backtest_view(row) for row in rows]

    # --- views -----------------------------------------------------------------------------------------------------

    def _lint(self) -> None:
        found: dict[str, list[dict[str, Any]]] = {}
        for one in lint(self.book):
            row: dict[str, Any] = {
                "level": one.level,
                "code": one.code,
                "message": one.message,
                "proposal": one.proposal,
            }
            row["texts"] = {language: one.text(language) for language in LANGUAGES}
            found.setdefault(one.rule, []).append(row)
        self._findings = found

    def unknown_count(self) -> int:
        """Rules whose last evaluation failed: nobody knows what they would say."""
        return sum(one.health is Health.ERR for one in self.evaluator.health().values())

    def groups_view(self) -> list[dict[str, Any]]:
        """Groups with rules, health, states and findings, as docs/api.md has them."""
        states = self._states()
        health = self.evaluator.health()
        rows = []
        for group in self.book.groups:
            ran = self.ran.get(group_key(group), Ran())
            rows.append(
                {
                    "name": group.name,
                    "file": shown_file(group.file),
                    "interval_seconds": group.interval.total_seconds(),
                    "last_at": ran.at.isoformat() if ran.at else None,
                    "last_seconds": ran.seconds,
                    "rules": [self._rule_view(rule, group, health, states) for rule in group.rules],
                }
            )
        if self.book.remedies:
            rows.append(self._remedies_view())
        return rows

    def _rule_view(
        self, rule: Any, group: Group, health: Mapping[str, Any], states: Mapping[str, str]
    ) -> dict[str, Any]:
        alerting = isinstance(rule, AlertRule)
        about = health.get(rule.key)
        return {
            "name": rule.name,
            "type": "alerting" if alerting else "recording",
            "expr": rule.expr,
            "for_seconds": rule.hold.total_seconds() if alerting else 0,
            "keep_firing_for_seconds": rule.keep_firing_for.total_seconds() if alerting else 0,
            "labels": dict(rule.labels),
            "annotations": dict(rule.annotations) if alerting else {},
            "state": states.get(rule.key, "inactive") if alerting else "",
            "health": about.health if about else "unknown",
            "error": about.error if about else "",
            "severity": rule.labels.get("severity", ""),
            "mode": "",
            "owner": rule.labels.get("team", ""),
            "file": shown_file(group.file),
            "line": rule.line,
            "findings": self._findings.get(rule.key, []),
        }

    def _remedies_view(self) -> dict[str, Any]:
        rows = [
            {
                "name": rule.name,
                "type": "remediation",
                "expr": rule.when,
                "for_seconds": 0,
                "keep_firing_for_seconds": 0,
                "labels": {},
                "annotations": {"verify": rule.verify, "action": rule.action, "target": rule.target},
                "state": "",
                "health": "ok",
                "error": "",
                "severity": "",
                "mode": rule.mode,
                "owner": rule.owner,
                "file": rule.file,
                "line": rule.line,
                "findings": self._findings.get(rule.name, []),
            }
            for rule in self.book.remedies
        ]
        return {
            "name": "remediations",
            "file": ", ".join(sorted({rule.file for rule in self.book.remedies})),
            "interval_seconds": min(rule.interval.total_seconds() for rule in self.book.remedies),
            "last_at": None,
            "last_seconds": 0.0,
            "rules": rows,
        }

    def _states(self) -> dict[str, str]:
        """Rule key -> the most serious state of its alerts."""
        order = ("inactive", "pending", "unknown", "firing")
        found: dict[str, str] = {}
        for rule, active in self.evaluator.active():
            if order.index(active.state) > order.index(found.get(rule.key, "inactive")):
                found[rule.key] = active.state
        return found


def _backtest_view(row: Backtest) -> dict[str, Any]:
    return {
        "rule": row.rule,
        "kind": row.kind,
        "interval_seconds": row.interval.total_seconds(),
        "proposals": [moment.isoformat() for moment in row.proposals],
        "evaluations": row.evaluations,
        "failed": row.failed,
        "pending_only": row.pending_only,
        "per_day": dict(row.per_day),
        "firing_seconds": row.firing.total_seconds(),
        "episodes": [
            {
                "labels": dict(one.labels),
                "fired_at": one.fired_at.isoformat(),
                "resolved_at": one.resolved_at.isoformat() if one.resolved_at else None,
                "peak": one.peak,
            }
            for one in row.episodes
        ],
    }


def group_key(group: Group) -> str:
    """Group names repeat across files; this does not."""
    return f"{shown_file(group.file)}:{group.name}"


def shown_file(file: str) -> str:
    """Shipped packs by their short name, the user's files as they are."""
    path = Path(file)
    return f"packs/{path.name}" if path.parent == PACKS else file
