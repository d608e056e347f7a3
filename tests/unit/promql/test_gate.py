"""Questions are let in a few at a time and in order; rules go first and wait for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, Matrix
from watchkeeper.promql import Engine, Gate, MemoryReader, QueryLimits, Vector

PATIENCE = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.001)


class SlowReader(MemoryReader):
    """Answers only while ``opened`` is set, and notes how many ask at once."""

    def __init__(self) -> None:
        super().__init__()
        self.opened, self.inside, self.most, self._lock = threading.Event(), 0, 0, threading.Lock()

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            assert self.opened.wait(PATIENCE)
            return super().select(matchers, start_ms, end_ms)
        finally:
            with self._lock:
                self.inside -= 1


@pytest.fixture
def reader() -> SlowReader:
    made = SlowReader()
    made.load("1m", "up 1+1x10")
    return made


def answered(engine: Engine) -> float:
    found = engine.instant("up", 60_000)
    assert isinstance(found, Vector)
    return float(found.values[0])


def test_no_more_than_so_many_run_at_once_and_all_are_answered(reader: SlowReader) -> None:
    gate = Gate(running=3, waiting=100)
    engine = Engine(reader, gate=gate)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(answered, engine) for _ in range(20)]
        until(lambda: gate.busy == (3, 17) and reader.inside == 3)
        reader.opened.set()
        assert [one.result(PATIENCE) for one in asked] == [2.0] * 20
    assert reader.most == 3
    assert gate.busy == (0, 0)


def test_a_rule_is_answered_while_a_hundred_questions_wait(reader: SlowReader) -> None:
    gate = Gate(running=2, waiting=100)
    pages, ready = Engine(reader, gate=gate), MemoryReader().load("1m", "up 1+1x10")
    with ThreadPoolExecutor(100) as pool:
        asked = [pool.submit(answered, pages) for _ in range(100)]
        until(lambda: gate.busy == (2, 98))
        assert answered(Engine(ready, gate=gate, urgent=True)) == 2.0
        assert gate.busy == (2, 98)
        reader.opened.set()
        assert all(one.result(PATIENCE) == 2.0 for one in asked)


def test_turns_come_in_the_order_of_asking() -> None:
    gate, order, first = Gate(running=1), list[int](), threading.Event()

    def ask(number: int) -> None:
        with gate.enter(time.monotonic() + PATIENCE):
            order.append(number)
            assert first.wait(PATIENCE)

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(ask, number)
            until(lambda number=number: gate.busy == (1, number))  # type: ignore[misc]  # bound now
        first.set()
    assert order == list(range(8))


def test_whose_turn_never_comes_is_told_so_as_prometheus_tells_it(reader: SlowReader) -> None:
    gate = Gate(running=1)
    with ThreadPoolExecutor(1) as pool:
        blocking = pool.submit(answered, Engine(reader, gate=gate))
        until(lambda: reader.inside == 1)
        impatient = Engine(reader, gate=gate, limits=QueryLimits(timeout_seconds=0.01))
        with pytest.raises(QueryError, match="query timed out in query queue") as refused:
            impatient.instant("up", 60_000)
        assert refused.value.kind == "timeout"
        reader.opened.set()
        assert blocking.result(PATIENCE) == 2.0
    assert gate.busy == (0, 0)


def test_a_full_line_refuses_at_once(reader: SlowReader) -> None:
    gate = Gate(running=1, waiting=1)
    engine = Engine(reader, gate=gate)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(answered, engine) for _ in range(2)]
        until(lambda: gate.busy == (1, 1))
        with pytest.raises(QueryError, match="query queue is full") as refused:
            engine.instant("up", 60_000)
        assert refused.value.kind == "timeout"
        reader.opened.set()
        assert [one.result(PATIENCE) for one in asked] == [2.0, 2.0]


def test_a_failed_question_leaves_the_gate(reader: SlowReader) -> None:
    gate = Gate(running=1)
    reader.opened.set()
    for _ in range(3):
        with pytest.raises(QueryError, match="many samples"):
            Engine(reader, gate=gate, limits=QueryLimits(max_samples=0)).instant("up", 60_000)
    assert gate.busy == (0, 0)


def test_a_question_rests_while_rules_go_on_and_goes_on_after(reader: SlowReader) -> None:
    gate = Gate(running=2, clock_monotonic=lambda: 0.0)  # no rest is ever too long
    reader.opened.set()
    engine = Engine(reader, gate=gate)
    with ThreadPoolExecutor(1) as pool:
        with engine.ahead():
            asked = pool.submit(answered, engine)
            until(lambda: gate.busy == (1, 0))
            assert answered(Engine(reader, gate=gate, urgent=True)) == 2.0
            assert not asked.done()
        assert asked.result(PATIENCE) == 2.0


def test_rules_that_never_end_do_not_stop_every_question(reader: SlowReader) -> None:
    gate = Gate(running=2, clock_monotonic=iter(range(10_000)).__next__)  # every look takes a second
    reader.opened.set()
    engine = Engine(reader, gate=gate)
    with engine.ahead():
        assert answered(engine) == 2.0
