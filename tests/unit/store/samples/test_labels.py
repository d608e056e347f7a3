"""Matchers mean what they mean in Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.samples import EVER, Bench, layout

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Layout, Matcher, MatchOp, labels
from watchkeeper.store.samples.patterns import compile_matcher

SERIES = Layout(
    (
        labels("http", code="200", path="/a.b"),
        labels("http", code="404", path="/aXb"),
        labels("http", code="500"),
        labels("disk", device="sda"),
        labels("text", line="one\ntwo"),
    )
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.send(SERIES, [1.0, 2.0, 3.0, 4.0, 5.0])
    return bench


@pytest.mark.parametrize(
    ("matchers", "places"),
    [
        ("", {0, 1, 2, 3, 4}),
        ("__name__=http", {0, 1, 2}),
        ("__name__!=http", {3, 4}),
        ("code=", {3, 4}),
        ("code!=", {0, 1, 2}),
        ("code!=200", {1, 2, 3, 4}),
        ("code=~200|500", {0, 2}),
        ("code=~(?:200|500)", {0, 2}),
        ("code=~(200|)", {0, 3, 4}),
        ("code=~2", set()),
        ("code=~2.*", {0}),
        ("code=~.*0", {0, 2}),
        ("code=~.*0.*", {0, 1, 2}),
        ("code=~.*", {0, 1, 2, 3, 4}),
        ("code=~.+", {0, 1, 2}),
        ("code!~.+", {3, 4}),
        ("code=~[24].*", {0, 1}),
        ("code!~[24].*", {2, 3, 4}),
        ("path=~/a\\.b", {0}),
        ("path=~/a.b", {0, 1}),
        ("line=~one.two", {4}),
        ("line=~one.*", {4}),
        ("none=x", set()),
        ("none=", {0, 1, 2, 3, 4}),
        ("none!=x", {0, 1, 2, 3, 4}),
        ("__name__=http code=~4.. path!=", {1}),
        ("code!=200 __name__=http", {1, 2}),
        ("code=404 device=", {1}),
    ],
)
def test_matchers(bench: Bench, matchers: str, places: set[int]) -> None:
    wanted = [parse(matcher) for matcher in matchers.split()]
    expected = sorted(SERIES.series[place] for place in places)
    assert bench.store.series(wanted, *EVER) == expected
    assert sorted(named(bench, wanted)) == expected
    assert sorted(named(bench, wanted)) == expected  # again, from the kept answers


def named(bench: Bench, matchers: list[Matcher]) -> list[Labels]:
    return [series for matrix in bench.store.select(matchers, *EVER) for series in matrix.series]


def parse(text: str) -> Matcher:
    for op in ("!~", "=~", "!=", "="):
        if op in text:
            name, value = text.split(op, 1)
            return Matcher(name, MatchOp(op), value)
    raise AssertionError(text)


@pytest.mark.parametrize("pattern", ["a(", "a)(b", "(?P<", "a)|(?:b", "\\", "(a\\)", "*a"])
def test_a_pattern_that_re2_refuses_is_a_query_error(bench: Bench, pattern: str) -> None:
    with pytest.raises(QueryError, match="not valid RE2"):
        bench.store.select([Matcher("code", MatchOp.REGEX, pattern)], *EVER)


def test_a_nasty_pattern_costs_linear_time() -> None:
    test = compile_matcher(Matcher("a", MatchOp.REGEX, "(a+)+$")).test
    assert not test(["a" * 100_000 + "b"]).any()


def test_answers_of_matchers_grow_with_the_values(bench: Bench) -> None:
    matcher = Matcher("code", MatchOp.REGEX, "[3-5]..")
    assert len(named(bench, [matcher])) == 2
    bench.send(Layout((*SERIES.series, labels("http", code="304"), labels("http", code="204"))), [1.0] * 7)
    assert len(named(bench, [matcher])) == 3


def test_names_and_values_of_labels(bench: Bench) -> None:
    http = [Matcher("__name__", MatchOp.EQUAL, "http")]
    assert bench.store.label_names([], *EVER) == ["__name__", "code", "device", "line", "path"]
    assert bench.store.label_names(http, *EVER) == ["__name__", "code", "path"]
    assert bench.store.label_values("code", [], *EVER) == ["200", "404", "500"]
    assert bench.store.label_values("device", http, *EVER) == []
    assert bench.store.label_values("nothing", [], *EVER) == []


def test_only_series_of_the_range_are_named(bench: Bench) -> None:
    bench.send(layout("later"), [1.0], after=3600, target="other")
    at = bench.sent[1].time_ms
    assert bench.store.series([], at, at) == list(layout("later").series)
    assert bench.store.label_values("__name__", [], at, at) == ["later"]
    assert bench.store.series([], at + 1, at + 2) == []


def test_strange_text_in_labels_survives(tmp_path: Path) -> None:
    strange = Layout((labels("m", a="\ud800"), labels("m", a="中\x00\n\"'")))
    bench = Bench(tmp_path)
    bench.send(strange, [1.0, 2.0])
    bench.reopen()
    bench.check()
    assert bench.store.series([Matcher("a", MatchOp.REGEX, "[中].*")], *EVER) == [strange.series[1]]
