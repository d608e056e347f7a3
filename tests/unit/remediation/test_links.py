"""A primary and a backup: over at once when it is sure, back only slowly."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.remediator import World
from support.remedies import LINK, NOON, RULE

from remediation import links, probing
from remediation.links import LinkState, Phase
from remediation.probing import Heard, Look
from remediation.situation import Watched
from remediation.steady import Steady
from watchkeeper.errors import ActionError
from watchkeeper.model import ActionState, RemedyRule

RULE_OF_LINK = replace(RULE, name="maps", link="maps", target="", parameters={})
OPTIONS: dict[str, Any] = {
    "name": "maps",
    "service": "shop",
    "target": "web",
    "primary": "web1",
    "backup": "web2",
    "primary_probe": "probe1",
    "backup_probe": "probe2",
    "observers": ["probe"],
    "hold": "30s",
    "dwell": "30s",
    "cooldown": "30s",
    "budget": 10,
    "return_good": 3,
}


def a_world(tmp_path: Path, rule: RemedyRule = RULE_OF_LINK, **more: Any) -> World:
    world = World(tmp_path, rule, links=[{**OPTIONS, **more}])
    idle = more.get("backup_idle", "drain")
    world.pool.servers = {"web1": {"state": "ready", "weight": 100}, "web2": {"state": idle, "weight": 100}}
    world.answers = {"probe1": 1.0, "probe2": 1.0}
    world.remediator.people.declare("maps", "ada", "a dual link", NOON)
    world.symptom = 0
    world.step(4)
    return world


def serving(world: World) -> list[str]:
    return [name for name, each in world.pool.servers.items() if each["state"] == "ready"]


def fail_over(world: World) -> None:
    world.symptom, world.answers["probe1"] = 1, 0.0
    told = [change.kind for change in world.step(3)]
    assert told == ["proposed", "executed"]
    assert serving(world) == ["web2"]


def test_it_fails_over_when_confirmed_and_tells_at_the_first_verdict(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.symptom = 0
    assert [change.kind for change in world.step()] == ["verified_holding"]
    assert [change.kind for change in world.step(2)] == ["succeeded"]


def test_it_returns_only_after_dwell_and_an_unbroken_half_open(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.symptom = 0
    world.step(10)
    assert serving(world) == ["web2"]
    world.answers["probe1"] = 1.0
    world.step(4)
    world.answers["probe1"] = 0.0  # hysteresis: all of it anew
    world.step(1)
    world.answers["probe1"] = 1.0
    world.step(4)
    assert serving(world) == ["web2"]
    world.step(6)
    assert serving(world) == ["web1"]
    assert world.pool.servers["web2"]["state"] == "drain"
    world.step(5)
    assert [record.state for record in world.records() if record.token] == [ActionState.SUCCEEDED] * 2


def test_a_backup_that_is_kept_ready_is_known_to_serve_and_is_left_again(tmp_path: Path) -> None:
    """Nothing is given to it, only the primary is taken away: it is a switch all the same."""
    world = a_world(tmp_path, backup_idle="ready")
    fail_over(world)
    world.symptom = 0
    world.step(3)
    assert world.remediator.phase("maps") is Phase.BACKUP
    world.answers["probe1"] = 1.0
    world.step(12)
    assert serving(world) == ["web1", "web2"]
    assert world.remediator.phase("maps") is Phase.PRIMARY
    world.state.close()


@pytest.mark.parametrize("backup", [0.0, None])
def test_it_stays_when_the_backup_is_not_known_to_be_good(tmp_path: Path, backup: float | None) -> None:
    world = a_world(tmp_path)
    world.answers["probe2"] = backup
    world.symptom = 1
    world.step(8)
    assert serving(world) == ["web1"]
    assert world.record().progress["gate"] == "blast_radius"


def sampled(world: World, **at: datetime) -> None:
    """These probes brought their newest sample then, whatever value they still have."""
    world.facts["newest"] = lambda matchers, now: at.get(matchers[0].value, now)


def test_it_stays_when_the_backups_probe_has_stopped_although_its_last_word_was_good(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    sampled(world, probe2=world.clock.now())
    world.step(5)
    world.symptom = 1
    world.step(8)
    assert serving(world) == ["web1"]
    assert world.record().progress["gate"] == "blast_radius"
    sampled(world)
    world.step(8)
    assert world.pool.executed() == 1


def test_a_probe_of_the_primary_that_is_looked_at_often_is_one_good_probe(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.symptom = 0
    world.step(4)
    world.answers["probe1"] = 1.0
    sampled(world, probe1=world.clock.now() + timedelta(seconds=15))
    world.step(4)  # all looks at the same sample
    assert world.remediator.link_state("maps").primary[-2:] == (False, True)
    world.step(4)
    assert world.remediator.link_state("maps").primary[-1] is None  # late by now, and so unknown
    sampled(world)
    world.step(3)
    assert world.remediator.phase("maps") is Phase.HALF_OPEN


INTERVAL = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("heard", "seen", "word"),
    [
        (Heard(), Look(True, NOON), True),
        (Heard(), Look(None, None), None),
        (Heard(), Look(True, NOON - 5 * INTERVAL), None),  # the first, and late already
        (Heard(NOON, INTERVAL), Look(True, NOON), "same"),
        (Heard(NOON, INTERVAL), Look(False, NOON), False),  # bad is never passed over
        (Heard(NOON - 4 * INTERVAL, INTERVAL), Look(True, NOON - 4 * INTERVAL), "same"),
        (Heard(NOON - 5 * INTERVAL, INTERVAL), Look(True, NOON - 5 * INTERVAL), None),
        (Heard(NOON - 50 * INTERVAL, 15 * INTERVAL), Look(True, NOON - 50 * INTERVAL), "same"),  # asked seldom
        (Heard(NOON - timedelta(hours=1), INTERVAL), Look(True, NOON - 200 * INTERVAL), "late"),
    ],
)
def test_a_sample_counts_once_and_a_late_one_is_unknown(heard: Heard, seen: Look, word: object) -> None:
    found, said = probing.word(heard, seen, NOON, INTERVAL)
    assert said == (True if word == "late" else word)  # so long after a silence nothing is usual yet, but a minute
    assert found.every <= probing.SELDOM


def test_it_stays_when_the_passive_signal_does_not_agree(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.symptom = 1
    world.step(8, observers={"probe": False})
    assert serving(world) == ["web1"]


def test_it_stays_when_the_backup_cannot_carry_the_load(tmp_path: Path) -> None:
    world = a_world(tmp_path, backup_capacity=0.5)
    world.symptom = 1
    world.step(8)
    assert serving(world) == ["web1"]


def test_a_switch_that_does_not_help_is_undone_and_the_declaration_falls(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.step(2)
    assert serving(world) == ["web1"]
    with world.state.read() as unit:
        declaration = unit.actions.declaration("maps")
    assert declaration is not None
    assert declaration.fallen_at is not None


def test_which_side_serves_survives_a_restart(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.symptom = 0
    world.step(4)
    world.start()
    world.step(2)
    assert serving(world) == ["web2"]
    world.answers["probe1"] = 1.0
    world.step(10)
    assert serving(world) == ["web1"]


def test_one_unknown_probe_ends_half_open() -> None:
    link = replace(LINK, return_good=2, dwell=timedelta(0), hold=timedelta(seconds=30))
    state = LinkState(phase=Phase.BACKUP, since=NOON)
    at = NOON
    for _ in range(2):
        at += timedelta(seconds=15)
        state = links.follow(state, link, True, True, at)
    assert state.phase is Phase.HALF_OPEN
    assert not links.may_return(state, link, at + timedelta(seconds=29))
    assert links.may_return(state, link, at + timedelta(seconds=30))
    assert links.follow(state, link, None, True, at).phase is Phase.BACKUP


def test_a_rule_may_bring_its_own_plan_for_both_ways() -> None:
    there, back = {"state": {"route": "backup"}}, {"state": {"route": "primary"}}
    rule = replace(RULE_OF_LINK, parameters={"failover": there, "return": back})
    assert links.failover_rule(rule, LINK).parameters == there
    assert links.return_rule(rule, LINK).parameters == back
    only = replace(RULE_OF_LINK, parameters={"drain": "web1"})
    assert links.return_rule(only, LINK).parameters == {}


def test_the_way_back_is_as_urgent_as_the_switch_although_its_incident_is_over(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.symptom, world.incident = 0, None
    world.answers["probe1"] = 1.0
    world.step(12)
    assert serving(world) == ["web1"]
    assert [record.progress["severity"] for record in world.records() if record.token] == ["P1", "P1"]


def test_a_watcher_that_reaches_nothing_says_so_at_once_and_does_nothing(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    dark = [Watched(name=f"t{number}", service=f"s{number}", up=False) for number in range(3)]
    world.facts = {"watched": dark}
    world.symptom, world.answers["probe1"], world.answers["probe2"] = 1, 0.0, 0.0
    told = world.step(4, observers={"probe": None})  # the passive signal cannot be known
    assert [(change.kind, change.evidence["gate"]) for change in told] == [("suppressed", "isolation")]
    assert "3 of 3 unrelated targets are dark" in world.reason()
    assert serving(world) == ["web1"]
    assert world.step(40, observers={"probe": None}) == []  # and says it once
    assert not world.pool.effects


def test_a_step_that_is_held_up_does_nothing_on_what_it_saw_before(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    read = world.pool.read

    def slowly(*arguments: Any) -> Any:
        world.clock.advance(20)  # the process stands still between the look and the effect
        return read(*arguments)

    world.symptom, world.answers["probe1"] = 1, 0.0
    world.step(2)
    world.pool.read = slowly  # type: ignore[method-assign, assignment]
    world.step()
    assert not world.pool.effects
    assert world.reason().startswith("fresh: this was decided")
    world.pool.read = read  # type: ignore[method-assign]
    world.step(8)
    assert world.pool.executed() == 1  # it is looked at anew, and done


def test_a_slow_step_is_no_sleep_when_somebody_watched_the_process() -> None:
    gap = timedelta(seconds=2)
    steady = Steady(None, timedelta(seconds=30))
    steady.advance(NOON, 0.0, gap, 0.0)
    late = NOON + timedelta(seconds=5)
    assert not steady.advance(late, 5.0, gap, 0.4).isolated
    assert "paused for 3 s" in steady.advance(late + timedelta(seconds=3), 8.0, gap, 3.0).isolated


def test_a_busy_second_is_no_pause_however_often_rules_look(tmp_path: Path) -> None:
    world = a_world(tmp_path, replace(RULE_OF_LINK, interval=timedelta(milliseconds=500)))
    world.step(17, every=1.9)
    world.answers["probe1"], world.symptom = 0.0, 1
    for seconds in (0.5, 0.5, 1.6, 1.6):  # held up, twice
        world.step(every=seconds, newest_sample_at=world.clock.now() + timedelta(seconds=seconds))
    assert serving(world) == ["web2"]


def test_what_was_refused_for_our_own_sleep_is_proposed_as_soon_as_we_may_act(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.symptom, world.answers["probe1"] = 1, 0.0
    world.step(2, every=1.0)
    world.clock.advance(600)
    world.step(6, every=5.0)  # asleep before; observing for thirty seconds
    assert not world.pool.effects
    assert world.record().progress["gate"] == "isolation"
    world.step(3, every=5.0)
    assert world.pool.executed() == 1


def test_a_pinned_link_is_not_led_away_until_it_is_let_go(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    people = world.remediator.people
    people.pin("maps", "primary", "ann", "the backup is being moved", NOON)
    world.symptom, world.answers["probe1"] = 1, 0.0
    world.step(4)
    assert serving(world) == ["web1"]
    assert world.reason() == "precondition: the link is pinned to the primary by ann: the backup is being moved"
    people.unpin("maps", "ann", "it is done", NOON)
    world.step(4)  # a minute after the refusal
    assert serving(world) == ["web2"]
    assert world.remediator.phase("maps") is Phase.BACKUP


def test_a_pin_to_the_backup_holds_up_the_way_back(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fail_over(world)
    world.remediator.people.pin("maps", "backup", "ann", "we watch it for a day", NOON)
    world.symptom, world.answers["probe1"] = 0, 1.0
    world.step(20)
    assert serving(world) == ["web2"]
    assert world.remediator.phase("maps") is Phase.HALF_OPEN


def test_only_a_link_that_there_is_can_be_pinned(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    with pytest.raises(ActionError, match="no link 'mapz'"):
        world.remediator.people.pin("mapz", "backup", "ann", "a typo", NOON)
