"""Rules of one environment written for the next: what is rewritten, what is refused, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rules.load import load
from rules.promotion import Step
from rules.promotion.expression import belongs, moved
from rules.promotion.file import has_comments
from watchkeeper.app.cli import app
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import Mode

TO_PROD = Step("STAGING", "PROD")
RULES = """\
# the shop's
groups:
  - name: shop
    labels: {environment: STAGING}
    rules:
      - record: shop:errors
        expr: sum(rate(errors_total{environment="STAGING"}[5m]))
  - name: mixed
    rules:
      - alert: StagingDown
        expr: up{job="shop", environment="STAGING"} == 0
        for: 1m
        labels: {severity: P1}
        annotations: {summary: "STAGING is down", runbook_url: "https://w/1"}
      - alert: DevDown
        expr: up{environment="DEV"} == 0
        for: 1m
remediations:
  - name: shop_restart
    when: up{job="shop", environment="STAGING"} == 0
    observers: {probe: 'probe_success{job="probe", environment="STAGING"} == 0'}
    action: supervisord
    target: shop-staging
    mode: auto
    owner: lin
    verify: up{job="shop", environment="STAGING"} == 0
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(RULES, encoding="utf-8")
    return file


def promote(what: object, *words: str, start: str = "STAGING", to: str = "PROD") -> Any:
    return CliRunner().invoke(app, ["rules", "promote", str(what), "--from", start, "--to", to, *words])


# --- expressions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'up{environment="HERE"}',
        "up{environment=~'HERE', job!~\"STAGING\"}[5m]",
        '{"http.errors", "environment" = `HERE`}',
        'up{job="environment=\\"STAGING\\"", environment="HERE"}',
        'up{environment="HERE"} # {environment="STAGING"}',
        'sum by (environment) (up{ # why\n environment # x\n = "HERE"})',
        'a{environment="HERE"} </ 2 and rate(b{environment="HERE"}[2m*3] offset -1m)',
        'label_replace(up{environment="HERE"}, "place", "STAGING", "", "")',
        'the_environment_STAGING{xenvironment="STAGING"}',
    ],
)
def test_only_matchers_of_the_environment_are_rewritten(text: str) -> None:
    assert moved(text.replace("HERE", "STAGING"), TO_PROD) == text.replace("HERE", "PROD")


def test_a_value_is_read_as_the_language_reads_it() -> None:
    assert moved('up{environment="\\x53TAGING"}', TO_PROD) == 'up{environment="PROD"}'


@pytest.mark.parametrize(
    "expr",
    [
        'up{environment!="STAGING"}',
        'up{environment=~"STAGING|DEV"}',
        'up{environment!~"DEV"}',
        'a{environment="STAGING"} / on () b{environment="PROD"}',
        'label_replace(up{environment="STAGING"}, "environment", "x", "", "")',
        'label_join(up{environment="STAGING"}, "environment", "-", "job")',
    ],
)
def test_an_expression_whose_meaning_there_is_open_is_left_to_a_person(expr: str) -> None:
    with pytest.raises(QueryError, match="by hand"):
        moved(expr, TO_PROD)


def test_an_expression_is_of_the_environments_that_its_selectors_name_alone() -> None:
    expr = 'a{environment="DEV"} unless b{environment=~"TEST"} unless c{environment!="PROD"} unless d{job="STAGING"}'
    assert [one for one in ("DEV", "TEST", "STAGING", "PROD") if belongs(expr, one)] == ["DEV", "TEST"]


# --- steps and names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "to", "says"),
    [
        ("DEV", "STAGING", "TEST is left out"),
        ("TEST", "PROD", "STAGING is left out"),
        ("PROD", "TEST", "upwards"),
        ("TEST", "TEST", "upwards"),
        ("test", "STAGING", "'test' is no environment"),
    ],
)
def test_environments_are_gone_through_in_their_order(start: str, to: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Step(start, to)


def test_one_can_be_left_out_when_that_is_said() -> None:
    assert Step("DEV", "PROD", skip=True).renamed("orders_dev") == "orders_prod"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.staging", "a.prod"), ("STAGING_a", "PROD_a"), ("Staging a", "Prod a"), ("upstaging", "upstaging-prod")],
)
def test_a_name_has_the_environment_as_a_word(name: str, wanted: str) -> None:
    assert TO_PROD.renamed(name) == wanted


def test_comments_are_told_from_what_only_looks_like_one() -> None:
    assert has_comments("a: 1 # why\n")
    assert has_comments("a: |\n  up # in the expression\n# behind it\n")
    assert not has_comments("a: |\n  up # in the expression\nb: 'x # y'\nc: {d: e#f}\n")


# --- files -----------------------------------------------------------------------------------------------------------


def test_what_is_of_the_environment_is_written_for_the_next_and_loads_beside_it(shop: Path) -> None:
    told = promote(shop)
    assert told.exit_code == 0, told.output
    book = load([shop, shop.with_name("shop-prod.yaml")])
    found = load([shop.with_name("shop-prod.yaml")])
    assert [(group.name, rule.name) for group, rule in found.rules()] == [
        ("shop-prod", "shop:errors"),
        ("mixed-prod", "StagingDown"),
    ]
    (restart,) = found.remedies
    texts = [rule.expr for _, rule in found.rules()] + [restart.when, restart.verify, *restart.observers.values()]
    assert all(belongs(text, "PROD") and not belongs(text, "STAGING") for text in texts)
    assert found.groups[0].labels == {"environment": "PROD"}
    assert (restart.name, restart.mode) == ("shop_restart-prod", Mode.DRY_RUN)
    assert len(book.remedies) == 2
    assert "+++ " in told.output
    for note in (
        "dry_run (in STAGING: auto)",
        "target shop-staging stays",
        "summary still says STAGING",
        "stay where they are: 1",
        "comments of",
    ):
        assert note in told.output


def test_a_dry_run_only_prints(shop: Path) -> None:
    assert "+      - alert: StagingDown" in promote(shop, "--dry-run").output
    assert sorted(shop.parent.iterdir()) == [shop]


def test_again_there_is_nothing_to_do_even_when_the_mode_was_raised_there(shop: Path) -> None:
    promote(shop, "--target", "shop-staging=shop")
    there = shop.with_name("shop-prod.yaml")
    there.write_text(there.read_text().replace("mode: dry_run", "mode: approve"), encoding="utf-8")
    told = promote(shop, "--target", "shop-staging=shop")
    assert "nothing to do" in told.output
    (restart,) = load([there]).remedies
    assert (restart.mode, restart.target) == (Mode.APPROVE, "shop")


def test_a_different_rule_there_is_overwritten_only_when_that_is_said(shop: Path) -> None:
    promote(shop)
    there = shop.with_name("shop-prod.yaml")
    own = there.read_text().replace("for: 1m", "for: 9m") + "ladders: []\n"
    there.write_text(own, encoding="utf-8")
    told = promote(shop)
    assert "StagingDown in group mixed-prod; write --replace" in str(told.exception)
    assert there.read_text() == own
    told = promote(shop, "--replace")
    assert "-        for: 9m" in told.output
    assert "StagingDown in group mixed-prod: replaced" in told.output
    assert "ladders" in yaml.safe_load(there.read_text())


def test_a_raised_mode_falls_back_to_dry_run_with_a_changed_rule(shop: Path) -> None:
    promote(shop)
    there = shop.with_name("shop-prod.yaml")
    there.write_text(there.read_text().replace("mode: dry_run", "mode: auto"), encoding="utf-8")
    shop.write_text(RULES.replace("owner: lin", "owner: wang"), encoding="utf-8")
    assert promote(shop, "--replace").exit_code == 0
    (restart,) = load([there]).remedies
    assert (restart.mode, restart.owner) == (Mode.DRY_RUN, "wang")


def test_rules_that_only_the_next_environment_has_stay(shop: Path) -> None:
    there = shop.with_name("prod.yaml")
    there.write_text("groups: [{name: mixed-prod, rules: [{record: own, expr: up}]}]\n", encoding="utf-8")
    promote(shop, "--into", str(there))
    assert [rule.name for _, rule in load([there]).rules()] == ["own", "StagingDown", "shop:errors"]


def test_nothing_of_the_environment_is_an_error(shop: Path) -> None:
    assert "no rule is of TEST" in str(promote(shop, start="TEST", to="STAGING").exception)
    assert sorted(shop.parent.iterdir()) == [shop]


def test_a_rule_of_two_environments_is_told_with_its_place(shop: Path) -> None:
    shop.write_text(RULES.replace("labels: {severity: P1}", "labels: {environment: PROD}"), encoding="utf-8")
    error = promote(shop).exception
    assert isinstance(error, ConfigError)
    assert (error.line, error.key) == (13, "groups[1].rules[0].labels.environment")


def test_what_does_not_pass_the_lint_is_not_written(shop: Path) -> None:
    shop.write_text(RULES.replace("    target: shop-staging\n", ""), encoding="utf-8")
    told = promote(shop)
    assert (told.exit_code, "remedy_no_target" in told.output) == (1, True)
    assert sorted(shop.parent.iterdir()) == [shop]


def test_a_remediation_of_that_name_in_another_file_is_told_before_any_engine_reads_two(shop: Path) -> None:
    other = shop.with_name("others.yaml")
    taken = {**yaml.safe_load(RULES)["remediations"][0], "name": "shop_restart-prod"}
    other.write_text(yaml.safe_dump({"remediations": [taken]}), encoding="utf-8")
    assert "others.yaml has remediations of these names: shop_restart-prod" in str(promote(shop).exception)


def test_a_ladder_is_promoted_with_the_conditions_of_its_levels(shop: Path) -> None:
    level = {"name": "CACHED", "state": {"n": 1}, "enter": 'a{environment="STAGING"} > 1', "leave": "a < 1"}
    ladder = {
        "name": "down", "action": "flag", "target": "planner", "level": 'l{environment="STAGING"}', "mode": "auto",
        "levels": [{"name": "FULL", "state": {"n": 0}}, level],
    }  # fmt: skip
    shop.write_text(yaml.safe_dump({"ladders": [ladder]}), encoding="utf-8")
    assert promote(shop).exit_code == 0
    (found,) = load([shop.with_name("shop-prod.yaml")]).ladders
    assert (found.name, found.level, found.mode) == ("down-prod", 'l{environment="PROD"}', Mode.DRY_RUN)
    assert found.levels[1].enter == 'a{environment="PROD"} > 1'


def test_a_group_is_found_in_the_folders_of_the_configuration_and_promoted_alone(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yaml").write_text(RULES, encoding="utf-8")
    config = tmp_path / "watchkeeper.yaml"
    config.write_text("data: data\nrules: {packs: [], directories: [rules]}\n", encoding="utf-8")
    assert promote("mixed", "--config", str(config)).exit_code == 0
    found = load([tmp_path / "rules" / "shop-prod.yaml"])
    assert [group.name for group in found.groups] == ["mixed-prod"]
    assert not found.remedies
    assert "'none' is no file" in str(promote("none", "--config", str(config)).exception)
