"""A store on real servers: everything comes back, whatever happens to the server meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.kept import SERVERS, serve
from support.sample_server import Moody, moody
from support.samples import NOON, contents, layout, sent_by, tick
from support.servers import Running

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model import STALE_NAN, Layout, Matcher, Tick
from watchkeeper.model.series import MatchOp
from watchkeeper.store.samples.remote import Address, Pace, RemoteStore, Server, raw

pytestmark = pytest.mark.servers
#: Nothing here waits for a real server longer than it needs.
QUICK = Pace(flush=0.02, first_retry=0.02, last_retry=0.1, check=0.2, shown=3600.0, margin=5.0, keep=3600.0)
EVERYTHING = [Matcher("job", MatchOp.EQUAL, "test")]
TWO = layout("a_total", "b")


class Desk:
    """A remote store under a manual clock; close and open it as often as you like."""

    def __init__(self, folder: Path, url: str, **options: object) -> None:
        self.folder, self.url, self.options = folder, url, options
        self.clock, self.sent = ManualClock(NOON), list[Tick]()
        self.store = self.open()

    def open(self) -> RemoteStore:
        options: dict[str, object] = {"pace": QUICK, **self.options}
        timeout = options.pop("timeout", 5.0)
        address = Address(url=self.url, timeout=timeout)  # type: ignore[arg-type]  # the test's own words
        self.store = RemoteStore(self.folder, Server(address), clock=self.clock, **options)  # type: ignore[arg-type]  # likewise
        return self.store

    def send(self, *values: float, after: float = 15.0, shape: Layout = TWO, target: str = "web") -> None:
        one = tick(self.clock.advance(after), shape, values, target)
        line = self.store.append(one)
        assert line.received == line.stored + line.deduplicated + sum(line.rejected.values())
        self.sent.append(one)

    def run(self, count: int) -> None:
        for _ in range(count):
            step = len(self.sent)
            self.send(3.0 * step, STALE_NAN if step % 4 == 3 else step % 5)

    def delivered(self) -> None:
        """Everything is at the server, and the ledger says where each sample went."""
        assert self.store.deliver(30.0), self.store.stats()
        self.balanced()

    def balanced(self) -> None:
        found = self.store.stats()
        parts = ("sent", "already_there", "refused", "dropped", "waiting")
        assert found["spool_offered"] == sum(found[f"spool_{part}"] for part in parts), found

    def at_server(self) -> set[tuple[str, int, float]]:
        """What the server shows of the test's series."""
        rows = raw.read(self.store._server, EVERYTHING, to_ms(NOON), to_ms(self.clock.now()))
        return {
            (dict(series)["__name__"], time_ms, value)
            for series, (times, values) in rows.items()
            for time_ms, value in zip(times.tolist(), values.tolist(), strict=True)
            if not np.isnan(value)
        }

    def expected(self) -> set[tuple[str, int, float]]:
        return {
            (dict(series)["__name__"], one.time_ms, value)
            for one in self.sent
            for series, value in zip(one.layout.series, one.values.tolist(), strict=True)
            if not np.isnan(value)
        }


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 40.0
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    with serve(request.param, tmp_path) as running:
        yield running


@pytest.fixture
def desk(server: Running, tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path / "desk", server.url)
    yield found
    found.store.close()


@pytest.fixture
def front(server: Running) -> Iterator[Moody]:
    with moody(server.url) as found:
        yield found


def test_what_was_appended_is_read_at_once_and_is_at_the_server_soon(desk: Desk) -> None:
    desk.run(8)
    assert contents_of(desk.store) == sent_by(desk.sent)
    desk.delivered()
    until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
    assert contents_of(desk.store) == sent_by(desk.sent)
    assert desk.store.label_values("__name__", EVERYTHING, to_ms(NOON), to_ms(desk.clock.now())) == ["a_total", "b"]


def contents_of(store: RemoteStore) -> object:
    return contents(store.head, EVERYTHING) if store.head is None else contents(store, EVERYTHING)  # type: ignore[arg-type]  # it reads only
