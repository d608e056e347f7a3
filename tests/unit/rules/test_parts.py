"""Reading rule files, filling templates, observing remediations, lint, unit-test files."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from support.rules import at, failing, newest_over, query_over

from rules import load, load_text, observe
from rules.findings import LOCALES
from rules.lint import lint
from rules.template import Context, TemplateError, check_template, render
from rules.unit_tests import run_tests
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import Labels, Mode, RemedyRule, labels
from watchkeeper.promql import MemoryReader

REMEDY = """
remediations:
- name: drain-web1
  when: 'probe_success{job="web"} == 0'
  observers: {proxy: 'proxy_up == 0'}
  confirm: 3 of 4
  action: haproxy
  target: web
  parameters: {state: drain}
  mode: approve
  owner: ops
  verify: 'probe_success{job="web"} == 0'
  interval: 15s
  labels: {service: web}
"""


def remedy(text: str = REMEDY) -> RemedyRule:
    (rule,) = load_text(text).remedies
    return rule


def test_a_remediation_is_read_with_its_place_and_version() -> None:
    rule = remedy()
    assert (rule.confirm_k, rule.confirm_n, rule.mode, rule.line) == (3, 4, Mode.APPROVE, 3)
    assert rule.incident_labels == {"service": "web"}
    assert rule.version != remedy(REMEDY.replace("drain}", "maint}")).version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: [{name: g, rules: [{alert: A}]}]", "key 'expr' is missing"),
        ("groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]", "expr: is not valid PromQL"),
        ("groups: [{name: g, rules: [{alert: A, record: b, expr: up}]}]", "exactly one of them"),
        ("groups: [{name: g, rules: [{record: a-b, expr: up}]}]", "is not a metric name"),
        ("groups: [{name: g, rules: [{record: ab, expr: up, for: 1m}]}]", "belongs to alerting rules only"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, for: 5}]}]", "write a duration with its unit"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, fro: 5m}]}]", "is not a known key"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, labels: {a-b: c}}]}]", "is not a label name"),
        ("groups: [{name: g, limit: -1, rules: []}]", "must be a whole number"),
        ("groups: [{name: g}, {name: g}]", "a name of its own"),
        ("groups: {}", "must be a list"),
        ("groups: [1]", "must be a mapping"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, expr: down}]}]", "stands twice"),
        ("a: &a [*a]", "nests too deep or repeats itself"),
        (
            "groups: [{name: g, rules: [{alert: A, expr: up, annotations: {s: '{{ template \"up\" }}'}}]}]",
            "template is not",
        ),
        (REMEDY.replace("3 of 4", "5 of 4"), "can never be met"),
        (REMEDY.replace("3 of 4", "often"), 'for example "3 of 4"'),
        (REMEDY.replace("mode: approve", "mode: yolo"), "is no mode"),
        (REMEDY.replace("owner: ops", "rollback: maybe"), "must be"),
        (REMEDY + REMEDY.replace("remediations:\n", ""), "names must differ"),
    ],
)
def test_a_mistake_names_file_line_and_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_text(text)
    assert str(error.value).startswith("rules.yaml:")


def test_one_bad_file_among_good_ones_gives_no_book(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("groups: [{name: g, rules: [{alert: A, expr: 'up{x=\"${HOME}\"}'}]}]")
    bad.write_text("groups:\n- name: g\n  rules:\n  - alert: B\n")
    with pytest.raises(ConfigError, match=r"bad.yaml:4: groups\[0\].rules\[0\]"):
        load([good, bad])
    assert load([good]).groups[0].rules[0].expr == 'up{x="${HOME}"}'


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{ $value }}", 0.25, "0.25"),
        ("{{ $value }}", 1e21, "1e+21"),
        ("{{ .Value | humanize }}", 1234567.0, "1.235M"),
        ("{{ humanize $value }}", 0.0012, "1.2m"),
        ("{{ $value | humanize1024 }}", 2048.0, "2ki"),
        ("{{ $value | humanizeDuration }}", 90061.0, "1d 1h 1m 1s"),
        ("{{ $value | humanizeDuration }}", 0.05, "50ms"),
        ("{{ $value | humanizePercentage }}", 0.1234, "12.34%"),
        ("{{ $value | humanizeTimestamp }}", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ('{{ printf "%.1f of %s %d%%" $value $labels.job 3 }}', 2.345, "2.3 of web 3%"),
        ("{{ if gt $value 5.0 }}high{{ else if gt $value 1.0 }}mid{{ else }}low{{ end }}", 2.0, "mid"),
        ("{{ with $labels.job }}[{{ . }}]{{ end }}", 1.0, "[web]"),
        ("a {{- $labels.missing -}} b", 1.0, "ab"),
        ("{{ $x := $labels.job | toUpper }}{{ $x }}{{/* note */}}", 1.0, "WEB"),
        ('{{ reReplaceAll "(w)eb" "${1}!" $labels.job }}', 1.0, "w!"),
        ('{{ match "^w" $labels.job }}', 1.0, "true"),
        ("{{ stripPort $labels.instance }}", 1.0, "h"),
        ("{{ $value }}", float("nan"), "NaN"),
    ],
)
def test_templates_print_what_prometheus_prints(text: str, value: float, expected: str) -> None:
    assert render(text, Context(labels={"job": "web", "instance": "h:1"}, value=value)) == expected


@pytest.mark.parametrize(
    "text",
    ["{{ range $labels }}", "{{ range }}{{ end }}", "{{ break }}", "{{ if $value }}", "{{ end }}",
     "{{ nothing $value }}", "{{ $value", "{{ }}", "{{ ($value }}", "{{ $value 3 }}", '{{ template "x" }}', "{{ ~ }}"],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        check_template(text)


SAMPLES = [(labels("up", job="b"), 2.0), (labels("up", job="a"), 1.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ with query "up" }}{{ . | first | value | humanize }}{{ end }}', "2"),
        ('{{ query "up" | first | label "job" }}', "b"),
        ('{{ range query "up" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value }} {{ end }}', "a=1 b=2 "),
        ('{{ range $i, $one := query "up" }}{{ $i }}{{ $one.Labels.job }}{{ end }}', "0b1a"),
        ("{{ range $name, $text := $labels }}{{ $name }}:{{ $text }};{{ end }}", "instance:h:1;job:web;"),
        ('{{ range query "none" }}x{{ else }}nobody{{ end }}', "nobody"),
        ('{{ printf "up{job=%q}" $labels.job | query | len }}', "2"),
        ('{{ graphLink "up == 0" }}', "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"),
        ("{{ pathPrefix }} {{ externalURL }}", "/wk http://x/wk"),
        ("{{ now }} {{ args 1 2 }} {{ safeHtml $labels.job }}", "60 map[arg0:1 arg1:2] web"),
    ],
)
def test_templates_ask_and_go_over_samples(text: str, expected: str) -> None:
    context = Context(
        labels={"job": "web", "instance": "h:1"}, value=1.0, external_url="http://x/wk", now_seconds=60.0,
        ask=lambda expr: [] if expr == "none" else SAMPLES,
    )  # fmt: skip
    assert render(text, context) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{{ query "none" | first }}', "vector with no elements"),
        ('{{ query "bad" }}', "query: no such thing"),
        ("{{ range $value }}x{{ end }}", "can be gone over"),
        ('{{ query "up" }}' * 9, "more than 8 in one text"),
        ('{{ $v := query "many" }}{{ range $v }}{{ range $v }}{{ end }}{{ end }}', "more than 10000 rounds"),
        ('{{ label "job" 3 }}', "label:"),
    ],
)
def test_a_template_that_asks_too_much_or_in_vain_says_so(text: str, reason: str) -> None:
    def ask(expr: str) -> list[tuple[Labels, float]]:
        if expr == "bad":
            raise QueryError("no such thing")
        return {"none": [], "many": SAMPLES * 100}.get(expr, SAMPLES)

    with pytest.raises(TemplateError, match=reason):
        render(text, Context(labels={}, value=1.0, ask=ask))


def test_without_anybody_to_ask_a_query_is_an_error() -> None:
    with pytest.raises(TemplateError, match="nothing to ask"):
        render('{{ query "up" }}', Context(labels={}, value=1.0))


BOMBS = {
    "a space between braces that never close": "{{" + " " * 60_000,
    "braces that never close": "{{" * 30_000,
    "a variable doubled twenty times": '{{ $x := "aaaa" }}' + '{{ $x = printf "%s%s" $x $x }}' * 20,
    "nested brackets": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "a number of ten thousand digits": '{{ printf "%d" ' + "9" * 10_000 + " }}",
    "one argument many times": f"{{{{ $x := `{'a' * 40_000}` }}}}{{{{ printf `%s` {'$x ' * 5_000}}}}}",
    "one value printed many times": f"{{{{ $x := `{'a' * 30_000}` }}}}{'{{ $x }}' * 3_000}",
    "a letter replaced by a book": f"{{{{ $x := `{'a' * 12_000}` }}}}{{{{ $y := reReplaceAll `.` $x $x }}}}",
    "a group that holds all, often": f"{{{{ $x := `{'a' * 30_000}` }}}}{{{{ reReplaceAll `.*` `{'$0' * 900}` $x }}}}",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in BOMBS.items()])
def test_a_template_made_to_eat_time_or_memory_is_refused_at_once(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text, Context(labels={}, value=1.0))


def test_a_verb_that_never_comes_is_looked_for_once() -> None:
    zeros = "%" + "0" * 50_000
    assert render(f'{{{{ printf "{zeros}" }}}}', Context(labels={}, value=1.0)) == zeros


@pytest.mark.parametrize(
    ("series", "seconds", "bad", "reason"),
    [
        ('probe_success{job="web"} 0x4', 60, True, "condition_met"),
        ('probe_success{job="web"} 1x4', 60, False, "condition_clear"),
        ('probe_success{job="web"} 0x4', 120, None, "stale"),
        ("other 1", 60, None, "no_data"),
    ],
)
def test_an_observation_is_unknown_rather_than_guessed(
    series: str, seconds: int, bad: bool | None, reason: str
) -> None:
    reader = MemoryReader().load("15s", series)
    seen = observe(remedy(), at(seconds), query_over(reader), newest_over(reader))
    assert seen.bad is bad
    assert seen.reason.startswith(reason)
    assert seen.observers == {"proxy": None}


def test_a_plain_value_is_bad_when_it_is_not_zero_and_unknown_when_it_is_not_a_number() -> None:
    rule = remedy(REMEDY.replace("""'probe_success{job="web"} == 0'""", "errors", 1))
    for text, bad in (("0x4", False), ("3x4", True), ("NaNx4", None)):
        reader = MemoryReader().load("15s", f"errors {text}")
        assert observe(rule, at(60), query_over(reader), newest_over(reader)).bad is bad
    assert observe(rule, at(60), failing, newest_over(MemoryReader())).reason.startswith("query_failed")


def codes(text: str, **options: object) -> set[str]:
    return {one.code for one in lint(load_text(text), **options)}  # type: ignore[arg-type]


def test_lint_finds_what_can_never_be_true_or_is_nowhere() -> None:
    rule = "groups: [{name: g, rules: [{alert: A, expr: '%s', labels: {severity: odd}}]}]"
    assert {"never_fires", "no_runbook", "no_summary", "unknown_severity"} <= codes(rule % "rate(x_total[5m]) < 0")
    assert "always_fires" in codes(rule % "rate(x_total[5m]) >= 0")
    assert "no_for" in codes(rule % "load > 1")
    assert "absent_metric" in codes(rule % "load > 1", known_metrics={"up"})
    assert "absent_metric" not in codes(rule % "load > 1", known_metrics={"load"})


def test_lint_compares_rules_of_one_quantity() -> None:
    rules = "{alert: A, expr: x > %s, for: 1m, labels: {severity: %s}}"
    inverted = f"groups: [{{name: g, rules: [{rules % ('5', 'P1')}, {rules % ('9', 'P3')}]}}]"
    assert "ladder_inverted" in codes(inverted)
    assert "ladder_inverted" not in codes(inverted.replace("P3", "P0"))
    assert "duplicate" in codes(f"groups: [{{name: g, rules: [{rules % ('5', 'P1')}, {rules % ('5', 'P1')}]}}]")


def test_lint_knows_remediations_that_cannot_be_trusted() -> None:
    assert codes(REMEDY) == set()
    bare = (
        "remediations: [{name: r, when: up == 0, action: webhook, mode: auto, rollback: none, observers: {o: up==0}}]"
    )
    assert codes(bare) == {
        "remedy_no_verify", "remedy_no_owner", "remedy_no_target", "remedy_same_observer", "remedy_no_rollback",
        "remedy_auto", "remedy_any_target",
    }  # fmt: skip
    pinned = bare.replace("when: up == 0", "when: 'up{job=\"shop\"} == 0'")
    assert "remedy_any_target" not in codes(pinned)


AWAY = """
remediations:
- name: failover
  when: 'probe_success{job="shop", copy="primary"} == 0'
  observers: {proxy: 'proxy_up == 0'}
  action: haproxy
  target: web
  owner: ops
  %s
  verify: '%s'
"""


@pytest.mark.parametrize(
    ("how", "verify", "found"),
    [
        ("link: shop", 'probe_success{job="shop"} == 0', {"remedy_verify_stays"}),
        ("link: shop", 'min(probe_success{job="shop"}) == 0', {"remedy_verify_stays"}),
        ("parameters: {drain: web1}", 'probe_success{job="shop"} == 0', {"remedy_verify_stays"}),
        ("link: shop", 'probe_success{job="shop", copy="front"} == 0', set()),
        ("link: shop", 'sum(probe_success{job="shop"}) == 0', set()),  # one bad copy does not make it bad
        ("link: shop", 'probe_success{job="shop", copy="primary"} == 0', set()),  # through the proxy, it may go
        ("parameters: {restart: web1}", 'probe_success{job="shop"} == 0', set()),
        ("parameters: {ready: web2, maint: web1}", 'probe_success{copy="front"} == 0', {"remedy_switch_no_link"}),
    ],
)
def test_lint_says_that_what_traffic_leaves_stays_bad_and_that_two_need_a_link(
    how: str, verify: str, found: set[str]
) -> None:
    assert codes(AWAY % (how, verify)) == found


@pytest.mark.parametrize(
    ("kind", "verify", "found"),
    [
        ("redis_sentinel", "redis_master_link_up == 0", {"remedy_verify_silent"}),
        ("redis_sentinel", 'probe_success{leads="backup"} == 0', set()),
        ("mysql", "mysql_slave_status_slave_io_running == 0", {"remedy_verify_silent"}),
        ("haproxy", "redis_master_link_up == 0", set()),  # nobody is promoted
    ],
)
def test_lint_says_that_a_promoted_replica_tells_no_more_of_its_link(kind: str, verify: str, found: set[str]) -> None:
    assert codes((AWAY % ("link: shop", verify)).replace("action: haproxy", f"action: {kind}")) == found


def test_both_languages_have_the_same_texts() -> None:
    zh, en = (json.loads((LOCALES / f"{name}.json").read_text(encoding="utf-8")) for name in ("zh-CN", "en"))
    assert zh.keys() == en.keys()
    for key in en:
        assert set(re.findall(r"\{(\w+)\}", en[key])) == set(re.findall(r"\{(\w+)\}", zh[key])), key


TESTS = """
rule_files: [rules.yaml]
evaluation_interval: 15s
tests:
- interval: 15s
  input_series: [{series: 'probe_success{job="web"}', values: '0x20'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {job: web}, exp_annotations: {s: web}}]}
  promql_expr_test: [{expr: sum(probe_success), eval_time: 1m, exp_samples: [{labels: '{}', value: %s}]}]
  remediation_test: [{eval_time: 1m, rule: drain-web1, expect: %s}]
"""


def test_unit_test_files_tell_met_from_unmet(tmp_path: Path) -> None:
    rule = "{alert: Down, expr: probe_success == 0, for: 1m, annotations: {s: '{{ $labels.job }}'}}"
    alert = f"groups: [{{name: g, rules: [{rule}]}}]"
    (tmp_path / "rules.yaml").write_text(alert + REMEDY)
    file = tmp_path / "test.yaml"
    file.write_text(TESTS % (0, "bad"))
    report = run_tests([file])
    assert (report.passed, report.checks, report.failures) == (True, 3, [])
    file.write_text(TESTS % (1, "unknown"))
    messages = [failure.message for failure in run_tests([file]).failures]
    assert len(messages) == 2
    assert "expected {} 1.0, got {} 0.0" in messages[0]
    assert "expected unknown, got bad" in messages[1]
    assert timedelta(0) == load([tmp_path / "rules.yaml"]).groups[0].query_offset
