"""Unit tests of rules in promtool's format: ours must say what promtool says, of the right and of the wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.servers import need

from rules.unit_tests import run_tests
from watchkeeper.errors import ConfigError

RULES = """
groups:
- name: first
  interval: 30s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - record: job:requests:rate5m
    expr: sum by (job) (rate(requests_total[5m]))
    labels: {team: web}
- name: second
  rules:
  - alert: Down
    expr: up == 0
    for: 3m
    labels: {severity: page, where: '{{ $labels.instance }} in {{ $externalLabels.region }}'}
    annotations:
      summary: '{{ $labels.job }} is at {{ $value | humanize }}; see {{ $externalURL }}'
      share: '{{ 0.1234 | humanizePercentage }} for {{ 3661 | humanizeDuration }}'
  - alert: Flapping
    expr: load > 2
    for: 1m
    keep_firing_for: 3m
  - alert: FewUp
    expr: job:up:sum < 2
  - alert: Asked
    expr: load > 2
    annotations:
      first: '{{ with query "sum(up)" }}{{ . | first | value }}{{ end }}'
      each: '{{ range query "up" | sortByLabel "instance" }}{{ .Labels.instance }}={{ .Value }} {{ end }}'
      pairs: '{{ range $name, $text := $labels }}{{ $name }} is {{ $text }}{{ end }}'
      none: '{{ range query "up > 9" }}x{{ else }}none of {{ $value }}{{ end }}'
      named: '{{ query "up" | sortByLabel "instance" | first | label "instance" }}{{ graphLink "up" }}'
  - alert: Gone
    expr: absent(up{job="db"})
    labels: {severity: ticket}
"""

HEAD = """
rule_files: [rules.yaml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
- interval: 1m
  external_labels: {region: north}
  external_url: http://watch.example
  input_series:
  - {series: 'up{job="web",instance="a"}', values: '1 1 0 0 0 0 0 0 1 1 1 1'}
  - {series: 'up{job="web",instance="b"}', values: '1x3 _x2 1x4 stale'}
  - {series: 'requests_total{job="web"}', values: '0+60x11'}
  - {series: 'load{instance="a"}', values: '1 3 3 3 1 1 1 1 1 1 1'}
"""

DOWN = """
  alert_rule_test:
  - eval_time: %s
    alertname: Down
    exp_alerts:
    - exp_labels: {job: web, instance: a, severity: page, where: a in north}
      exp_annotations:
        summary: web is at 0; see http://watch.example
        share: 12.34%% for 1h 1m 1s
"""
ASKED = """
  alert_rule_test:
  - eval_time: 1m
    alertname: Asked
    exp_alerts:
    - exp_labels: {instance: a}
      exp_annotations:
        first: "2"
        each: "a=1 %s=1 "
        pairs: instance is a
        none: none of 3
        named: a/graph?g0.expr=up&g0.tab=0
"""
NONE = """
  alert_rule_test:
  - {eval_time: %s, alertname: %s}
"""
ALERT = """
  alert_rule_test:
  - eval_time: %s
    alertname: %s
    exp_alerts: [{exp_labels: {%s}}]
"""
SAMPLES = """
  promql_expr_test:
  - expr: %s
    eval_time: %s
    exp_samples: [%s]
"""

CASES = {
    "fires when it has lasted": DOWN % "5m",
    "fires not before": DOWN % "4m",
    "is pending until then": NONE % ("4m", "Down"),
    "is firing at the very minute": NONE % ("5m", "Down"),
    "is over at once": NONE % ("8m", "Down"),
    "a moment between two evaluations is that of the one before": DOWN % "5m59s",
    "another label": (DOWN % "5m").replace("severity: page", "severity: ticket"),
    "a label too few": (DOWN % "5m").replace("severity: page, ", ""),
    "another text": (DOWN % "5m").replace("12.34", "12.35"),
    "fires while its condition lasts": ALERT % ("3m", "Flapping", "instance: a"),
    "keeps firing for a while": ALERT % ("6m", "Flapping", "instance: a"),
    "keeps firing not for ever": ALERT % ("7m", "Flapping", "instance: a"),
    "is gone after that": NONE % ("7m", "Flapping"),
    "rests on what was recorded before it": ALERT % ("4m", "FewUp", "job: web"),
    "without for it fires at once": NONE % ("2m", "FewUp"),
    "templates ask and go over samples": ASKED % "b",
    "and not just anything": ASKED % "c",
    "absence has the labels of its selector": ALERT % ("0m", "Gone", "job: db, severity: ticket"),
    "absence, other labels": ALERT % ("0m", "Gone", "job: web, severity: ticket"),
    "a recorded sum": SAMPLES % ("job:up:sum", "1m", """{labels: 'job:up:sum{job="web"}', value: 2}"""),
    "a recorded sum, wrong": SAMPLES % ("job:up:sum", "1m", """{labels: 'job:up:sum{job="web"}', value: 3}"""),
    "a recorded rate": SAMPLES
    % ("job:requests:rate5m", "10m", """{labels: 'job:requests:rate5m{job="web",team="web"}', value: 1}"""),
    "a recorded rate without its label": SAMPLES
    % ("job:requests:rate5m", "10m", """{labels: 'job:requests:rate5m{job="web"}', value: 1}"""),
    "what was recorded last is found": SAMPLES % ("count(job:up:sum)", "10m", "{labels: '{}', value: 1}"),
    "a stale series is gone": SAMPLES % ("""up{instance="b"}""", "10m", ""),
    "a gap is bridged": SAMPLES
    % ("""up{instance="b"}""", "5m", """{labels: 'up{job="web",instance="b"}', value: 1}"""),
    "pending alerts are series": SAMPLES
    % (
        """ALERTS{alertname="Down"}""", "3m",
        """{value: 1, labels: 'ALERTS{alertname="Down",alertstate="pending",instance="a",job="web",
            severity="page",where="a in north"}'}""",
    ),
    "and their beginning is": SAMPLES
    % ("""min(ALERTS_FOR_STATE{alertname="Down"})""", "3m", "{labels: '{}', value: 120}"),
    "a number": SAMPLES % ("1 + time()", "2m", "{labels: '{}', value: 121}"),
    "no number": SAMPLES % ("1 + time()", "2m", "{labels: '{}', value: 122}"),
}  # fmt: skip


def test_every_verdict_is_promtools(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    files = {name: tmp_path / f"case{number}.yaml" for number, name in enumerate(CASES)}
    theirs, ours = {}, {}
    for name, file in files.items():
        file.write_text(HEAD + CASES[name])
        done = subprocess.run(
            [need("promtool"), "test", "rules", str(file)], capture_output=True, text=True, timeout=60
        )
        theirs[name] = done.returncode == 0
        ours[name] = run_tests([file]).passed
    assert ours == theirs
    assert {True, False} == set(ours.values())


NATIVE = """
rule_files: [native.yaml]
fuzzy_compare: true
tests:
- interval: 1m
  start_timestamp: %s
  input_series:
  - series: 'lat{job="web"}'
    values: '{{count:4 sum:5 buckets:[1 2 1]}}+{{count:8 sum:10 buckets:[2 4 2]}}x9'
  alert_rule_test:
  - {eval_time: 5m, alertname: Slow, exp_alerts: [{exp_labels: {job: web}, exp_annotations: {q: '%s'}}]}
  promql_expr_test:
  - expr: job:lat:increase4m
    eval_time: 5m
    exp_samples:
    - labels: job:lat:increase4m{job="web"}
      histogram: '{{schema:0 count:%s sum:40 buckets:[8 16 8] counter_reset_hint:gauge}}'
  - {expr: 'timestamp(lat)', eval_time: 5m, exp_samples: [{labels: '{job="web"}', value: %s}]}
"""
NATIVE_RULES = """
groups:
- name: g
  rules:
  - {record: 'job:lat:increase4m', expr: 'increase(lat[4m])'}
  - alert: Slow
    expr: histogram_quantile(0.5, job:lat:increase4m) > 1
    annotations: {q: '{{ $value | printf "%.3f" }}'}
"""


@pytest.mark.parametrize(("start", "now"), [("0", 300), ("1000", 1300), ("2024-01-31T12:00:00Z", 1706702700)])
def test_histograms_are_loaded_recorded_and_expected(tmp_path: Path, start: str, now: int) -> None:
    (tmp_path / "native.yaml").write_text(NATIVE_RULES)
    file = tmp_path / "tests.yaml"
    file.write_text(NATIVE % (start, "1.414", 32, now))
    assert [str(one) for one in run_tests([file]).failures] == []
    file.write_text(NATIVE % (start, "1.415", 33, now + 1))
    messages = [one.message for one in run_tests([file]).failures]
    assert len(messages) == 3
    assert any("{count:33, sum:40, (0.5,1]:8, (1,2]:16, (2,4]:8}" in message for message in messages)


def test_a_file_that_cannot_be_meant_names_its_place(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    file = tmp_path / "tests.yaml"
    wrong = {
        "group_eval_order: [first, first]": "names a group twice",
        "start_timestamp: yesterday": "must be seconds since 1970",
        "tests: [{promql_expr_test: [{expr: a, exp_samples: [{labels: a, histogram: '{{schema:99}}'}]}]}]": "schema 99",
        "tests: [{promql_expr_test: [{expr: a, exp_samples: [{labels: a, value: many}]}]}]": "could not convert",
    }
    for text, message in wrong.items():
        file.write_text(f"rule_files: [rules.yaml]\n{text}\n")
        with pytest.raises(ConfigError, match=message):
            run_tests([file])
