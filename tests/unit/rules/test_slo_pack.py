"""The slo pack: its own unit tests, nothing for lint to say, both languages and a runbook for each alert."""

from __future__ import annotations

from pathlib import Path

from analytics.slo import BURN_WINDOWS
from rules import load, pack_paths
from rules.lint import lint
from rules.unit_tests import run_tests
from watchkeeper.config.types import format_duration

ROOT = Path(__file__).parents[3]


def test_the_pack_passes_its_own_unit_tests() -> None:
    report = run_tests([ROOT / "rules/packs/tests/slo.yaml"])
    assert [str(failure) for failure in report.failures] == []
    assert report.passed


def test_lint_has_nothing_to_say() -> None:
    assert [(one.rule, one.code) for one in lint(load(pack_paths(["slo"])))] == []


def test_the_rules_burn_at_the_figures_of_the_workbook() -> None:
    exprs = [rule.expr for _, rule in load(pack_paths(["slo"])).alert_rules()]
    for pair, expr in zip(BURN_WINDOWS, exprs, strict=False):
        assert f'window="{format_duration(pair.long)}"' in expr
        assert f'window="{format_duration(pair.short)}"' in expr
        assert expr.count(f"> {pair.factor:g}") == 2


def test_every_alert_speaks_both_languages_and_links_to_its_runbook() -> None:
    found = list(load(pack_paths(["slo"])).alert_rules())
    assert len(found) == 5
    index = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    for _, rule in found:
        for key in ("summary", "description", "action"):
            assert rule.annotations[key], rule.name
            assert rule.annotations[f"{key}_en"].isascii(), rule.name
        text = (ROOT / rule.annotations["runbook_url"]).read_text(encoding="utf-8")
        assert rule.name in text
        assert rule.name in index
        assert "## 处理" in text
        assert "## What to do" in text
