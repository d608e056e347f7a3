"""Failures are foretold by what came before earlier ones, and every prediction is scored by what happened."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from analytics.risk import HORIZON, LEAST_INCIDENTS, SLOT, WARN, Memory, Watch, risk, told_of, worth

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
    assert 25 <= part.times <= 40, "it stood three slots before nine in ten of 40 incidents: one hour each time"
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


def by_chance(days: int, *, kinds: int, chance: float, seed: int) -> Watch:
    """Incidents at random, about one a day; anomalies of many kinds at random, each of three slots."""
    random, watch = np.random.default_rng(seed), Watch()
    standing: dict[str, int] = {}
    for slot in range(days * 144):
        for kind in np.flatnonzero(random.random(kinds) < chance).tolist():
            standing[f"anomaly m{kind} spike"] = slot + 3
        signs = {name for name, until in standing.items() if slot < until}
        struck = [slot * SLOT - 10.0] if random.random() < 1 / 144 else []
        watch.tick(slot * SLOT, signs, struck, busy=bool(struck))
    return watch


@pytest.mark.parametrize(("kinds", "chance"), [(40, 0.001), (200, 0.0005), (300, 0.003)])
def test_incidents_that_come_by_chance_are_not_foretold_however_many_signs_there_are(kinds: int, chance: float) -> None:
    found = [worth(by_chance(21, kinds=kinds, chance=chance, seed=seed).memory.record) for seed in range(3)]
    assert min(one.skill for one in found) > -0.05
    assert float(np.mean([one.skill for one in found])) > -0.02


def test_what_was_seen_before_one_incident_alone_does_not_warn(watch: Watch) -> None:
    memory = Memory.of(watch.memory.plain())
    rare = "anomaly threads level"
    for slot in range(4):
        memory.learn([rare], bad=True, at=slot * SLOT)
    assert risk(memory, {rare}).value < WARN
    for hour in range(1, 4):
        memory.learn([rare], bad=True, at=hour * HORIZON)
    assert risk(memory, {rare}).value > WARN, "four incidents are more than chance"


def test_slots_of_one_hour_are_one_piece_of_evidence() -> None:
    memory = Memory()
    for slot in range(12):
        memory.learn([LEAK] if slot % 2 else [], bad=True, at=slot * SLOT)
    (part,) = risk(memory, {LEAK}).parts
    assert (part.before, part.times) == (2, 2)


def test_of_a_sign_whose_hours_were_followed_by_incidents_the_chance_is_their_share() -> None:
    tells, chance = told_of(30.0, 60.0, 0.04, 20.0)
    assert (round(tells, 3), round(chance, 2)) == (1.0, 0.5)
    tells, _ = told_of(2.0, 60.0, 0.04, 20.0)
    assert tells < 0.02


def test_skill_is_unknown_until_a_few_incidents_came_that_could_be_foretold(watch: Watch) -> None:
    record = Memory.of(watch.memory.plain()).record
    record.hits, record.misses = 1, 1
    assert math.isnan(worth(record).skill)
    record.misses = 2
    assert worth(record).skill > 0.3


def test_half_of_what_is_a_month_old_is_forgotten() -> None:
    memory = Memory()
    for slot in range(144):
        memory.learn([LEAK], bad=True, at=slot * SLOT)
    for slot in range(144, 31 * 144):
        memory.learn([], bad=False, at=slot * SLOT)
    assert memory.signs[LEAK][0] == pytest.approx(144 / 2, rel=0.03)
    assert memory.bad == pytest.approx(144 / 2, rel=0.03)


def test_several_rules_that_find_one_trouble_are_one_incident() -> None:
    watch = Watch()
    watch.tick(SLOT, set(), [SLOT - 30.0, SLOT - 20.0, SLOT - 10.0], busy=True)
    assert watch.memory.incidents == 1


def test_an_incident_while_nothing_was_foretold_is_neither_foretold_nor_missed(watch: Watch) -> None:
    again = Watch.of(watch.plain())
    before = worth(again.memory.record)
    start = 21 * 144
    for slot in range(start, start + 12):
        again.tick(slot * SLOT, set(), [], busy=True)
    again.tick((start + 12) * SLOT, set(), [(start + 12) * SLOT - 10.0], busy=True)
    after = worth(again.memory.record)
    assert (after.hits, after.misses) == (before.hits, before.misses)
    assert again.memory.incidents == watch.memory.incidents + 1


def test_a_memory_of_an_older_version_is_taken_up(watch: Watch) -> None:
    old = json.loads(json.dumps(watch.memory.plain()))
    del old["dropped"], old["age"]
    old["signs"] = {name: counts[:2] for name, counts in old["signs"].items()}
    assert risk(Memory.of(old), {LEAK}).value == pytest.approx(risk(watch.memory, {LEAK}).value, abs=0.1)


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
        memory.learn([f"anomaly m{slot} spike"], bad=False, at=slot * SLOT)
    assert len(memory.signs) == 60
    assert 400 < memory.dropped < 440, "they are counted, and fade as all else does"
    before = memory.slots
    memory.forget(0.5)
    assert memory.slots == before / 2
    assert worth(Memory().record).scored == 0
    assert math.isnan(worth(Memory().record).brier)
