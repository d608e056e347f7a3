"""Questions over many targets read from one piece answer what the long way answers, whatever the targets do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import Labels, Layout, Tick, labels
from watchkeeper.model.series import STALE_NAN
from watchkeeper.promql import Engine, Vector, selectors
from watchkeeper.store.samples import EmbeddedStore, recent

START = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = (
    "m", "a_total", 'm{job="b"}', 'm{instance=~"h[0-4]"}', "m offset 40s", "rate(a_total[5m])",
    "rate(a_total[1m] offset 1m)", "sum by (job) (rate(a_total[5m]))", "avg_over_time(m[2m])",
    "max_over_time(m[90s])", "count_over_time(m[5m])", "timestamp(m)", "m / on(instance) group_left a_total",
    "absent(m)", "changes(m[3m])", "resets(a_total[5m])", "irate(a_total[5m])", "quantile_over_time(0.5, m[5m])",
    "last_over_time(a_total[1m])", "deriv(m[5m])", "m > 50", "absent_over_time(m[1m])",
)  # fmt: skip


class LongWay:
    """The same store without its short cut."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.select = store.select
        self.series, self.label_names, self.label_values = store.series, store.label_names, store.label_values


class Estate:
    """Twelve targets: two change their series, one goes silent, one has gaps, one restarts its counter."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.store = EmbeddedStore(folder, clock=self.clock)
        self.random, self.turn, self.layouts = np.random.default_rng(5), 0, dict[int, Layout]()
        self.total = np.zeros(12)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.turn += 1
            self.clock.advance(timedelta(seconds=15))
            for number in range(12):
                if number != 9 or self.turn < 30:
                    self._tick(number)

    def _tick(self, number: int) -> None:
        generation = self.turn // 17 if number in (3, 4) else 0
        layout = self.layouts.get(number * 100 + generation)
        if layout is None:
            layout = self.layouts[number * 100 + generation] = Layout(tuple(self._series(number, generation)))
        self.total[number] += float(self.random.integers(0, 9))
        if number == 5 and self.turn % 20 == 0:
            self.total[number] = 1.0
        values = self.random.integers(0, 100, len(layout)).astype(np.float64)
        values[0] = self.total[number]
        if number == 6:
            values[self.random.random(len(layout)) < 0.3] = STALE_NAN
        at = to_ms(self.clock.now()) - 137 * number
        self.store.append(Tick(target=f"t{number}", time_ms=at, layout=layout, values=values))

    def _series(self, number: int, generation: int) -> Iterator[Labels]:
        common = {"instance": f"h{number}", "job": "ab"[number % 2]}
        yield labels("a_total", common)
        for place in range(3):
            yield labels("m", {**common, "pod": f"{generation if number == 3 else 0}-{place + generation}"})


def answer(engine: Engine, question: str, at: int) -> dict[Labels, float]:
    found = engine.instant(question, at)
    assert isinstance(found, Vector)
    return dict(zip(found.series, found.values.tolist(), strict=True))


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    made = Estate(tmp_path)
    yield made
    made.store.close()


def test_every_answer_is_that_of_the_long_way(estate: Estate) -> None:
    short, long = Engine(estate.store), Engine(LongWay(estate.store))
    compared = 0
    for ticks in (3, 1, 1, 14, 1, 25, 1, 40, 2):
        estate.run(ticks)
        if ticks == 40:
            estate.clock.advance(timedelta(seconds=1))
            estate.store.maintain(estate.clock.now())
        for question in QUESTIONS:
            for back in (0, 100_000):
                at = to_ms(estate.clock.now()) - back
                expected = answer(long, question, at)
                assert answer(short, question, at) == pytest.approx(expected, nan_ok=True), (
                    estate.turn,
                    question,
                    back,
                )
                compared += len(expected)
    assert compared > 5_000


def test_the_short_cut_is_taken_for_many_targets_and_for_the_near_past(estate: Estate) -> None:
    estate.run(60)
    end = to_ms(estate.clock.now())
    many, few = selectors("m")[0][0], selectors('m{instance="h1"}')[0][0]
    assert estate.store.recent(many, end - 300_000, end, newest=False) is not None
    assert estate.store.recent(few, end - 300_000, end, newest=False) is None
    assert estate.store.recent(many, end - 850_000, end, newest=False) is None
    assert estate.store.recent(many, end - 850_000, end, newest=True) is not None


def test_too_many_series_go_the_usual_way(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_ROWS", 20)
    estate.run(5)
    end = to_ms(estate.clock.now())
    assert estate.store.recent(selectors("m")[0][0], end - 60_000, end, newest=False) is None
    counted = answer(Engine(estate.store), "count(m)", end)
    assert counted == answer(Engine(LongWay(estate.store)), "count(m)", end)
    assert counted[()] > 20


def test_what_nobody_asks_for_is_given_back(estate: Estate) -> None:
    now = [0.0]
    estate.run(5)
    held = recent.Recent(estate.store._catalogue, monotonic=lambda: now[0])
    end = to_ms(estate.clock.now())
    assert held.read(selectors("m")[0][0], end - 60_000, end, newest=False) is not None
    assert held.nbytes > 0
    now[0] += recent.IDLE_SECONDS + 1
    held.tidy()
    assert held.nbytes == 0
