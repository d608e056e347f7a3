"""Scoring: which series are scored, by what, and under which names; what is not known has no score."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from support.engines import clock_of, engine
from support.remote_write import first
from support.samples import EVER

from watchkeeper.access import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.score import ALARM, BAND, SCORE, Scoring
from watchkeeper.clock import to_ms
from watchkeeper.model import (
    Labels,
    Layout,
    Matcher,
    MatchOp,
    Matrix,
    Scores,
    Tick,
    is_stale,
    label,
    labels,
    metric_name,
)
from watchkeeper.model.series import STALE_NAN, FloatArray
from watchkeeper.telemetry import Telemetry

STEP = 15_000
START = 1_700_000_000_000
LEARNED_SOON = {"learning": "10m"}


class Echo:
    """A detector whose score is the value it saw; its state counts the updates of each series."""

    def fit(self, matrix: Matrix) -> FloatArray:
        return np.zeros(len(matrix.series))

    def update(self, state: FloatArray, column: Matrix) -> tuple[FloatArray, Scores]:
        value = column.values
        seen = state + column.present[:, 0]
        scores = Scores(
            series=column.series,
            times=column.times,
            value=value,
            expected=value + 1,
            lower=np.repeat(seen[:, None], 1, axis=1),
            upper=value + 2,
            detector="echo",
        )
        return seen, scores

    def score(self, matrix: Matrix) -> Scores:
        raise NotImplementedError


def align(state: FloatArray, old: Sequence[Labels], new: Sequence[Labels]) -> FloatArray:
    known = dict(zip(old, state.tolist(), strict=True))
    return np.array([known.get(series, 0.0) for series in new])


def scoring(*, limit: int = 100, exclude: Sequence[str] = (), banded: Sequence[str] = ()) -> Scoring:
    return Scoring(Echo(), align, Telemetry(), limit=limit, exclude=exclude, banded=frozenset(banded))


def layout(*names: str, **more: str) -> Layout:
    return Layout(tuple(labels(name, job="shop", **more) for name in names))


def tick(columns: Layout, *values: float, at: int = 0, target: str = "t") -> Tick:
    return Tick(target=target, time_ms=START + at * STEP, layout=columns, values=np.array(values, dtype=np.float64))


def said(found: Tick | None, name: str = SCORE) -> dict[str, float]:
    """metric -> value of the derived series of one name; None where it is marked stale."""
    assert found is not None
    rows = zip(found.layout.series, found.values.tolist(), is_stale(found.values), strict=True)
    return {label(series, "metric"): value for series, value, gone in rows if metric_name(series) == name and not gone}


def not_scored(part: Scoring) -> float:
    return part.telemetry.registry.get_sample_value("watchkeeper_series_not_scored") or 0.0


def test_a_score_is_a_series_named_after_its_own() -> None:
    found = scoring().tick(tick(layout("load", disk="sda"), 0.5))
    assert found is not None
    assert found.target == "score/t"
    assert found.time_ms == START
    assert found.layout.series == (labels(SCORE, metric="load", job="shop", disk="sda"),)
    assert all(series == tuple(sorted(series)) for series in found.layout.series)
    assert said(found) == {"load": 0.5}


@pytest.mark.parametrize("name", ["requests_total", "latency_seconds_count", "latency_seconds_sum"])
def test_counters_are_scored_by_their_rate(name: str) -> None:
    part, columns = scoring(), layout(name, "load")
    assert said(part.tick(tick(columns, 300.0, 7.0))) == {"load": 7.0}, "one reading is no rate"
    assert said(part.tick(tick(columns, 330.0, 8.0, at=1))) == {name: 2.0, "load": 8.0}
    assert said(part.tick(tick(columns, 330.0, 8.0, at=3)))[name] == 0.0


def test_a_reset_has_no_rate_and_the_next_reading_has_one_again() -> None:
    part, columns = scoring(), layout("requests_total")
    part.tick(tick(columns, 300.0))
    assert said(part.tick(tick(columns, 15.0, at=1))) == {}
    assert said(part.tick(tick(columns, 45.0, at=2))) == {"requests_total": 2.0}


def test_a_missing_sample_has_a_stale_score_and_no_rate_afterwards() -> None:
    part, columns = scoring(banded=["load"]), layout("requests_total", "load")
    part.tick(tick(columns, 300.0, 1.0))
    gap = part.tick(tick(columns, STALE_NAN, STALE_NAN, at=1))
    assert gap is not None
    stale = dict(zip(gap.layout.series, is_stale(gap.values), strict=True))
    assert [gone for series, gone in stale.items() if metric_name(series) != BAND[1]] == [True] * 4
    assert said(part.tick(tick(columns, 360.0, 2.0, at=2))) == {"load": 2.0}
    assert said(part.tick(tick(columns, 390.0, 2.0, at=3))) == {"requests_total": 2.0, "load": 2.0}


def test_an_ordinary_nan_is_not_scored_either() -> None:
    found = scoring().tick(tick(layout("load"), np.nan))
    assert found is not None
    assert is_stale(found.values).all()


def test_the_same_time_again_is_no_rate() -> None:
    part, columns = scoring(), layout("requests_total")
    part.tick(tick(columns, 300.0))
    assert said(part.tick(tick(columns, 330.0))) == {}


def test_a_changed_layout_keeps_state_and_rates_of_the_series_that_stay() -> None:
    part = scoring(banded=["load", "heat", "requests_total"])
    first, second = layout("requests_total", "load"), layout("heat", "load", "requests_total")
    part.tick(tick(first, 300.0, 1.0))
    part.tick(tick(first, 330.0, 1.0, at=1))
    found = part.tick(tick(second, 5.0, 2.0, 360.0, at=2))
    assert said(found) == {"heat": 5.0, "load": 2.0, "requests_total": 2.0}
    assert said(found, BAND[1]) == {"heat": 1.0, "load": 3.0, "requests_total": 2.0}, "updates seen by each"


def test_a_layout_of_the_same_series_in_a_new_object_keeps_everything() -> None:
    part = scoring(banded=["load"])
    for at in range(4):
        found = part.tick(tick(layout("load"), 1.0, at=at))
        assert said(found, BAND[1]) == {"load": at + 1.0}


def test_bands_are_kept_for_named_metrics_only() -> None:
    found = scoring(banded=["cpu_usage"]).tick(tick(layout("cpu_usage", "load"), 10.0, 20.0))
    assert said(found) == {"cpu_usage": 10.0, "load": 20.0}
    assert [said(found, band) for band in BAND] == [{"cpu_usage": 11.0}, {"cpu_usage": 1.0}, {"cpu_usage": 12.0}]


@pytest.mark.parametrize(
    "name",
    [
        *("latency_seconds_bucket", "build_info", "requests_created", "up", "scrape_duration_seconds", "ALERTS"),
        *("process_start_time_seconds", "node_boot_time_seconds", "node_time_seconds", "backup_timestamp_seconds"),
    ],
)
def test_what_says_nothing_by_its_level_is_never_scored(name: str) -> None:
    assert scoring().tick(tick(layout(name), 1.0)) is None


@pytest.mark.parametrize("name", ["http_response_time_seconds", "upstreams", "up_time", "infos", "downtime_seconds"])
def test_what_only_looks_like_it_is_scored(name: str) -> None:
    assert said(scoring().tick(tick(layout(name), 1.0))) == {name: 1.0}


def test_excluded_patterns_match_the_whole_name() -> None:
    part = scoring(exclude=["go_.*", "load"])
    assert said(part.tick(tick(layout("go_threads", "load", "load1", "cargo_load"), 1.0, 2.0, 3.0, 4.0))) == {
        "load1": 3.0,
        "cargo_load": 4.0,
    }


def test_series_over_the_limit_are_counted_and_not_scored() -> None:
    part = scoring(limit=3)
    assert said(part.tick(tick(layout("a", "b"), 1.0, 2.0))) == {"a": 1.0, "b": 2.0}
    assert said(part.tick(tick(layout("c", "d", "e"), 3.0, 4.0, 5.0, target="u"))) == {"c": 3.0}
    assert (not_scored(part), part.lanes()) == (2.0, {"t": 2, "u": 1})
    part.tick(tick(layout("c", "d", "e"), 3.0, 4.0, 5.0, at=1, target="u"))
    assert not_scored(part) == 2.0, "a new layout of the same series leaves out no more of them"
    part.tick(tick(layout("a"), 1.0, at=1))
    assert said(part.tick(tick(layout("c", "d", "e"), 3.0, 4.0, 5.0, at=2, target="u"))) == {"c": 3.0, "d": 4.0}
    assert (not_scored(part), part.lanes()) == (1.0, {"t": 1, "u": 2})


def test_targets_do_not_share_their_state() -> None:
    part = scoring(banded=["load"])
    part.tick(tick(layout("load"), 1.0))
    part.tick(tick(layout("load"), 1.0, at=1))
    assert said(part.tick(tick(layout("load"), 1.0, at=1, target="u")), BAND[1]) == {"load": 1.0}


def test_the_composed_engine_scores_a_spike_high_and_calm_low(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    columns = layout("cpu_usage", "memory_usage")
    with engine(tmp_path) as found:
        scores: Any = None
        for at in range(200):
            scores = found.scoring.tick(tick(columns, 50 + chance.normal(), 50 + chance.normal(), at=at))
        assert max(said(scores).values()) < 0.5
        scores = found.scoring.tick(tick(columns, 95.0, 50.0, at=200))
        assert said(scores)["cpu_usage"] > 0.5 > said(scores)["memory_usage"]
        lower, upper = said(scores, BAND[1]), said(scores, BAND[2])
        assert lower["cpu_usage"] < 50 < upper["cpu_usage"] < 95.0


def test_an_alarm_is_a_series_with_its_kind_that_ends(tmp_path: Path) -> None:
    chance, columns = np.random.default_rng(1), layout("cpu_usage")
    with engine(tmp_path, scoring=LEARNED_SOON) as found:
        for at in range(200):
            assert len(found.scoring.ticks(tick(columns, 50 + chance.normal(), at=at))) == 1
        _, alarms = found.scoring.ticks(tick(columns, 95.0, at=200))
        assert alarms.target == "alarm/t"
        assert alarms.layout.series[0] == labels(ALARM[0], metric="cpu_usage", job="shop", kind="spike")
        one, since, change, raised, baseline, factor = alarms.values.tolist()
        assert raised == since
        assert baseline == pytest.approx(50.0, abs=5.0)
        assert baseline + change == 95.0
        assert factor > 3.0, "half widths of the band"
        assert (one, since) == (1.0, (START + 200 * STEP) / 1000)
        assert change == pytest.approx(45.0, abs=5.0)
        told = [found.scoring.ticks(tick(columns, 50 + chance.normal(), at=at))[1:] for at in range(201, 500)]
        last = [alarms for (alarms,) in filter(None, told)][-1]
        assert is_stale(last.values).all(), "an alarm that is over ends at once"
        assert told[-1] == []


def test_series_that_have_samples_and_could_not_be_told_of_yet_are_learning(tmp_path: Path) -> None:
    columns = layout("cpu_usage", "memory_usage")
    with engine(tmp_path, scoring=LEARNED_SOON) as found:
        registry = found.telemetry.registry
        found.scoring.ticks(tick(columns, 50.0, STALE_NAN))
        assert registry.get_sample_value("watchkeeper_series_learning") == 1.0
        for at in range(1, 42):
            found.scoring.ticks(tick(columns, 50.0 + at % 3, 40.0, at=at))
        assert registry.get_sample_value("watchkeeper_series_learning") == 0.0
        assert found.scoring.learning() == frozenset()


def test_a_metric_of_which_one_series_is_known_is_not_learning(tmp_path: Path) -> None:
    known, new = layout("cpu_usage", "memory_usage"), layout("cpu_usage")
    with engine(tmp_path, scoring=LEARNED_SOON) as found:
        for at in range(40):
            found.scoring.ticks(tick(known, 50.0 + at % 3, 40.0, at=at))
        assert found.scoring.learning() == {"cpu_usage", "memory_usage"}
        found.scoring.ticks(tick(known, 50.0, 40.0, at=41))
        found.scoring.ticks(tick(new, 50.0, at=41, target="another"))
        assert found.scoring.learning() == frozenset()


def test_nothing_is_told_of_a_series_within_its_first_hour(tmp_path: Path) -> None:
    chance, columns = np.random.default_rng(1), layout("cpu_usage")
    with engine(tmp_path) as found:
        for at in range(239):
            assert len(found.scoring.ticks(tick(columns, 50 + chance.normal() + 50 * (at % 40 == 39), at=at))) == 1
        assert found.telemetry.registry.get_sample_value("watchkeeper_series_learning") == 1.0


def test_a_declared_type_decides_whether_a_rate_is_scored() -> None:
    part, columns = scoring(), layout("context_switches", "memory_total")
    part.about = lambda _target, name: ("counter" if name == "context_switches" else "gauge", "")
    part.tick(tick(columns, 300.0, 7.0))
    assert said(part.tick(tick(columns, 330.0, 8.0, at=1))) == {"context_switches": 2.0, "memory_total": 8.0}


def test_a_series_that_is_overridden_goes_to_its_own_detector_and_is_told_so(tmp_path: Path) -> None:
    override = {"match": {"metric": "orders.*", "job": "shop"}, "detector": "ewma"}
    columns = layout("orders_rate", "cpu_usage")
    with engine(tmp_path, scoring={"overrides": [override]}) as house:
        for at in range(42):
            found = house.scoring.ticks(tick(columns, 0.2 + at % 3 * 0.01, 50.0 + at % 3, at=at))
        assert [one.target for one in found] == ["score/t", "score/t 1"]
        assert {name for one in found for name in said(one)} == {"orders_rate", "cpu_usage"}
        token, _ = create_system_token(house.state, "test", Role.VIEWER, now=house.clock.now())
        with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as api:
            answer = api.get("/api/wk/scored").json()
            signals = {row["key"]: row["learning"] for row in api.get("/api/wk/overview").json()["signals"]}
        assert (answer["total"], answer["learning"]) == (2, 2)
        assert [name for name, learning in signals.items() if learning] == ["cpu_usage"]
        assert answer["detectors"] == {"ensemble": 1, "ewma": 1}
        rows = {row["series"]: (row["detector"], row["nature"]) for row in answer["series"]}
        assert rows == {
            'orders_rate{job="shop"}': ("ewma", "ratio"), 'cpu_usage{job="shop"}': ("ensemble", "gauge"),
        }  # fmt: skip


def test_what_others_write_to_us_is_scored_like_what_we_read(tmp_path: Path) -> None:
    written, hidden = labels("queue_depth", job="shop"), labels("watchkeeper_queue", job="shop")

    async def write(house: Engine) -> None:
        await house.score_pushed(house.clock.now())
        for turn in range(3):
            at = to_ms(house.clock.now())
            house.receiving.write(first((written, at, 10.0 + turn), (hidden, at, 1.0)), second=False)
            clock_of(house).advance(timedelta(seconds=15))
            await house.score_pushed(house.clock.now())

    with engine(tmp_path) as house:
        house.scoring.detector, house.scoring._align = Echo(), align
        asyncio.run(write(house))
        (found,) = house.samples.select([Matcher("__name__", MatchOp.EQUAL, SCORE)], *EVER)
        assert found.series == (labels(SCORE, metric="queue_depth", job="shop"),)
        assert found.values.tolist() == [[10.0, 11.0, 12.0]]


def lived(found: Engine, first: int, last: int, *, seed: int = 1) -> list[Any]:
    """Ticks of two series, the same for the same places and seed; what was said of each."""
    columns = layout("cpu_usage", "requests_total")
    values = [(50 + np.random.default_rng((seed, at)).normal(), 100.0 * at) for at in range(first, last)]
    return [found.scoring.tick(tick(columns, *one, at=at)) for at, one in zip(range(first, last), values, strict=True)]


def test_after_a_restart_series_that_were_known_are_scored_as_if_there_had_been_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with engine(tmp_path / "a", scoring=LEARNED_SOON) as whole:
        lived(whole, 0, 120)
        expected = [said(one) for one in lived(whole, 120, 125)]
    with engine(tmp_path / "b", scoring=LEARNED_SOON) as house:
        lived(house, 0, 120)
    with engine(tmp_path / "b", scoring=LEARNED_SOON) as house:
        found = [said(one) for one in lived(house, 120, 125)]
        assert house.telemetry.registry.get_sample_value("watchkeeper_series_learning") == 0.0
    assert set(found[0]) == {"cpu_usage", "requests_total"}, "nothing is learned anew, rates of counters neither"
    for one, same in zip(found, expected, strict=True):
        assert one == pytest.approx(same, rel=1e-5, abs=1e-6)


def test_an_alarm_that_was_open_at_the_restart_stays_the_same_alarm(tmp_path: Path) -> None:
    chance, columns = np.random.default_rng(1), layout("cpu_usage")
    with engine(tmp_path, scoring=LEARNED_SOON) as house:
        for at in range(200):
            house.scoring.ticks(tick(columns, 50 + chance.normal(), at=at))
        _, before = house.scoring.ticks(tick(columns, 95.0, at=200))
    with engine(tmp_path, scoring=LEARNED_SOON) as house:
        _, after = house.scoring.ticks(tick(columns, 50 + chance.normal(), at=202))
        assert after.layout.series == before.layout.series
        assert after.values[1] == before.values[1]
        assert after.values[3] == before.values[3]


def test_a_memory_of_another_detector_or_a_broken_one_is_not_taken_up_and_harms_nothing(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        lived(house, 0, 40)
    (file,) = house.data.scored.glob("*.npz")
    with engine(tmp_path, scoring={"options": {"min_history": 30}}) as house:
        assert said(lived(house, 40, 41)[0]) == {}
    file.write_bytes(file.read_bytes()[:200])
    with engine(tmp_path) as house:
        assert said(lived(house, 41, 42)[0]) == {}


def test_memories_are_copied_a_few_targets_at_a_time_and_all_of_them(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        for name in "abc":
            house.scoring.ticks(tick(layout(*(f"m{at}" for at in range(400))), *range(400), target=name))
        portions = house.scoring.portions()
        assert len(portions) > 1
        found = [one.target for portion in portions for one in house.scoring.remember(portion)]
        assert sorted(found) == sorted(one.target for one in house.scoring.remember())
        assert {"a", "b", "c", "group/service/shop"} <= set(found)


def test_a_first_target_without_any_scored_series_keeps_no_memory_from_being_written(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        house.scoring.ticks(tick(layout("watchkeeper_up"), 1.0, target="own"))
        house.scoring.ticks(tick(layout("cpu_usage"), 1.0, target="host"))
        kept = [one for portion in house.scoring.portions() for one in house.scoring.remember(portion)]
        house.save_scored(kept, house.clock.now())
        assert "host" in {one.target for one in kept}
        assert list(house.data.scored.glob("*.npz"))


def test_memories_hold_no_pickle_and_series_that_came_or_went_meanwhile_are_told_apart(tmp_path: Path) -> None:
    with engine(tmp_path) as house:
        lived(house, 0, 40)
    (file,) = house.data.scored.glob("*.npz")
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)
    assert file.stat().st_mode & 0o077 == 0
    with engine(tmp_path) as house:
        columns = layout("memory_usage", "cpu_usage")
        assert set(said(house.scoring.tick(tick(columns, 1.0, 50.0, at=40)))) == {"cpu_usage"}
