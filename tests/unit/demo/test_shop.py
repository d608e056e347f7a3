"""The made-up past is the same each time, plausible, and marked as made up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchkeeper.app.demo.shop import DAYS, ENDS, PER_DAY, SEED, Shop, level, past

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    found = Shop(tmp_path_factory.mktemp("shop") / "shop.sqlite")
    found.create()
    found.seed(NOON)
    return found


def test_the_same_moment_gives_the_same_past() -> None:
    assert list(past(NOON)) == list(past(NOON))


def test_eight_weeks_of_orders_end_now_and_none_lies_ahead(shop: Shop) -> None:
    with shop.connection() as found:
        first, last, count = found.execute("SELECT min(created_at), max(created_at), count(*) FROM orders").fetchone()
    assert timedelta(0) < datetime.fromisoformat(first + "+00:00") - (NOON - timedelta(days=DAYS)) < timedelta(hours=1)
    assert timedelta(0) < NOON - datetime.fromisoformat(last + "+00:00") < timedelta(hours=1)
    assert count == pytest.approx(DAYS * PER_DAY, rel=0.25)


def test_every_made_up_order_says_so_and_real_ones_do_not(shop: Shop) -> None:
    order = shop.add_order(7, 500, NOON)
    with shop.connection() as found:
        seeds = dict(found.execute("SELECT demo_seed, count(*) FROM orders GROUP BY 1"))
        assert set(seeds) == {0, SEED}
        assert seeds[0] == 1
        found.execute("DELETE FROM orders WHERE id = ?", (order,))


def test_orders_end_in_all_five_states_in_plausible_shares(shop: Shop) -> None:
    with shop.connection() as found:
        shares = Counter(dict(found.execute("SELECT status, count(*) FROM orders GROUP BY status")))
    for state, hundredths in ENDS:
        assert shares[state] / shares.total() == pytest.approx(hundredths / 100, abs=0.01), state


def test_weekends_are_quieter_than_weekdays_and_nights_than_evenings(shop: Shop) -> None:
    with shop.connection() as found:
        days = found.execute(
            "SELECT strftime('%w', created_at, '+8 hours') AS day, count(*) FROM orders GROUP BY day"
        ).fetchall()
    counts = {int(day): count for day, count in days}
    assert max(counts[0], counts[6]) < min(counts[day] for day in range(1, 6))
    night, evening = NOON.replace(hour=20), NOON.replace(hour=12)  # 4 and 20 o'clock in Shanghai
    assert level(night) < 0.5 * level(evening)


def test_amounts_are_cents_and_mostly_small(shop: Shop) -> None:
    with shop.connection() as found:
        cents = sorted(row[0] for row in found.execute("SELECT amount_cents FROM orders"))
    assert all(isinstance(one, int) and one >= 990 for one in cents)
    assert cents[len(cents) // 2] < sum(cents) / len(cents)


def test_a_refund_takes_a_paid_order_of_today_never_one_of_the_past(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop.sqlite")
    shop.create()
    shop.seed(NOON)
    shop.refund_one()
    order = shop.add_order(7, 500, NOON)
    shop.settle(order, "paid", NOON)
    with shop.connection() as found:
        before = found.execute("SELECT count(*) FROM orders WHERE status = 'refunded'").fetchone()[0]
    shop.refund_one()
    with shop.connection() as found:
        assert found.execute("SELECT status FROM orders WHERE id = ?", (order,)).fetchone() == ("refunded",)
        after = found.execute("SELECT count(*) FROM orders WHERE status = 'refunded'").fetchone()[0]
    assert after == before + 1
