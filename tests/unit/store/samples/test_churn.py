"""Series that come and go: memory follows what is active, and what has gone is still found."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from support.churn import Fleet, churn
from support.samples import EVER, NOON, SMALL

from watchkeeper.clock import ManualClock
from watchkeeper.model import Matcher, MatchOp
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.catalogue import IDLE_ROUNDS


def pod(text: str) -> list[Matcher]:
    return [Matcher("pod", MatchOp.EQUAL, text)]


def test_the_index_holds_what_is_active_and_old_series_are_found_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.store.samples.catalogue.FORGET_FROM", 20)
    clock = ManualClock(NOON)
    store = EmbeddedStore(tmp_path, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    fleet = Fleet(store, clock, targets=4, series=50, fresh=5)
    known = []
    for _ in range(60):
        fleet.hour(ticks=6)
        known.append(store.stats()["series"])
    assert max(known[10:]) <= 2 * 4 * 50  # of 1,400 in all
    (first,) = store.select(pod("pod-0-00000000"), *EVER)
    assert (len(first.times), len(first.series)) == (60 * 6, 1)
    assert first.present.sum() == 6  # the one hour it lived
    assert len(store.series([], *EVER)) == 4 * (50 + 59 * 5)
    assert store.stats()["series"] == 4 * (50 + 59 * 5)
    for _ in range(IDLE_ROUNDS + 2):  # nobody asks any more
        store.maintain(clock.now())
    assert store.stats()["series"] <= 2 * 4 * 50
    (again,) = store.select(pod("pod-0-00000000"), *EVER)
    assert again.values.tobytes() == first.values.tobytes()
    store.close()
    store = EmbeddedStore(tmp_path, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    assert store.stats()["series"] <= 2 * 4 * 50  # nor does a restart read what nobody asks for
    (after,) = store.select(pod("pod-0-00000000"), *EVER)
    assert after.values.tobytes() == first.values.tobytes()
    store.close()


@pytest.mark.long
def test_a_million_series_cost_no_more_memory_than_a_hundred_thousand(tmp_path: Path) -> None:
    sizes = churn(tmp_path, hours=181)  # 100,000 + 180 x 5,000
    assert max(sizes[-20:]) < 1.2 * max(sizes[30:50])
