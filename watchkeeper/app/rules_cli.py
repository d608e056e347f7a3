"""What ``watchkeeper rules ...`` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rules.findings import Finding, Level
from rules.lint import lint as find
from rules.load import load
from rules.unit_tests import run_tests
from watchkeeper.app.client import Client
from watchkeeper.errors import ConfigError

Say = Callable[[str], None]


def lint(files: Sequence[Path], say: Say, language: str = "en") -> int:
    """One line a finding, with what to write instead. Exit code 1 on an error."""
    book = load(files)
    findings = find(book)
    failed = tell_findings(findings, say, language)
    rules = sum(len(group.rules) for group in book.groups)
    say(f"{rules} rules, {len(book.remedies)} remediation rules, {len(findings)} findings")
    return 1 if failed else 0


def tell_findings(findings: Sequence[Finding], say: Say, language: str = "en") -> bool:
    """One line a finding, with what to write instead. True when one is an error."""
    for one in findings:
        say(f"{one.file}:{one.line}: {one.rule}: {one.level}: {one.text(language)} [{one.code}]")
        if one.proposal:
            say(f"    write: {one.proposal}")
    return any(one.level is Level.ERROR for one in findings)


def test(files: Sequence[Path], say: Say) -> int:
    """Run unit tests; exit code 1 when one fails."""
    report = run_tests(files)
    for one in report.failures:
        say(f"{one.file}:{one.line}: {one.test}: {one.message}")
    verdict = "FAILED" if report.failures else "ok"
    say(f"{report.files} files, {report.tests} tests, {report.checks} checks, {len(report.failures)} failed: {verdict}")
    return 1 if report.failures else 0


def import_files(files: Sequence[Path], to: Path, say: Say) -> int:
    """Copy rule files as they stand once they load; nothing is overwritten."""
    load(files)  # all or nothing: a mistake is told with its place before anything is copied
    for file in files:
        target = to / f"{file.stem}.yaml"
        if target.exists():
            raise ConfigError("exists already; remove it or rename the new one", file=str(target))
    to.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, to / f"{file.stem}.yaml")
        say(f"{file} -> {to / f'{file.stem}.yaml'}")
    return lint([to / f"{file.stem}.yaml" for file in files], say)


def backtest(file: Path, rule: str, days: float, data: Path | None, say: Say) -> int:
    """Run alerting and remediation rules over the history of the running engine."""
    tell_backtest(backtested(file, rule, days, data), say)
    return 0


def backtested(file: Path, rule: str, days: float, data: Path | None) -> list[dict[str, Any]]:
    """What each rule would have done."""
    load([file])  # a mistake is told with its place before the engine is asked
    body = {"text": file.read_text(encoding="utf-8"), "file": str(file), "rule": rule, "days": days}
    found: list[dict[str, Any]] = Client.of(data).post("/api/wk/rules/backtest", body)["rules"]
    return found


def tell_backtest(rows: Sequence[Mapping[str, Any]], say: Say) -> None:
    for row in rows:
        say(_summary(row))
        for one in row["episodes"]:
            labels = ", ".join(f"{key}={value}" for key, value in sorted(one["labels"].items()))
            end = one["resolved_at"] or ("still bad" if row["kind"] == "remediation" else "still firing")
            say(f"    {one['fired_at']} .. {end}  peak {one['peak']:g}  {labels}")


def _summary(row: Mapping[str, Any]) -> str:
    """One line a rule. A remediation is proposed, and again after each cooldown, as if nothing had been done."""
    spent = f"{row['firing_seconds']:.0f} s in all, in {row['evaluations']} evaluations"
    if row["kind"] == "alerting":
        return f"{row['rule']}: would have fired {len(row['episodes'])} times, {spent} ({row['failed']} failed)"
    return (
        f"{row['rule']}: would have been proposed {len(row['proposals'])} times in {len(row['episodes'])} episodes,"
        f" {spent} every {row['interval_seconds']:g} s ({row['failed']} unknown, {row['pending_only']} never confirmed)"
    )
