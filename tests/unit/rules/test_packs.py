"""The shipped packs and the four rules of the requirements."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from support.rules import at, query_over

from rules import load, load_text, pack_paths
from rules.backtest import backtest
from rules.lint import lint
from rules.unit_tests import run_tests
from watchkeeper.errors import QueryError
from watchkeeper.promql import MemoryReader

pytestmark = pytest.mark.uncounted

ROOT = Path(__file__).parents[3]
PACKS = tuple(sorted(path.stem for path in (ROOT / "rules/packs").glob("*.yaml")))
REQUIREMENTS = ROOT / "tests/data/rules/requirements.yaml"


@pytest.mark.parametrize("file", sorted((ROOT / "rules/packs/tests").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_packs_pass_their_own_unit_tests(file: Path) -> None:
    report = run_tests([file])
    assert [str(failure) for failure in report.failures] == []
    assert report.passed


def test_the_default_pack_has_the_nine_rules_at_their_levels() -> None:
    levels = Counter(rule.labels["severity"] for _, rule in load(pack_paths(["default"])).alert_rules())
    assert levels == {"P0": 3, "P1": 3, "P2": 2, "P3": 1}


def test_the_packs_have_nothing_for_lint_to_say() -> None:
    assert [(one.rule, one.code) for one in lint(load(pack_paths(PACKS)))] == []


@pytest.mark.parametrize("pack", PACKS)
def test_every_alert_speaks_both_languages_and_links_to_its_runbook(pack: str) -> None:
    for _, rule in load(pack_paths([pack])).alert_rules():
        for key in ("summary", "description", "action"):
            assert rule.annotations[key], rule.name
            assert rule.annotations[f"{key}_en"].isascii(), rule.name
        text = (ROOT / rule.annotations["runbook_url"]).read_text(encoding="utf-8")
        assert rule.name in text
        assert "## 处理" in text
        assert "## What to do" in text


SERIES = {
    "HighErrorRate": ('http_requests_total{status="500"} 0+6x60', 2),
    "PaymentFailureRate": ("payment_failed_total 0+6x60\npayment_attempts_total 0+60x60", 1),
    "QueueBacklog": ("job_queue_pending_count 101x60", 5),
    "SlowAPIResponse": (
        "\n".join(
            f'http_request_duration_seconds_bucket{{le="{le}"}} {values}'
            for le, values in (("10", "0x60"), ("20", "0+30x60"), ("+Inf", "0+30x60"))
        ),
        3,
    ),
}


@pytest.mark.parametrize("name", sorted(SERIES))
def test_each_rule_of_the_requirements_fires_at_its_own_for(name: str) -> None:
    series, minutes = SERIES[name]
    rule = next(rule for _, rule in load([REQUIREMENTS]).alert_rules() if rule.name == name)
    query = query_over(MemoryReader().load("15s", series))
    found = backtest(rule, at(0), at(900), query, UTC)
    (episode,) = found.episodes
    assert rule.hold == timedelta(minutes=minutes)
    assert episode.fired_at - episode.active_at == rule.hold
    assert episode.resolved_at is None
    assert found.firing == at(900) - episode.fired_at


def test_a_backtest_counts_episodes_days_and_conditions_that_never_fired() -> None:
    ((_, rule),) = load_text("groups: [{name: g, rules: [{alert: A, expr: x > 1, for: 30s}]}]").alert_rules()
    reader = MemoryReader().load("15s", "x 0x3 5x5 0x3 5x1 0x3 2 9x4 0x9")
    found = backtest(rule, at(0), at(600), query_over(reader), UTC)
    assert [(one.fired_at, one.resolved_at, one.peak) for one in found.episodes] == [
        (at(90), at(150), 5.0), (at(330), at(390), 9.0)]  # fmt: skip
    assert (found.pending_only, found.per_day, found.failed) == (1, {"1970-01-01": 2}, 0)
    assert found.firing == timedelta(seconds=120)


def test_a_backtest_that_is_too_long_or_turned_round_is_refused() -> None:
    ((_, rule),) = load_text("groups: [{name: g, rules: [{alert: A, expr: x}]}]").alert_rules()
    with pytest.raises(QueryError, match="too long"):
        backtest(rule, at(0), at(1e8), query_over(MemoryReader()), UTC)
    with pytest.raises(QueryError, match="end after its start"):
        backtest(rule, at(1), at(0), query_over(MemoryReader()), UTC)


def test_lint_says_what_is_wrong_with_rows_two_and_four() -> None:
    found = {one.rule: one for one in lint(load([REQUIREMENTS])) if one.code not in ("no_runbook",)}
    assert found["requirements/HighErrorRate"].code == "rate_as_percentage"
    assert found["requirements/HighErrorRate"].proposal == (
        'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.01')  # fmt: skip
    assert "percentage" in found["requirements/HighErrorRate"].message
    assert "百分比" in found["requirements/HighErrorRate"].text("zh-CN")
    assert found["requirements/SlowAPIResponse"].proposal == (
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 15")  # fmt: skip
    assert found["requirements/PaymentFailureRate"].code == "ratio_without_traffic_guard"
