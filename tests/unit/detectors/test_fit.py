"""The fit of the default detector's networks, on a few made-up series: it runs, repeats itself and finds events."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fit_ensemble
from benchmarks._fit_figures import folds, precision
from benchmarks._fit_inputs import inputs_of
from benchmarks._fit_made_up import made_up
from benchmarks._fit_networks import Pair, Plans, fit, remembered, write
from benchmarks._fit_samples import beginnings
from benchmarks._fit_series import Array, Labelled, runs
from benchmarks._fit_training import Plan, Points, trained
from benchmarks._fit_trees import Growth, grown
from detectors import channels, fusion
from detectors.network import FILE, weights

FEW_UNITS = Plan(units=8, rounds=20, batch=128)
FEW_TREES = Growth(trees=5, levels=3)
SMALL = Plans(FEW_UNITS, FEW_UNITS, FEW_UNITS, FEW_TREES)


@cache
def few() -> tuple[list[Labelled], list[Array]]:
    """Six short series, three with events, and their inputs."""
    series = made_up(6, seed=6)
    return series, inputs_of(series)


@cache
def fitted() -> Pair:
    return fit(*few(), SMALL)


def test_made_up_series_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    once, again, other = made_up(13, seed=3), made_up(13, seed=3), made_up(13, seed=4)
    for one, same in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.values, same.values)
        np.testing.assert_array_equal(one.label, same.label)
    assert not np.array_equal(once[0].values, other[0].values)
    assert 0 < sum(bool(one.label.any()) for one in once) < 13
    assert all(not one.label[: one.warmup].any() for one in once)


def test_inputs_of_a_series_do_not_depend_on_those_looked_at_with_it() -> None:
    series, inputs = few()
    assert [given.shape for given in inputs] == [(len(one.values), len(channels.NAMES)) for one in series]
    np.testing.assert_allclose(inputs_of([series[2]])[0], inputs[2], rtol=1e-4, atol=1e-4)


def test_points_to_fit_on_are_those_of_events_and_ordinary_ones_that_weigh_for_all() -> None:
    one = max(few()[0], key=lambda series: int(series.label.sum()))
    evidence = np.arange(len(one.values), dtype=np.float64)
    chosen = beginnings(one, evidence, np.random.default_rng(0))
    events, ordinary = one.events(), one.normal(one.delay)
    assert chosen.at[chosen.odd == 1].tolist() == [min(first + one.delay, last) for first, last in events]
    assert np.isin(chosen.at[chosen.odd == 0], ordinary).all()
    points = int(one.label.sum())
    assert chosen.weight[chosen.odd == 1].sum() == pytest.approx(1.0)
    assert chosen.weight[chosen.odd == 0].sum() == pytest.approx(len(ordinary) / points)


def test_labels_of_the_warm_up_are_learned_from_once_two_days_are_known() -> None:
    label = np.zeros(4000, np.int8)
    label[[100, 700, 2500]] = 1
    about = {"family": "made-up", "warmup": 2000, "interval_s": 300, "delay_k": 7, "real_timestamps": True}
    one = Labelled(about, 1_700_000_000 + 300 * np.arange(4000), np.arange(4000.0), label)
    assert one.taught == max(600, 2 * 288)
    assert one.events() == [(700, 700), (2500, 2500)]
    assert one.normal(margin=2)[0] == 600
    assert np.isin([701, 702], one.normal(margin=2)).sum() == 0
    assert Labelled({**about, "warmup": 200}, one.times, one.values, label).taught == 200


def test_a_fit_is_written_in_the_shape_of_the_projects_weights(tmp_path: Path) -> None:
    write(fitted(), tmp_path / FILE)
    held = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    assert tuple(held["inputs"]) == weights().inputs
    for name, more, answers in (("begins", 0, 1), ("judges", fusion.MEMORIES, 2)):
        assert np.array(held[name]["hidden"]).shape == (len(channels.NAMES) + more, 8)
        assert len(held[name]["hidden_bias"]) == 8
        assert np.array(held[name]["output"]).shape == (answers, 8)
        assert len(held[name]["bias"]) == answers
    trees = held["trees"]
    assert np.array(trees["places"]).shape == np.array(trees["limits"]).shape == (5, 3)
    assert np.array(trees["said"]).shape == (5, 2, 8)
    assert np.array(trees["places"]).max() < len(channels.NAMES) + fusion.MEMORIES


def test_a_network_learns_what_no_straight_line_parts_and_each_answer_from_its_own_points() -> None:
    inputs = np.random.default_rng(5).normal(0.0, 1.0, (4000, 2)).astype(np.float32)
    across, right = inputs[:, 0] * inputs[:, 1] > 0, inputs[:, 0] > 0
    asked = np.zeros((4000, 2))
    asked[:2000, 0], asked[2000:, 1] = 1.0, 1.0
    network = trained(Points(inputs, np.stack([across, right], axis=1), asked), Plan(units=16, rounds=40, batch=256))
    said = network(inputs.T[:, None])[:, 0] > 0
    assert np.mean(said[0] == across) > 0.95
    assert np.mean(said[1] == right) > 0.97


def test_trees_learn_each_answer_from_its_own_points_and_rare_points_do_not_run_away() -> None:
    dice = np.random.default_rng(5)
    inputs = dice.normal(0.0, 1.0, (6000, 3)).astype(np.float32)
    rare, right = (inputs[:, 0] > 2.0) & (inputs[:, 1] > 0), inputs[:, 0] * inputs[:, 1] > 0
    asked = np.zeros((6000, 2))
    asked[:3000, 0], asked[3000:, 1] = np.where(rare[:3000], 1.0, 50.0), 1.0
    growth = Growth(trees=30, levels=3, share=1.0, calm=0.1)
    trees = grown(Points(inputs, np.stack([rare, right], axis=1), asked), growth)
    said = trees(inputs.T[:, None])[:, 0]
    assert np.mean((said[1] > 0) == right) > 0.95
    assert said[0][rare].min() > said[0][~rare].mean() + 2.0
    assert np.abs(said - trees.bias[:, None] / 1000).max() <= 30 * growth.rate * growth.longest


def test_the_same_seed_fits_the_same_weights_and_they_tell_events_from_noise() -> None:
    series, inputs = few()
    again = fit(series, inputs, SMALL).judges
    np.testing.assert_array_equal(again.network.hidden, fitted().judges.network.hidden)
    np.testing.assert_array_equal(again.trees.said, fitted().judges.trees.said)
    scored = [(one, fitted().logits(one, given)[1], one.label) for one, given in zip(series, inputs, strict=True)]
    share = np.mean([one.label[one.warmup :].mean() for one in series if one.label.any()])
    assert precision(scored)["auc_pr"] > 5 * share


def test_evidence_is_remembered_for_samples_and_for_days() -> None:
    begins = np.array([-30.0, 5.0, 1.0, 1.0])
    memory = remembered(begins, day=4.0)
    assert memory.shape == (4, fusion.MEMORIES)
    np.testing.assert_allclose(memory[:, 0], begins)
    np.testing.assert_allclose(memory[:, 4], [-20.0, 5.0, 4.5, 4.0])
    np.testing.assert_allclose(memory[:, 6], [-10.0, 25.0, -3.9, -3.8], rtol=1e-6)
    np.testing.assert_allclose(memory[:, 7], [-10.0, 12.0, -3.5, -3.0], rtol=1e-6)
    share = memory[:, -4]
    assert share[0] == pytest.approx(np.log(fusion.USUAL_SHARE), abs=1e-6)
    assert share[1] < share[0] < share[2] < share[3] < 0.0


def test_folds_part_every_family_and_leave_none_out() -> None:
    series = few()[0]
    first, second = folds(series, 2, seed=0)
    assert sorted([*first, *second]) == list(range(len(series)))
    assert abs(len(first) - len(second)) <= 1


def test_runs_are_first_and_last_points() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1], np.int8)) == [(0, 1), (3, 3), (6, 6)]


def test_asked_for_nothing_it_says_how_it_is_used_and_without_data_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit_ensemble.main([]) == 0
    assert "--families-out" in capsys.readouterr().out
    monkeypatch.setenv("WATCHKEEPER_TEST_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="WATCHKEEPER_TEST_DATA"):
        fit_ensemble.main(["--out", str(tmp_path / FILE)])
