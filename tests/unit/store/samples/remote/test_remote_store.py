"""A store on real servers: everything comes back, whatever happens to the server meanwhile."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from support.kept import SERVERS, serve, shown_now
from support.sample_server import Said, moody
from support.samples import NOON, contents, layout, sent_by, tick
from support.servers import Running, free_port

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import STALE_NAN, Layout, Matcher, Tick
from watchkeeper.model.series import MatchOp
from watchkeeper.promql import Engine, Gate, Pushed, RangeMatrix, Vector
from watchkeeper.store.samples import Limits
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
        shown_now(self.url)
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


def test_what_was_appended_is_read_at_once_and_is_at_the_server_soon(desk: Desk) -> None:
    desk.run(8)
    assert contents(desk.store, EVERYTHING) == sent_by(desk.sent)
    desk.delivered()
    until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
    assert contents(desk.store, EVERYTHING) == sent_by(desk.sent)
    assert desk.store.label_values("__name__", EVERYTHING, to_ms(NOON), to_ms(desk.clock.now())) == ["a_total", "b"]


def test_odd_values_come_back_from_the_server_to_twelve_digits_and_from_here_bit_for_bit(desk: Desk) -> None:
    odd = layout("tiny", "huge", "negative_zero", "third")
    desk.send(1e-30, 1.2345678901234567e300, -0.0, 1 / 3, shape=odd)
    desk.delivered()
    until(lambda: len(desk.at_server()) == 4, "the server shows everything")
    near = {name: pytest.approx(value, rel=1e-11) for name, _, value in desk.expected()}  # VictoriaMetrics rounds
    assert {name: value for name, _, value in desk.at_server()} == near
    assert contents(desk.store, EVERYTHING) == sent_by(desk.sent)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_away_at_the_start_and_falls_in_mid_run_loses_nothing(kind: str, tmp_path: Path) -> None:
    with serve(kind, tmp_path) as first:
        port = first.port
    desk = Desk(tmp_path / "desk", first.url)
    try:
        desk.run(3)
        with pytest.raises(QueryError, match="sample server"):
            desk.store.select(EVERYTHING, to_ms(NOON), to_ms(desk.clock.now()))
        until(lambda: desk.store.stats()["server_failing_seconds"] > 0, "the failure is counted")
        assert desk.store.stats()["server_failed_unreachable"] > 0
        with serve(kind, tmp_path, port) as second:
            desk.delivered()
            desk.run(3)
            second.kill()
        desk.run(3)
        desk.store.close()
        desk.open()
        desk.run(3)
        with serve(kind, tmp_path, port):
            desk.delivered()
            until(lambda: desk.at_server() >= late(desk), "what was sent after the fall is there")
        desk.balanced()
        assert desk.store.stats()["spool_dropped"] == 0
    finally:
        desk.store.close()


@pytest.mark.parametrize("kind", SERVERS)
def test_what_an_engine_had_on_its_disk_when_it_died_arrives_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(kind, tmp_path) as first:
        port = first.port
    desk = Desk(tmp_path / "desk", first.url)
    desk.run(2)
    assert not desk.store.deliver(0.2)  # on its way, and in the spool
    monkeypatch.setattr(desk.store._outbox, "flush", lambda _: None)  # the spool hears no more, the log does
    desk.run(4)
    desk.store.head.sync()
    shutil.copytree(tmp_path / "desk", tmp_path / "died")
    desk.store.close()
    assert len(list((tmp_path / "died" / "spool").glob("*.rw"))) < len(desk.sent)
    desk.folder = tmp_path / "died"
    desk.open()
    try:
        with serve(kind, tmp_path, port):
            desk.delivered()
            until(lambda: desk.at_server() == desk.expected(), "everything is there")
        assert desk.store.stats()["spool_offered"] == 2 * len(desk.sent)
    finally:
        desk.store.close()


def late(desk: Desk) -> set[tuple[str, int, float]]:
    return {one for one in desk.expected() if one[1] >= desk.sent[6].time_ms}


def test_what_a_server_took_and_forgot_in_its_fall_is_sent_again(tmp_path: Path) -> None:
    pace = Pace(flush=0.02, first_retry=0.02, last_retry=0.1, check=0.3, shown=3.0, margin=20.0, keep=60.0)
    with serve("victoria_metrics", tmp_path) as first:
        desk = Desk(tmp_path / "desk", first.url, pace=pace)
        desk.run(5)
        desk.delivered()
        first.kill()
    try:
        with serve("victoria_metrics", tmp_path, first.port):
            until(lambda: desk.at_server() == desk.expected(), "everything is there after all")
            desk.balanced()
            assert desk.store.stats()["spool_resent"] > 0
    finally:
        desk.store.close()


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (Said(500, b"broken"), "http_500"),
        (Said(200, b"<html>sign in</html>", "text/html"), "http_200"),
        (Said(401, b"who are you"), "http_401"),
        (Said(429, b"slower"), "http_429"),
        ("cut", "unreachable"),
        ("hang", "timeout"),
    ],
    ids=["500", "html", "401", "429", "cut", "hang"],
)
def test_a_server_in_a_bad_mood_is_counted_and_caught_up_with(mood: Said | str, reason: str, tmp_path: Path) -> None:
    with serve("prometheus", tmp_path) as server, moody(server.url) as front:
        desk = Desk(tmp_path / "desk", front.url, timeout=0.5)
        try:
            front.mood = mood
            desk.run(3)
            until(lambda: desk.store.stats().get(f"server_failed_{reason}", 0) > 1, f"{reason} is counted twice")
            assert desk.store.stats()["spool_waiting"] == 6
            front.mood = None
            front.released.set()
            desk.delivered()
            assert desk.at_server() == desk.expected()
        finally:
            desk.store.close()


@pytest.mark.parametrize(
    "said",
    [Said(200, b"<html>"), Said(200, b"{]"), Said(200, b'{"status":"success","data":[1]}'), Said(502, b"bad gateway")],
    ids=["html", "garbage", "shape", "502"],
)
def test_an_answer_that_nobody_can_read_is_unknown_and_never_empty(said: Said, tmp_path: Path) -> None:
    with moody() as front:
        front.mood = said
        desk = Desk(tmp_path / "desk", front.url)
        try:
            engine = Pushed(desk.store, desk.store)
            at = to_ms(desk.clock.now())
            with pytest.raises(QueryError):
                engine.instant("x", at)
            with pytest.raises(QueryError):
                engine.range("x", at - 60_000, at, 15_000)
            with pytest.raises(QueryError):
                Engine(desk.store).instant("absent(x)", at)
        finally:
            desk.store.close()


def test_an_answer_that_is_too_large_is_asked_for_in_parts_and_then_refused(tmp_path: Path) -> None:
    with serve("prometheus", tmp_path) as server:
        desk = Desk(tmp_path / "desk", server.url)
        try:
            desk.run(30)
            desk.delivered()
            small = Server(Address(url=server.url), max_bytes=700)
            try:
                rows = raw.read(small, [Matcher("__name__", MatchOp.EQUAL, "a_total")], *span(desk))
                assert [len(times) for times, _ in rows.values()] == [30]
            finally:
                small.close()
            tiny = Server(Address(url=server.url), max_bytes=70)
            try:
                with pytest.raises(QueryError, match="limit"):
                    raw.read(tiny, [Matcher("__name__", MatchOp.EQUAL, "a_total")], *span(desk))
            finally:
                tiny.close()
        finally:
            desk.store.close()


def span(desk: Desk) -> tuple[int, int]:
    return to_ms(NOON), to_ms(desk.clock.now())


def test_only_what_the_server_refuses_is_refused_and_the_rest_of_the_request_arrives(tmp_path: Path) -> None:
    with serve("prometheus", tmp_path) as server:
        desk = Desk(tmp_path / "desk", server.url, head=timedelta(hours=30))
        try:
            desk.run(2)
            desk.delivered()
            old = tick(NOON - timedelta(hours=20), layout("late_total"), [1.0], "late")
            assert desk.store.append(old).stored == 1
            desk.run(2)
            desk.delivered()
            assert desk.at_server() == desk.expected()
            assert desk.store.stats()["spool_refused_too_old"] == 1
        finally:
            desk.store.close()


def test_beyond_its_bound_the_spool_drops_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    with moody() as front:
        front.mood = Said(503, b"not now")
        desk = Desk(tmp_path / "desk", front.url, spool_bytes=2000)
        try:
            for _ in range(20):
                desk.run(1)
                desk.store.sync()
            found = desk.store.stats()
            assert found["spool_dropped"] > 0
            assert found["spool_bytes"] <= 2000
            desk.balanced()
        finally:
            desk.store.close()


def test_limits_hold_for_what_is_sent_too(server: Running, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", server.url, limits=Limits(series=1))
    try:
        line = desk.store.append(tick(desk.clock.advance(15), TWO, [1.0, 2.0]))
        assert (line.stored, dict(line.rejected)) == (1, {"series_limit": 1})
        desk.delivered()
        until(lambda: {name for name, *_ in desk.at_server()} == {"a_total"}, "the one series is there")
    finally:
        desk.store.close()


def test_samples_of_others_are_read_too_and_their_ends_hold(server: Running, desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other", server.url)
    try:
        for value in (1.0, 2.0, STALE_NAN):
            other.send(value, shape=layout("theirs"))
        other.delivered()
        desk.clock.advance(60)
        desk.send(1.0, 1.0)
        shown_now(server.url)
        until(lambda: len(desk.store.select([named("theirs")], *span(desk))) == 1, "their samples show")
        (found,) = desk.store.select([named("theirs")], *span(desk))
        assert found.values[found.present].tolist() == [1.0, 2.0]
    finally:
        other.store.close()


def named(name: str) -> Matcher:
    return Matcher("__name__", MatchOp.EQUAL, name)


def test_pages_are_the_servers_answer_with_the_newest_steps_from_here(desk: Desk) -> None:
    for step in range(60):
        desk.send(3.0 * step, 1.0)
    desk.delivered()
    until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
    start, end = to_ms(NOON) + 300_000, to_ms(desk.clock.now())
    expr = "sum by (job) (a_total)"
    pushed = Pushed(desk.store, desk.store, gate=Gate()).range(expr, start, end, 15_000)
    own = Engine(desk.store.head).range(expr, start, end, 15_000)
    assert isinstance(pushed, RangeMatrix)
    assert pushed.series == own.series
    assert pushed.values.tolist() == own.values.tolist()
    desk.send(1000.0, 1.0)
    now = to_ms(desk.clock.now())
    newest = Pushed(desk.store, desk.store).range(expr, now - 150_000, now, 15_000)
    assert newest.values[0, -1] == 1000.0


@pytest.mark.parametrize("kind", SERVERS)
def test_a_page_asks_the_server_and_reads_no_raw_samples_of_the_past(kind: str, tmp_path: Path) -> None:
    with serve(kind, tmp_path) as server, moody(server.url) as front:
        desk = Desk(tmp_path / "desk", server.url)
        reader = RemoteStore(tmp_path / "reader", Server(Address(url=front.url)), clock=desk.clock, pace=QUICK)
        try:
            for step in range(60):
                desk.send(3.0 * step, 1.0)
            desk.delivered()
            until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
            end = to_ms(desk.clock.now())
            found = Pushed(reader, reader).range("sum(a_total)", end - 600_000, end, 15_000)
            assert found.values[0, -1] == 177.0
            assert found.infos == []
            assert Pushed(reader, reader).instant("sum(a_total)", end).infos == []
            paths = [path.split("?")[0] for _, path, _ in front.seen]
            assert paths == ["/api/v1/query_range", "/api/v1/query"]
            assert not any("%5B" in path for _, path, _ in front.seen)
        finally:
            reader.close()
            desk.store.close()


def test_the_servers_words_for_a_wrong_question_are_ours(desk: Desk) -> None:
    engine = Pushed(desk.store, desk.store)
    with pytest.raises(QueryError) as error:
        engine.instant("sum(", to_ms(NOON))
    assert error.value.kind == "bad_data"
    desk.send(1.0, 2.0)
    at = to_ms(desk.clock.now())
    newer = engine.instant("first_over_time(b[1m])", at)
    assert isinstance(newer, Vector)
    assert newer.values.tolist() == [2.0]


def test_headers_go_with_every_request(tmp_path: Path) -> None:
    with moody() as front:
        front.mood = Said(204)
        server = Server(Address(url=front.url, headers={"authorization": "Bearer abc", "x-scope-orgid": "ops"}))
        store = RemoteStore(tmp_path / "store", server, clock=ManualClock(NOON), pace=QUICK)
        try:
            store.append(tick(NOON, TWO, [1.0, 2.0]))
            assert store.deliver(30.0)
            with pytest.raises(QueryError):
                store.series(EVERYTHING, 0, to_ms(NOON))
            assert all(headers["authorization"] == "Bearer abc" for _, _, headers in front.seen)
            assert all(headers["x-scope-orgid"] == "ops" for _, _, headers in front.seen)
            assert {path.split("?")[0] for _, path, _ in front.seen} >= {"/api/v1/write", "/api/v1/series"}
        finally:
            store.close()


def test_what_was_caught_up_with_after_hours_is_confirmed_and_sent_once(tmp_path: Path) -> None:
    pace = Pace(flush=0.02, first_retry=0.02, last_retry=0.1, check=0.1, shown=0.0, margin=5.0, keep=0.2)
    port = free_port()
    desk = Desk(tmp_path / "desk", f"http://127.0.0.1:{port}", pace=pace)
    try:
        for _ in range(4):
            desk.run(1)
            desk.store.sync()
            desk.clock.advance(3600)
        with serve("prometheus", tmp_path, port):
            desk.delivered()
            until(lambda: desk.store.stats()["spool_sent"] == 8, "everything was taken")
            until(lambda: desk.store.stats()["spool_bytes"] == 0, "the marks were read back")
        assert desk.store.stats()["spool_resent"] == 0
        assert desk.store.stats()["spool_unconfirmed"] == 0
    finally:
        desk.store.close()


def test_a_server_whose_answers_show_nothing_of_what_it_takes_is_told_of_and_not_sent_to_for_ever(
    tmp_path: Path,
) -> None:
    pace = Pace(flush=0.02, first_retry=0.02, last_retry=0.1, check=0.05, shown=0.0, margin=5.0, keep=0.0)
    with moody() as front:
        front.mood = Said(200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}')
        desk = Desk(tmp_path / "desk", front.url, pace=pace)
        try:
            desk.run(1)
            until(lambda: desk.store.stats()["spool_unconfirmed"] == 2, "it gave up")
            until(lambda: desk.store.stats()["spool_bytes"] == 0, "nothing is kept for it")
            assert desk.store.stats()["spool_resent"] == 2
            desk.balanced()
        finally:
            desk.store.close()


QUESTIONS = (
    "rate(a_total[1m]) > 0.1",
    "increase(a_total[50s])",
    "sum by (job) (a_total)",
    "deriv(b[3m])",
    "quantile_over_time(0.9, b[2m])",
    "max_over_time(rate(a_total[45s])[3m:15s])",
    "a_total offset 1m",
    "absent(nothing)",
    "changes(b[4m]) + resets(a_total[4m])",
)


@pytest.mark.parametrize("expr", QUESTIONS)
def test_over_the_servers_raw_samples_a_rule_gets_the_embedded_stores_verdict(
    expr: str, told: tuple[Desk, RemoteStore]
) -> None:
    desk, reader = told
    at = to_ms(desk.clock.now()) + 4_000  # no sample on a window's edge, and none on a step
    found, wanted = Engine(reader).instant(expr, at), Engine(desk.store.head).instant(expr, at)
    assert isinstance(found, Vector)
    assert isinstance(wanted, Vector)
    assert dict(zip(found.series, found.values, strict=True)) == pytest.approx(
        dict(zip(wanted.series, wanted.values, strict=True)), rel=1e-9
    )
    assert len(wanted.series) > 0


@pytest.fixture(scope="module", params=SERVERS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, RemoteStore]]:
    """A desk that wrote five minutes, and a store on the same server that has written nothing."""
    folder = tmp_path_factory.mktemp("told")
    with serve(request.param, folder) as server:
        desk = Desk(folder / "desk", server.url)
        for step in range(20):
            desk.send(7.0 * step if step < 12 else 5.0 * (step - 12), float(step % 5), after=15.137)
        desk.delivered()
        until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
        reader = RemoteStore(folder / "reader", Server(Address(url=server.url)), clock=desk.clock, pace=QUICK)
        yield desk, reader
        reader.close()
        desk.store.close()


def test_victoria_metrics_itself_would_judge_otherwise(tmp_path: Path) -> None:
    with serve("victoria_metrics", tmp_path) as server:
        desk = Desk(tmp_path / "desk", server.url)
        try:
            for step in range(20):
                desk.send(7.0 * step, 1.0, after=15.137)
            desk.delivered()
            until(lambda: desk.at_server() == desk.expected(), "the server shows everything")
            at = to_ms(desk.clock.now()) + 4_000
            data = desk.store.query("/api/v1/query", [("query", "increase(a_total[50s])"), ("time", f"{at / 1000}")])
            theirs = float(data["result"][0]["value"][1])
            ours = Engine(desk.store).instant("increase(a_total[50s])", at)
            assert isinstance(ours, Vector)
            assert abs(theirs - float(ours.values[0])) > 1
        finally:
            desk.store.close()
