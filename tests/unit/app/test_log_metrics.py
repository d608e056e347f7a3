"""Lines become series by rule: counts, sums and histograms, under labels that are bounded."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engines import NOON, build, clock_of, quiet
from support.journey import assert_ledgers, begin, walk

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.log_metrics import Counting
from watchkeeper.app.pipeline.log_rules import LogRule
from watchkeeper.app.reload import reload
from watchkeeper.clock import to_ms
from watchkeeper.config.logs import LogMetric
from watchkeeper.errors import ConfigError, StoreFullError
from watchkeeper.model import LogBatch, labels
from watchkeeper.store.logs import Question

ACCESS = r'"(?P<verb>[A-Z]+) \S+ HTTP/1\.[01]" status: (?P<status>\d+) len: \d+ time: (?P<seconds>[0-9.]+)'
LINES = (
    'level=error msg="card refused" bank=icbc took_ms=120\n'
    'level=error msg="card refused" bank=abc took_ms=80\n'
    '{"level":"error","msg":"card refused","bank":"icbc","took_ms":40}\n'
    'level=info msg="card taken" bank=icbc took_ms=10\n'
    'level=error msg="card refused" bank=icbc took_ms=soon\n'
)


def collect(log: Path, **more: Any) -> dict[str, Any]:
    source = {"kind": "log_file", "name": "app", "paths": [str(log)], "interval": "5s", "service": "shop", **more}
    return {"host": False, "own_logs": False, "interval": "5s", "sources": [source]}


def counted(**options: Any) -> Counting:
    return Counting(LogRule.of(LogMetric(name="found", **options)), NOON)


def batch(*texts: str, **own: str) -> LogBatch:
    return LogBatch.of(labels(None, own), texts, 0)


def asked(engine: Engine, query: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The answer without the labels that every one of these series has."""
    shared = {"__name__", "job"}
    rows = engine.judging.ask(query, clock_of(engine).now())
    return {tuple(sorted((k, v) for k, v in dict(series).items() if k not in shared)): value for series, value in rows}


async def test_lines_are_counted_summed_and_spread_by_fields_of_either_form(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    refused = {"where": '"card refused"', "labels": {"bank": "bank"}}
    took = {**refused, "value": "took_ms", "scale": 0.001}
    rules = [
        {"name": "card_refused_total", **refused},
        {"name": "card_refused_seconds_total", "type": "sum", **took},
        {"name": "card_refused_seconds", "type": "histogram", "buckets": [0.05, 0.1], **took},
        {"name": "error_lines_total", "severities": ["error"], "match": {"service": "shop|cart"}},
        {"name": "other_lines_total", "match": {"service": "sho"}},
    ]
    engine = build(tmp_path, collect=collect(log), logs={"metrics": rules})
    await begin(engine)
    await walk(engine, 6)
    with log.open("a") as file:
        file.write(LINES)
    await walk(engine, 10)
    icbc, abc = ((("bank", name), ("service", "shop")) for name in ("icbc", "abc"))
    assert asked(engine, "card_refused_total") == {icbc: 3.0, abc: 1.0}
    assert asked(engine, "card_refused_seconds_total") == pytest.approx({icbc: 0.16, abc: 0.08})
    assert asked(engine, "card_refused_seconds_count") == {icbc: 2.0, abc: 1.0}
    below = asked(engine, "sum without (service) (card_refused_seconds_bucket{bank='icbc'})")
    assert {dict(own)["le"]: value for own, value in below.items()} == {"0.05": 1.0, "0.1": 1.0, "+Inf": 2.0}
    assert asked(engine, "error_lines_total") == {(("service", "shop"),): 4.0}
    assert asked(engine, "other_lines_total") == {}
    assert asked(engine, "watchkeeper_log_metric_refused_total > 0") == {
        (("metric", "card_refused_seconds_total"), ("reason", "value")): 1.0,
        (("metric", "card_refused_seconds"), ("reason", "value")): 1.0,
    }
    # the zero before the first lines is there: an increase over them is not lost
    assert asked(engine, "count_over_time(card_refused_total{bank='abc'}[1m]) > 1").keys() == {abc}
    assert asked(engine, "min_over_time(card_refused_total{bank='abc'}[1m])") == {abc: 0.0}
    assert asked(engine, "increase(card_refused_total{bank='icbc'}[1m])")[icbc] >= 3.0
    assert_ledgers(engine)
    await stop(engine)


async def test_a_secret_never_becomes_a_label(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    rule = {"name": "logins_total", "labels": {"how": "password"}}
    engine = build(tmp_path, collect=collect(log), logs={"metrics": [rule]})
    await begin(engine)
    await walk(engine, 6)
    with log.open("a") as file:
        file.write("login password=hunter2\n")
    await walk(engine, 10)
    ((own, value),) = asked(engine, "logins_total").items()
    assert ("hunter2" in str(own), value) == (False, 1.0)
    await stop(engine)


async def test_a_reload_adds_keeps_and_ends_metrics(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    engine = build(tmp_path, collect=collect(log))
    await begin(engine)
    await walk(engine, 6)

    async def use(*rules: dict[str, Any]) -> str:
        (tmp_path / "watchkeeper.yaml").write_text(
            yaml.safe_dump(quiet(collect=collect(log), logs={"metrics": list(rules)}))
        )
        answer = await reload(engine)
        with log.open("a") as file:
            file.write("INFO one\n")
        await walk(engine, 11)
        return answer

    assert await use({"name": "a_total"}) == ""
    assert await use({"name": "a_total"}, {"name": "b_total"}) == ""
    shop = (("service", "shop"),)
    assert asked(engine, "a_total")[shop] == 2.0
    assert asked(engine, "b_total")[shop] == 1.0
    assert "watchkeeper.yaml" in (said := await use({"name": "c_total", "pattern": "("}))
    assert "logs.metrics" in said
    assert "no RE2 pattern" in said
    assert asked(engine, "a_total")[shop] == 3.0
    assert await use() == ""
    assert "log_metrics" not in engine.sources
    assert asked(engine, "a_total") == {}
    assert_ledgers(engine)
    await stop(engine)


def test_labels_are_bounded_and_what_is_beyond_is_counted() -> None:
    part = counted(labels={"user": "user"}, series_limit=3)
    part.take(batch(*(f"user=u{number} x" for number in range(10)), "user=u1 x"), NOON)
    assert [value for name, _, value in part.readings() if name == "found"] == [1.0, 2.0, 1.0]
    assert part.refused["series_limit"] == 7
    part = counted(labels={"user": "user"})
    part.take(batch("user=" + "x" * 5000), NOON)
    assert [len(value) for own in part.totals for _, value in own] == [256]


def test_labels_of_which_nothing_is_heard_make_room() -> None:
    part = counted(labels={"pod": "pod"}, series_limit=1, forget_after=timedelta(hours=1))
    part.take(batch("pod=a"), NOON)
    part.forget(NOON + timedelta(minutes=59))
    assert len(part.totals) == 1
    part.forget(NOON + timedelta(hours=1))
    part.take(batch("pod=b"), NOON + timedelta(hours=1))
    assert [dict(own)["pod"] for own in part.totals] == ["b"]


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "", "1e999"])
def test_what_is_no_number_fit_for_a_sum_is_refused(number: str) -> None:
    part = counted(type="sum", value="took")
    part.take(batch(f"took={number} x"), NOON)
    assert (part.refused["value"], [total.sum for total in part.totals.values()]) == (1, [0.0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": "(a)"}, "metric.pattern: no RE2 pattern with named groups"),
        ({"match": {"file": "("}}, "metric.match.file: no RE2 pattern"),
        ({"where": "/(/"}, "metric.where: /(/ is no RE2 pattern"),
    ],
)
def test_a_pattern_that_is_none_is_told_with_its_place(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        counted(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"type": "sum"},
        {"type": "count", "value": "x"},
        {"type": "histogram", "value": "x", "buckets": [2, 1]},
        {"labels": {"le": "x"}},
        {"name": "1"},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        LogMetric(**{"name": "found", **options})


@pytest.mark.data
async def test_a_real_log_of_openstack_gives_what_a_plain_count_of_its_lines_gives(tmp_path: Path) -> None:
    folder = os.environ.get("WATCHKEEPER_TEST_DATA")
    log = Path(folder or "") / "logs/OpenStack/raw.log"
    if not folder or not log.exists():
        pytest.skip("WATCHKEEPER_TEST_DATA names no folder with logs/OpenStack/raw.log")
    rules = [
        {"name": "nova_requests_total", "pattern": ACCESS, "labels": {"verb": "verb", "status": "status"}},
        {"name": "nova_seconds", "type": "histogram", "pattern": ACCESS, "value": "seconds", "buckets": [0.2, 0.3, 1]},
        {"name": "nova_lines_total", "labels": {"severity": "severity"}},
    ]
    text = log.read_text().rstrip("\n") + "\n"
    copy = tmp_path / "nova.log"
    copy.write_text(text)
    engine = build(tmp_path, collect=collect(copy, from_beginning=True), logs={"metrics": rules})
    await begin(engine)
    await walk(engine, 12)
    rows = re.findall(ACCESS, text)
    assert len(rows) > 900
    wanted: dict[tuple[str, str], float] = {}
    for verb, status, _ in rows:
        wanted[verb, status] = wanted.get((verb, status), 0) + 1
    found = asked(engine, "nova_requests_total")
    assert {(dict(own)["verb"], dict(own)["status"]): value for own, value in found.items()} == wanted
    times = [float(seconds) for *_, seconds in rows]
    shop = (("service", "shop"),)
    # the zero of lines without a service is there from the start
    assert asked(engine, "nova_seconds_count") == {(): 0, shop: len(times)}
    assert asked(engine, "nova_seconds_sum")[shop] == pytest.approx(sum(times))
    below = {dict(own)["le"]: value for own, value in asked(engine, "nova_seconds_bucket").items()}
    assert below["0.3"] == sum(time <= 0.3 for time in times)
    assert sum(asked(engine, "nova_lines_total").values()) == text.count("\n")
    await stop(engine)


async def test_lines_that_come_again_after_a_refusal_are_counted_once_and_those_that_do_not_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build(tmp_path, collect={"host": False, "own_logs": False}, logs={"metrics": [{"name": "lines_total"}]})
    sent, seen = [batch("one", "two")], list[int]()
    monkeypatch.setattr(engine.lines, "counted", lambda batches: seen.append(sum(map(len, batches))))

    def full(*_args: Any) -> int:
        raise StoreFullError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(engine.lines.store, "append", full)
        assert not engine.lines.put("agent", sent)
        assert seen == []
        assert not engine.lines.put("a file that is read on", sent, again=False)
        assert seen == [2]
    assert engine.lines.put("agent", sent)
    assert seen == [2, 2]
    await stop(engine)


async def test_yesterdays_lines_are_kept_under_their_time_and_are_no_rate_of_today(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    hours = {"half an hour ago": -0.5, "yesterday": -24, "tomorrow": 24, "years ago": -24 * 3650}
    log.write_text(
        "".join(f"{NOON + timedelta(hours=ago):%Y-%m-%dT%H:%M:%SZ} ERROR {word}\n" for word, ago in hours.items())
    )
    logs = {"metrics": [{"name": "errors_total", "severities": ["error"]}], "templates": {"enabled": True}}
    engine = build(tmp_path, collect=collect(log, from_beginning=True), logs=logs)
    await begin(engine)
    await walk(engine, 12)
    found = engine.lines.store.search(Question()).lines
    ago = {line.text.partition("ERROR ")[2]: round((line.time_ms - to_ms(NOON)) / 3_600_000, 1) for line in found}
    assert ago == {"years ago": 0, "tomorrow": 0, "half an hour ago": -0.5, "yesterday": -24}
    assert sum(asked(engine, "errors_total").values()) == 3, "a time that cannot be says nothing: such lines are new"
    assert sum(asked(engine, "log_template_lines_total").values()) == 3
    assert asked(engine, "watchkeeper_log_late_lines_total") == {(): 1}
    for reason in ("ahead", "old"):
        assert engine.telemetry.log_times.labels("app", reason)._value.get() == 1
    assert_ledgers(engine)
    await stop(engine)
