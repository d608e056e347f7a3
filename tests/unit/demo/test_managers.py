"""What managers look at in the demo: a made-up bill that is the same each time and says so."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from watchkeeper.app.demo import managers
from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.shop import DAYS, SEED

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def rows(place: Place) -> list[dict[str, str]]:
    with place.bill.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_bill_has_every_service_on_every_whole_day_and_none_of_today(place: Place) -> None:
    count = managers.write_bill(place, NOON)
    found = rows(place)
    assert len(found) == count == DAYS * len(managers.PRICES)
    assert max(row["date"] for row in found) == "2026-11-21"
    assert len({(row["date"], row["service"]) for row in found}) == count
    assert {row["made_up_with_seed"] for row in found} == {str(SEED)}


def test_days_are_those_of_shanghai(place: Place) -> None:
    managers.write_bill(place, NOON.replace(hour=17))
    assert max(date.fromisoformat(row["date"]) for row in rows(place)) == date(2026, 11, 22)


def test_the_bill_is_the_same_each_time(place: Place) -> None:
    managers.write_bill(place, NOON)
    first = place.bill.read_bytes()
    managers.write_bill(place, NOON)
    assert place.bill.read_bytes() == first


def test_two_days_on_the_backup_stand_out(place: Place) -> None:
    managers.write_bill(place, NOON)
    backup = [Decimal(row["amount"]) for row in rows(place) if row["service"] == "checkout-backup"]
    assert sorted(backup)[-2:] == [managers.BACKUP_DAY] * 2
    assert max(amount for amount in backup if amount != managers.BACKUP_DAY) < managers.BACKUP_DAY / 10
    assert all(amount.as_tuple().exponent == -2 for amount in backup)
