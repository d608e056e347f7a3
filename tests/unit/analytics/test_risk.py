"""Failures are foretold by what came before earlier ones, and every prediction is scored by what happened."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from analytics.risk import HORIZON, LEAST_INCIDENTS, SLOT, WARN, Memory, Watch, risk, worth

LEAK, NOISE = "anomaly memory trend", "anomaly cpu spike"


def lived(days: int, *, seed: int = 1, precursor: float = 0.9) -> Watch:
    """Days with an incident every twelve hours; a leak half an hour before most of them, and spikes at random."""
    chance, watch = np.random.default_rng(seed), Watch()
    for slot in range(days * 144):
        place, signs = slot % 72, set()
        if place == 0:
            leaks = chance.random() < precursor
        if place in (68, 69, 70) and leaks:
            signs.add(LEAK)
        if chance.random() < 0.1:
            signs.add(NOISE)
        struck = [slot * SLOT - 10.0] if place == 71 else []
        watch.tick(slot * SLOT, signs, struck, busy=place == 71)
    return watch


@pytest.fixture(scope="module")
def watch() -> Watch:
    return lived(20)


def test_a_service_that_had_too_few_incidents_is_learned_about_and_has_no_risk() -> None:
    young = Watch()
    found = [young.tick(slot * SLOT, {LEAK}, [], busy=False) for slot in range(300)]
    assert all(one.learning and math.isnan(one.value) for one in found)
    for place in range(LEAST_INCIDENTS):
        young.tick((300 + place) * SLOT, set(), [(300 + place) * SLOT - 1.0], busy=True)
    assert not young.tick(310 * SLOT, set(), [], busy=False).learning


def test_what_came_before_incidents_raises_the_risk_and_what_did_not_hardly_does(watch: Watch) -> None:
    calm, noise, leak = (risk(watch.memory, signs).value for signs in (set(), {NOISE}, {LEAK}))
    assert leak > 0.6 > WARN > noise
    assert calm <= risk(watch.memory, set()).base
    assert risk(watch.memory, {LEAK, NOISE}).parts[0].sign == LEAK


def test_the_evidence_says_how_often_a_sign_stood_before_an_incident(watch: Watch) -> None:
    (part,) = risk(watch.memory, {LEAK}).parts
    assert part.times > 50
    assert part.before / part.times > 0.9
    (never,) = risk(watch.memory, {"anomaly queue spike"}).parts
    assert (never.weight, never.times) == (0.0, 0)


def test_predictions_are_scored_against_what_happened(watch: Watch) -> None:
    told = worth(watch.memory.record)
    assert told.scored > 1000
    assert 0.0 < told.brier < 0.05
    assert told.skill > 0.3
    assert told.hit_rate > 0.75
    assert 0.0 < told.lead_seconds <= HORIZON
    assert told.precision > 0.8


def test_signs_that_say_nothing_earn_no_skill_and_no_warnings() -> None:
    told = worth(lived(20, precursor=0.0).memory.record)
    assert told.hits == 0
    assert abs(told.skill) < 0.05


def test_many_signs_that_come_together_are_not_counted_as_if_they_were_independent(watch: Watch) -> None:
    memory = Memory.of(json.loads(json.dumps(watch.memory.plain())))
    for place in range(5):
        memory.signs[f"anomaly copy{place} trend"] = list(memory.signs[LEAK])
    alone, together = risk(memory, {LEAK}), risk(memory, {name for name in memory.signs if "trend" in name})
    odds = [math.log(one.value / (1 - one.value)) for one in (alone, together)]
    assert odds[1] - odds[0] < 1.1 * alone.parts[0].weight + 2.0


def test_what_was_learned_is_plain_json_and_goes_on_after_a_restart(watch: Watch) -> None:
    again = Watch.of(json.loads(json.dumps(watch.plain())))
    now = 21 * 144 * SLOT
    assert again.tick(now, {LEAK}, [], busy=False) == Watch.of(watch.plain()).tick(now, {LEAK}, [], busy=False)


def test_old_times_are_forgotten_and_signs_are_bounded() -> None:
    memory = Memory()
    for slot in range(500):
        memory.learn([f"anomaly m{slot} spike"], bad=False)
    assert len(memory.signs) == 60
    memory.forget(0.5)
    assert memory.slots == 250.0
    assert worth(Memory().record).scored == 0
    assert math.isnan(worth(Memory().record).brier)
