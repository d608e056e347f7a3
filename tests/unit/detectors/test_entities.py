"""Who behaves otherwise than usual: reasons are found, calm days are calm, and what was learned outlives a restart."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from detectors.entities import Act, Entities, Kind, Place, restored, state

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 11, 2, tzinfo=ZONE)
SHANGHAI, HANGZHOU, PARIS = Place("Shanghai", 31.2, 121.5), Place("Hangzhou", 30.3, 120.2), Place("Paris", 48.9, 2.35)
USERS, DAYS = 12, 16


def at(day: int, hour: float) -> float:
    return (MONDAY + timedelta(days=day, hours=hour)).timestamp()


def days(dice: random.Random) -> Iterator[Act]:
    """Workdays of an office: slips of the fingers, sign-ins, and some work in the shop."""
    for day in range(DAYS):
        for number in range(USERS):
            if day % 7 > 4 and dice.random() < 0.9:
                continue
            for _ in range(dice.randrange(1, 4)):
                yield from session(dice, f"u{number}", at(day, dice.uniform(8.5, 18)))


def session(dice: random.Random, user: str, when: float) -> Iterator[Act]:
    source = f"61.0.{user[1:]}.{dice.randrange(5)}"
    for _ in range(dice.choice((0, 0, 0, 1, 1, 2, 3))):
        yield Act(at=when - dice.uniform(1, 60), user=user, source=source, host="web", service="ssh", refused=True)
    yield Act(
        at=when, user=user, source=source, host="web", service="ssh", signed_in=True, place=SHANGHAI, device="ssh"
    )
    for step in range(dice.randrange(5, 40)):
        size = dice.expovariate(1 / 20_000)
        yield Act(
            at=when + 30 * step, user=user, source=source, service="shop", size=size, place=SHANGHAI, device="web"
        )


@cache
def calm() -> tuple[str, float]:
    """(what was learned, the highest risk of anybody in all that time)."""
    known, most = Entities(ZONE), 0.0
    for act in sorted(days(random.Random(3)), key=lambda one: one.at):
        known.take([act])
        for kind, name in (("user", act.user), ("source", act.source)):
            found = known.standing(kind, name, act.at)  # type: ignore[arg-type]
            most = max(most, found.risk if found else 0.0)
    return json.dumps(state(known)), most


def learned() -> Entities:
    return restored(json.loads(calm()[0]), ZONE, 5000)


def reasons(known: Entities, kind: Kind, name: str, when: float) -> dict[str, float]:
    found = known.standing(kind, name, when)
    assert found is not None
    return {one.name: points for one, points in found.reasons}


def risk(known: Entities, kind: Kind, name: str, when: float) -> float:
    found = known.standing(kind, name, when)
    assert found is not None
    return found.risk


def refused(user: str, source: str, when: float, count: int, apart: float = 3.0) -> list[Act]:
    return [
        Act(at=when + apart * step, user=user, source=source, host="web", service="ssh", refused=True)
        for step in range(count)
    ]


def test_weeks_of_ordinary_work_are_no_alarm() -> None:
    assert calm()[1] < 40


def test_guessing_is_told_of_the_address_the_user_and_the_machine() -> None:
    known, noon = learned(), at(16, 12)
    known.take(refused("root", "6.6.6.6", noon, 40))
    for kind, name in (("source", "6.6.6.6"), ("user", "root"), ("host", "web")):
        assert reasons(known, kind, name, noon + 120)["brute_force"] > 60  # type: ignore[arg-type]


def test_guessing_that_takes_its_time_is_told_too_and_does_not_become_usual() -> None:
    known = learned()
    known.take(refused("root", "6.6.6.6", at(16, 0), 2 * 1440, apart=60))
    assert risk(known, "source", "6.6.6.6", at(17, 0)) > 50
    known.take(refused("root", "7.7.7.7", at(18, 0), 3 * 2160, apart=40))
    assert risk(known, "source", "7.7.7.7", at(21, 0)) > 70


def test_one_address_with_many_names_and_one_name_from_many_addresses() -> None:
    known, noon = learned(), at(16, 12)
    for step in range(20):
        known.take(refused(f"name{step}", "6.6.6.6", noon + step, 1))
        known.take(refused("u1", f"7.7.{step}.7", noon + step, 1))
    assert reasons(known, "source", "6.6.6.6", noon + 60)["many_users"] > 60
    assert reasons(known, "user", "u1", noon + 60)["many_sources"] > 60


def test_a_gateway_whose_users_slip_is_not_guessing() -> None:
    """A thousand sign-ins an hour behind one address, and one in ten at the second attempt."""
    known, dice = Entities(ZONE), random.Random(5)
    for step in range(1000):
        when = at(0, 9) + step * 3.6
        if dice.random() < 0.1:
            known.take(refused(f"u{step % 500}", "61.9.9.9", when - 5, 1))
        known.take([Act(at=when, user=f"u{step % 500}", source="61.9.9.9", service="vpn", signed_in=True)])
    assert risk(known, "source", "61.9.9.9", at(0, 10)) < 40


def test_a_sign_in_after_guessing_counts_for_the_address_and_for_whoever_signed_in() -> None:
    known, noon = learned(), at(16, 12)
    known.take(refused("root", "6.6.6.6", noon, 30))
    known.take([Act(at=noon + 100, user="u2", source="6.6.6.6", service="ssh", signed_in=True)])
    known.take([Act(at=noon + 100, user="u3", source="61.0.3.1", service="ssh", signed_in=True)])
    assert reasons(known, "source", "6.6.6.6", noon + 100)["success_after_failures"] > 60
    assert reasons(known, "user", "u2", noon + 100)["guessing_source"] > 50
    assert risk(known, "user", "u3", noon + 100) < 20


@pytest.mark.parametrize(
    ("place", "minutes", "told"), [(PARIS, 20, True), (PARIS, 16 * 60, False), (HANGZHOU, 5, False)]
)
def test_travel_is_impossible_by_distance_and_time(place: Place, minutes: float, told: bool) -> None:
    known, noon = learned(), at(16, 12)
    known.take([Act(at=noon, user="u4", source="61.0.4.1", signed_in=True, place=SHANGHAI)])
    later = noon + 60 * minutes
    known.take([Act(at=later, user="u4", source="5.5.5.5", signed_in=True, place=place)])
    assert (reasons(known, "user", "u4", later).get("impossible_travel", 0) > 60) is told


def test_who_is_at_home_in_two_places_travels_less_gravely() -> None:
    """A telephone, and a laptop behind a private network that ends elsewhere."""
    known = learned()
    for day in range(16, 24):
        for hour in (9, 9.1, 9.2, 9.3):
            place = PARIS if hour in (9.1, 9.3) else SHANGHAI
            known.take([Act(at=at(day, hour), user="u5", source="61.0.5.1", signed_in=True, place=place)])
    assert 20 < reasons(known, "user", "u5", at(23, 9.3))["impossible_travel"] < 40


def test_much_more_than_usual_is_told_and_a_full_day_is_not() -> None:
    known, noon = learned(), at(16, 12)
    known.take([Act(at=noon + step, user="u6", source="61.0.6.1", size=2e6, place=SHANGHAI) for step in range(500)])
    found = reasons(known, "user", "u6", noon + 500)
    assert found["unusual_volume"] > 60
    assert found["unusual_bytes"] > 30
    known.take([Act(at=noon + 30 * step, user="u7", source="61.0.7.1", size=2e4) for step in range(60)])
    assert risk(known, "user", "u7", noon + 1800) < 20


def test_a_newcomer_is_measured_by_the_others() -> None:
    known, noon = learned(), at(16, 12)
    known.take([Act(at=noon + 0.1 * step, source="8.8.4.4", service="shop") for step in range(3000)])
    assert reasons(known, "source", "8.8.4.4", noon + 300)["beyond_peers"] > 60


def test_a_night_in_a_new_place_with_a_new_device_is_worth_asking_for_a_second_proof() -> None:
    known, night = learned(), at(17, 3)
    known.take([Act(at=night, user="u8", source="9.9.9.9", signed_in=True, place=PARIS, device="curl")])
    assert set(reasons(known, "user", "u8", night)) == {"new_place", "new_network", "new_device", "unusual_hour"}
    assert 40 < risk(known, "user", "u8", night) < 80


def test_risks_fade_by_half_in_an_hour_and_are_forgotten_in_a_day() -> None:
    known, noon = learned(), at(16, 12)
    known.take(refused("root", "6.6.6.6", noon, 40))
    now = risk(known, "source", "6.6.6.6", noon + 117)
    assert risk(known, "source", "6.6.6.6", noon + 117 + 3600) == pytest.approx(now / 2, rel=0.02)
    known.forget(noon + 86_400)
    assert known.risks(noon + 86_400, 0.0) == []


def test_strangers_do_not_push_out_who_is_known_and_no_more_than_most_are_kept() -> None:
    known, noon = restored(json.loads(calm()[0]), ZONE, 200), at(16, 12)
    before = set(known.known["user"])
    for step in range(2000):
        known.take(refused(f"made-up-{step}", f"6.{step // 250}.{step % 250}.6", noon + step, 1))
    assert before <= set(known.known["user"])
    assert max(known.counts().values()) <= 200
    assert known.refused["user"] > 1000


def test_what_was_learned_is_written_and_read_back_whole() -> None:
    again = json.dumps(state(learned()))
    assert again == calm()[0]
    with pytest.raises(ValueError, match="version"):
        restored({"version": 99}, ZONE, 10)


def test_acts_may_come_late_and_out_of_order() -> None:
    known, noon = learned(), at(16, 12)
    acts = refused("root", "6.6.6.6", noon, 40)
    random.Random(2).shuffle(acts)
    known.take(acts)
    assert risk(known, "source", "6.6.6.6", noon + 120) > 60
