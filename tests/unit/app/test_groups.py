"""Hosts, services and pools: their series come together from all targets, and their oddness is told with names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.asking import asked
from support.engines import clock_of, engine

from detectors import Finding, together
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.groups import (
    FRESH_MS,
    LEARNING,
    MOST,
    SCORE,
    SHARE,
    Grouping,
    chosen,
    folded,
    keys_of,
)
from watchkeeper.app.pipeline.published import Row
from watchkeeper.clock import to_ms
from watchkeeper.model import (
    METRIC_NAME,
    Incident,
    IncidentState,
    Labels,
    Layout,
    Severity,
    Tick,
    is_stale,
    label,
    labels,
    metric_name,
)
from watchkeeper.model.series import FloatArray

CATALOGUE = {"services": [{"name": "shop", "pool": "rack"}]}
METRICS = ("load", "heat", "noise", "draw")
MINUTE_MS = 60_000


def instance(name: str) -> Layout:
    return Layout(tuple(labels(metric, instance=f"{name}:9100", service="shop") for metric in METRICS))


def said(ticks: list[Tick], name: str) -> dict[Labels, float]:
    """The series of one name that have a value."""
    rows = [zip(one.layout.series, one.values.tolist(), is_stale(one.values), strict=True) for one in ticks]
    return {series: value for each in rows for series, value, gone in each if metric_name(series) == name and not gone}


def opened(house: Engine) -> None:
    row = Incident(
        id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="slow", group_key="k",
        labels={"service": "shop", "instance": "a:9100"}, opened_at=house.clock.now(), alert_ids=(), correlation_id="c",
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.incidents.save(row, reason="opened", at=house.clock.now())


def test_a_host_that_is_odd_as_a_whole_is_told_with_the_metric_that_contributes_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "FIRST", 32)
    chance, layouts = np.random.default_rng(2), {name: instance(name) for name in "ab"}
    with engine(tmp_path, catalogue=CATALOGUE, scoring={"learning": "0s"}) as house:
        told: list[Tick] = []

        def minute(**more: float) -> None:
            clock_of(house).advance(timedelta(minutes=1))
            told.clear()
            for name, layout in layouts.items():
                load = 10.0 + chance.normal(0.0, 2.0)
                values = np.array([load * (at + 1) + chance.normal(0.0, 0.1) for at in range(len(METRICS))])
                values[1] += more.get(name, 0.0)
                tick = Tick(target=name, time_ms=to_ms(house.clock.now()), layout=layout, values=values)
                told.extend(house.scoring.ticks(tick))
            for one in told:
                house.samples.append(one)

        minute()
        scopes = {(label(series, "scope"), label(series, label(series, "scope"))) for series in said(told, LEARNING)}
        assert scopes == {("host", "a"), ("host", "b"), ("service", "shop"), ("pool", "rack")}
        for _ in range(66):
            minute()
        assert len(said(told, SCORE)) == 4
        assert said(told, LEARNING) == {}
        for _ in range(9):
            minute(a=12.0)
        scores = said(told, SCORE)
        odd = labels(SCORE, scope="host", host="a")
        assert scores[odd] > 0.8 > scores[labels(SCORE, scope="host", host="b")]
        shares = {series: share for series, share in said(told, SHARE).items() if label(series, "host") == "a"}
        assert label(max(shares, key=lambda series: shares[series]), "metric") == "heat"
        alarm = next(one for one in asked(house, "/api/wk/alarms")["alarms"] if one["title"] == "host a")
        assert (alarm["labels"]["scope"], alarm["labels"]["kind"]) == ("host", "joint")
        assert alarm["contributors"][0][0] == 'heat{service="shop"}'
        opened(house)
        (group,) = [one for one in asked(house, "/api/wk/incidents/inc-1/causes")["groups"] if one["scope"] == "host"]
        assert (group["name"], group["metrics"][0]["metric"]) == ("a", 'heat{service="shop"}')
        assert any(line.startswith("odd as a whole: Host a") for line in asked(house, "/api/wk/explain/inc-1")["text"])
    with engine(tmp_path, catalogue=CATALOGUE, scoring={"learning": "0s"}) as house:
        clock_of(house).advance(timedelta(hours=3))
        minute()
        assert len(said(told, SCORE)) == 4, "what was learned of groups stays over a restart"


def test_a_series_belongs_to_its_host_its_service_and_its_pool() -> None:
    series = labels("load", instance="http://a.example:9100/x", job="node")
    assert [key for key, _ in keys_of(series, lambda service: "rack" if service == "node" else "")] == [
        ("host", "a.example"), ("service", "node"), ("pool", "rack"),
    ]  # fmt: skip
    assert [key for key, _ in keys_of(labels("load"), lambda _service: "")] == []


def test_of_too_many_columns_some_of_every_metric_are_chosen() -> None:
    many = [labels("cpu", cpu=str(at)) for at in range(500)] + [labels("load"), labels("heat")]
    found = chosen(many)
    assert len(found) == MOST
    assert {metric_name(one) for one in found} == {"cpu", "load", "heat"}
    assert found == chosen(many[::-1])


def grouping() -> Grouping:
    return Grouping(0, 0.15, lambda _series: 0.0, lambda _series, _found, _at: [])


def test_a_metric_that_comes_or_goes_now_and_then_does_not_unlearn_a_group_and_another_half_does() -> None:
    part = grouping()
    own = [labels(f"m{at}", instance="a") for at in range(8)]
    part.joins("t", own, 0)
    group = part.all["host", "a"]
    for at in range(1, 30):
        part.take("t", np.arange(8.0), np.zeros(8), at * MINUTE_MS)
    learned = group.state
    part.joins("t", [*own[1:], labels("new", instance="a")], 30 * MINUTE_MS)
    assert group.state is learned
    assert len(group.columns) == 8
    part.joins("t", [labels(f"other{at}", instance="a") for at in range(8)], 31 * MINUTE_MS)
    assert group.state is not learned


def test_metrics_that_come_with_another_target_while_a_group_is_young_belong_to_it() -> None:
    part = grouping()
    part.joins("node", [labels(f"m{at}", instance="a") for at in range(6)], 0)
    part.take("node", np.zeros(6), np.zeros(6), MINUTE_MS)
    part.joins("mysql", [labels("queries", instance="a"), labels("m1", instance="a")], MINUTE_MS)
    group = part.all["host", "a"]
    assert len(group.columns) == 7
    assert {target: len(rows) for target, (rows, _) in group.places.items()} == {"node": 6, "mysql": 2}


def test_a_column_is_the_mean_of_what_each_target_said_last_and_lately_whoever_joins_or_speaks_again() -> None:
    part, own = grouping(), [labels(f"m{at}", job="shop") for at in range(4)]
    seconds = iter(range(60_000, 600_000, 1000))

    def says(target: str, value: float) -> FloatArray:
        now = next(seconds)
        part.take(target, np.full(4, value), np.full(4, value / 100.0), now)
        values, scores = folded(part.all["service", "shop"], now)
        np.testing.assert_allclose(scores, values / 100.0)
        return values

    for target in ("a", "b"):
        part.joins(target, own, 0)
    says("a", 1.0)
    assert says("b", 3.0).tolist() == [2.0] * 4
    assert says("b", 7.0).tolist() == [4.0] * 4
    part.joins("c", own[1:], 0)
    part.take("c", np.full(3, 10.0), np.full(3, 0.1), next(seconds))
    assert says("b", 7.0).tolist() == [4.0, 6.0, 6.0, 6.0]
    part.joins("a", [], 0)
    assert says("b", 7.0).tolist() == [7.0, 8.5, 8.5, 8.5]
    values, _ = folded(part.all["service", "shop"], 60_000 + FRESH_MS + 4000)
    assert values.tolist() == [7.0] * 4, "what c said is of too long ago"


def rung(series: dict[str, list[Labels]], pool: str = "") -> set[tuple[tuple[str, str], ...]]:
    """What rings, by labels, when all metrics of these targets jump together."""
    found: set[tuple[tuple[str, str], ...]] = set()

    def told(one: Labels, _found: Finding, _at: int) -> list[Row]:
        found.add(tuple(pair for pair in one if pair[0] != METRIC_NAME))
        return []

    part = Grouping(0, 0.15, lambda _series: 0.0, told, lambda _service: pool)
    for target, own in series.items():
        part.joins(target, own, 0)
    chance = np.random.default_rng(3)
    for at in range(1, 60):
        for target, own in series.items():
            load, away = chance.normal(0.0, 2.0), 60.0 if at > 50 else 0.0
            values = np.array([load * (one + 1) + chance.normal(0.0, 0.1) for one in range(len(own))])
            values[1] += away
            part.take(target, values, np.zeros(len(own)), at * MINUTE_MS)
    return found


def test_groups_of_the_same_series_ring_once_by_the_name_that_says_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "FIRST", 32)
    shop = {"t": list(instance("a").series)}
    assert rung(shop) == {(("host", "a"), ("scope", "service"), ("service", "shop"))}
    assert rung(shop, pool="rack") == {(("host", "a"), ("pool", "rack"), ("scope", "service"), ("service", "shop"))}
    node = {"t": [labels(metric, instance="db:9100", job="node") for metric in METRICS]}
    assert rung(node) == {(("host", "db"), ("scope", "host"), ("service", "node"))}, "a job says less than a host"
    more = {"t": list(instance("a").series), "n": [labels(f"n{at}", instance="a:1") for at in range(4)]}
    names = {tuple(pair[0] for pair in one) for one in rung(more)}
    assert names == {("host", "scope"), ("scope", "service")}, "a host that has more than its service rings by itself"


def test_too_few_metrics_are_no_group() -> None:
    part = grouping()
    part.joins("t", [labels("load", instance="a"), labels("heat", instance="a")], 0)
    assert part.take("t", np.zeros(2), np.zeros(2), MINUTE_MS) == []
