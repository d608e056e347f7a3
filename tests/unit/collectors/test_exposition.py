from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collectors.exposition import Exposition, Page
from collectors.exposition_line import MAX_NUMBER, BrokenSeriesError, BrokenValueError, LimitError, LineParser, number
from watchkeeper.errors import CollectError
from watchkeeper.model import Labels, is_stale, label, labels

pytestmark = pytest.mark.uncounted

T = TypeVar("T")


def reader(limit: int = 1000) -> Exposition:
    return Exposition({"job": "j", "instance": "i"}, sample_limit=limit)


def samples(page: Page) -> dict[Labels, float]:
    """What is really on the page: series gone are left out."""
    stale = is_stale(page.values)
    rows = zip(page.layout.series, page.values.tolist(), stale, strict=True)
    found = {series: value for series, value, gone in rows if not gone}
    assert page.received == len(found) + sum(page.rejected.values()), "the ledger must balance"
    return found


def short(page: Page) -> dict[str, float]:
    return {label(series, "n"): value for series, value in samples(page).items()}


# --- the fast path says the same as the slow one ------------------------------------------------------------------


def page_text(order: list[str], values: dict[str, str]) -> bytes:
    lines = ["# HELP m about m", "# TYPE m gauge"]
    return "\n".join([*lines, *(f'm{{n="{name}"}} {values[name]}' for name in order), ""]).encode()


NUMBERS = st.sampled_from(["0", "1", "-2.5", "1e3", "NaN", "+Inf", "-Inf", "12 1700000000", "x", "1_0", "", " 7", "7 "])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abcdef"), max_size=7), st.lists(NUMBERS, min_size=6, max_size=6)),
        min_size=1,
        max_size=6,
    )
)
def test_a_reader_with_a_past_says_the_same_as_a_fresh_one(pages: list[tuple[list[str], list[str]]]) -> None:
    old = reader()
    for order, numbers in pages:
        body = page_text(order, dict(zip("abcdef", numbers, strict=True)))
        try:
            fresh = reader().read(body)
        except CollectError:
            with pytest.raises(CollectError):
                old.read(body)
            continue
        mine = old.read(body)
        assert {k: str(v) for k, v in samples(mine).items()} == {k: str(v) for k, v in samples(fresh).items()}
        assert (mine.received, dict(mine.rejected)) == (fresh.received, dict(fresh.rejected))


def test_a_repeated_page_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    part = reader()
    for value in (b"1", b"2"):  # an order that came twice is learnt
        first = part.read(b'm{n="a"} ' + value + b'\nm{n="b"} 2\n')
    monkeypatch.setattr(type(part), "_any_order", None)  # any use of the slow path would now fail
    again = part.read(b'm{n="a"} 3\nm{n="b"} 4\n')
    assert again.layout is first.layout
    assert again.values.tolist() == [3.0, 4.0]
    with pytest.raises(TypeError):
        part.read(b'm{n="b"} 4\nm{n="a"} 3\n')


@pytest.mark.parametrize(
    "line",
    [b"123", b"nan", b" 12 ", b'm{n="b"} 1_000', b'm{n="B"} 5', b"# a comment", b"", b'm{n="b"} 5 6', b"inf_total 4"],
)
def test_a_line_in_the_place_of_another_never_lands_under_its_name(line: bytes) -> None:
    part = reader()
    part.read(b'm{n="a"} 1\nm{n="b"} 2\nm{n="c"} 3\n')
    body = b'm{n="a"} 7\n' + line + b'\nm{n="c"} 9\n'
    try:
        page = part.read(body)
    except CollectError:
        return
    assert short(page) | {"a": 7.0, "c": 9.0} == short(page)
    assert short(page).get("b") in ((None, 5.0) if line == b'm{n="b"} 5 6' else (None,))


def test_a_sample_in_the_place_of_a_comment_is_seen() -> None:
    part = reader()
    part.read(b'# TYPE m gauge\nm{n="a"} 1\n')
    assert short(part.read(b'm{n="b"} 5\nm{n="a"} 1\n')) == {"a": 1.0, "b": 5.0}


# --- series come and go -------------------------------------------------------------------------------------------


def test_a_series_that_went_away_is_stale_once_and_then_dropped() -> None:
    part = reader()
    part.read(b'm{n="a"} 1\nm{n="b"} 2\n')
    gone = part.read(b'm{n="b"} 3\n')
    assert [label(series, "n") for series in gone.layout.series] == ["a", "b"]
    assert is_stale(gone.values).tolist() == [True, False]
    after = part.read(b'm{n="b"} 4\n')
    assert [label(series, "n") for series in after.layout.series] == ["b"]
    assert after.values.tolist() == [4.0]


def test_an_empty_page_makes_all_series_stale() -> None:
    part = reader()
    part.read(b'm{n="a"} 1\n')
    page = part.read(b"")
    assert (page.received, is_stale(page.values).tolist()) == (0, [True])
    assert len(part.read(b"").layout) == 0


def test_random_churn_keeps_every_value_under_its_own_name() -> None:
    chance = random.Random(7)
    part = reader()
    for _ in range(300):
        present = [n for n in range(30) if chance.random() < 0.9]
        if chance.random() < 0.3:
            chance.shuffle(present)
        page = part.read("".join(f'm{{n="{n}"}} {n}.5\n' for n in present).encode())
        assert short(page) == {str(n): n + 0.5 for n in present}


# --- limits, duplicates and broken lines --------------------------------------------------------------------------


def test_at_the_limit_known_series_stay_and_new_ones_are_counted() -> None:
    part = reader(limit=3)
    part.read(b'm{n="a"} 1\nm{n="b"} 2\n')
    flood = "".join(f'm{{n="x{n}"}} {n}\n' for n in range(1000)).encode()
    for _ in range(2):
        page = part.read(flood + b'm{n="a"} 5\nm{n="b"} 6\n')
        assert short(page) == {"a": 5.0, "b": 6.0, "x0": 0.0}
        assert page.rejected == {"sample_limit": 999}


def test_of_duplicates_the_first_is_kept_on_both_paths() -> None:
    part = reader()
    body = b'm{a="1",n="x"} 1\nm{n="x",a="1"} 2\nm{n="y"} 3\n'
    for _ in range(2):
        page = part.read(body)
        assert short(page) == {"x": 1.0, "y": 3.0}
        assert page.rejected == {"duplicate": 1}


def test_a_wrong_value_loses_its_line_alone() -> None:
    page = reader().read(b'm{n="a"} twelve\nm{n="b"} 2\nm{n="c"} 1_000\nm{n="d"} \xd9\xa1\n')
    assert short(page) == {"b": 2.0}
    assert page.rejected == {"parse": 3}


def test_a_native_histogram_in_text_is_refused_by_name_and_loses_its_line_alone() -> None:
    native = b'm{n="h"} {count:17,sum:324789.3,schema:3,zero_threshold:1e-128,positive_spans:[0:2]} 1700000000\n'
    page = reader().read(b'm{n="a"} 1\n' + native + b'm{n="b"} 2\n')
    assert short(page) == {"a": 1.0, "b": 2.0}
    assert page.rejected == {"native_histogram": 1}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'm{n="a} 1', "labels are not closed"),
        (b'm{n="a",n="b"} 1', "duplicate label name"),
        (b'm{n="\xff"} 1', "utf-8"),
        (b"m", "no value"),
        (b"<html>", "no metric name"),
        (b'{n="a"} 1', "no metric name"),
    ],
)
def test_a_line_whose_series_is_unclear_fails_the_page_and_names_the_place(line: bytes, why: str) -> None:
    part = reader()
    part.read(b'm{n="z"} 1\n')
    with pytest.raises(CollectError, match=f"line 2 is no sample.*{why}") as failure:
        part.read(b'm{n="new"} 1\n' + line + b"\n")
    assert failure.value.reason == "parse"
    assert short(part.read(b'm{n="z"} 2\n')) == {"z": 2.0}, "the reader goes on with what it knew"
    assert len(part.layout) == 1


def test_a_page_of_words_is_no_metrics_page() -> None:
    with pytest.raises(CollectError, match="no line of the page is a sample"):
        reader().read(b"Service is up\nAll good\n")


def test_label_limits_refuse_the_series_and_keep_the_rest() -> None:
    many = ",".join(f'l{n}="x"' for n in range(65))
    body = f'm{{{many}}} 1\nm{{n="{"v" * 4097}"}} 2\nm{{n="a"}} 3\n'.encode()
    page = reader().read(body)
    assert short(page) == {"a": 3.0}
    assert page.rejected == {"label_limit": 2}


def test_a_source_that_writes_one_series_in_ever_new_ways_does_not_fill_the_memory() -> None:
    part = reader()
    for spaces in range(1, 60):
        assert short(part.read(b'm{n="a"' + b" " * spaces + b"} 1\n")) == {"a": 1.0}
    assert len(part._columns) <= 5


# --- labels -------------------------------------------------------------------------------------------------------


def test_the_targets_labels_win_and_the_pages_own_are_renamed() -> None:
    page = reader().read(b'm{job="own",exported_job="older",instance=""} 1\n')
    assert list(samples(page)) == [
        labels("m", exported_exported_job="own", exported_job="older", instance="i", job="j")
    ]


def test_with_honor_labels_the_pages_own_labels_win() -> None:
    part = Exposition({"job": "j", "instance": "i"}, sample_limit=9, honor_labels=True)
    assert list(samples(part.read(b'm{job="own"} 1\n'))) == [labels("m", job="own", instance="i")]


def test_metadata_is_read_from_the_comments() -> None:
    part = reader()
    part.read(
        b"# HELP a_seconds line\\none\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# just words\na_seconds 1\n"
    )
    said = part.metadata["a_seconds"]
    assert (said.type, said.help, said.unit) == ("gauge", "line\none", "seconds")
    assert set(part.metadata) == {"a_seconds"}


# --- one line -----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def read_line(text: str) -> tuple[str, dict[str, str], float, bool]:
    line = LineParser().parse(text)
    assert text.startswith(line.key)
    return line.name, dict(line.labels), line.value, bool(line.stamp)


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


WORD = st.text("ab_9", max_size=4)


@settings(max_examples=200, deadline=None)
@given(
    st.builds("{}{}".format, st.sampled_from(["m", ":", "_"]), WORD),
    st.dictionaries(
        st.builds("{}a{}".format, st.sampled_from(["", "__", "wk_reserved_", "wk_reserved___"]), WORD), TEXT, max_size=4
    ),
    st.floats(allow_nan=False),
)
def test_what_is_written_is_read(name: str, own: dict[str, str], value: float) -> None:
    pairs_text = ",".join(f'{key}="{escape(text)}"' for key, text in own.items())
    assert read_line(f"{name}{{{pairs_text}}} {value!r}") == (name, own, value, False)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('m1{}"=,\\ #_x\t'), max_size=14))
def test_any_text_is_a_line_or_a_reason(text: str) -> None:
    try:
        name, _, _, _ = read_line(text)
    except (BrokenSeriesError, BrokenValueError):
        return
    assert name
    assert name in text


def test_one_parser_reads_on_after_a_broken_line() -> None:
    parser = LineParser()
    assert parser.parse('m{a="1"} 1').labels == (("a", "1"),)
    with pytest.raises(BrokenSeriesError, match="duplicate label name"):
        parser.parse('m{a="1",a="2"} 1')
    assert parser.parse('m{a="3"} 1').labels == (("a", "3"),)


@pytest.mark.parametrize(
    ("line", "name", "pairs", "value", "stamped"),
    [
        ("m 1", "m", {}, 1.0, False),
        ('  m  {a = "1" , } 2 ', "m", {"a": "1"}, 2.0, False),
        ("m{} 3", "m", {}, 3.0, False),
        ('m{a="1"}4', "m", {"a": "1"}, 4.0, False),
        ("m\t5\t1700", "m", {}, 5.0, True),
        ("m 5 \t 1700\r", "m", {}, 5.0, True),
        ('{"my.name",a="1"} 6', "my.name", {"a": "1"}, 6.0, False),
        ('{ "my name" } 6', "my name", {}, 6.0, False),
        ('m{"my.label"="x"} 7', "m", {"my.label": "x"}, 7.0, False),
        ('m_bucket{le="1"} 8 # {trace_id="ab"} 0.5 1.7', "m_bucket", {"le": "1"}, 8.0, False),
        ("m_total 8 1.5 # {} 0.5", "m_total", {}, 8.0, True),
        ('m_total 8 # {a="\\"",b="' + "x" * 200 + '"} 0.5', "m_total", {}, 8.0, False),
        ('m{a="} 9 # \\q"} +Inf 12.5', "m", {"a": "} 9 # \\q"}, math.inf, True),
        ('m{__x="1",wk_reserved___x="2",a="__y"} 1', "m", {"__x": "1", "wk_reserved___x": "2", "a": "__y"}, 1.0, False),
        (f"m {'9' * 309}.5", "m", {}, math.inf, False),
    ],
)
def test_odd_but_legal_lines(line: str, name: str, pairs: dict[str, str], value: float, stamped: bool) -> None:
    assert read_line(line) == (name, pairs, value, stamped)


@pytest.mark.parametrize(
    "line",
    [
        *("", "m", "nan", "1m 2", "m-x 1", "{} 1", '{"a"="1"} 1', '{""} 1', '{__name__="x"} 1'),
        *('m{a="1" b="2"} 1', "m{a=1} 1", "m{,} 1", "m{a=} 1", 'm{a="1",,} 1', 'm{a:b="1"} 1', 'm{__name__="x"} 1'),
        *('m{"a" "b"="1"} 1', 'm{"n"} 1', 'm{a="1"} ', 'm{a="1}'),
    ],
)
def test_broken_series_are_refused(line: str) -> None:
    with pytest.raises(BrokenSeriesError):
        read_line(line)


@pytest.mark.parametrize(
    "tail",
    [
        *("1 2 3", "0x10", "1_0", "\u0661", "1 soon", "1 1_0", "9" * (MAX_NUMBER + 1), "1{"),
        *("1 # x", '1 # {a="b"}', '1 # {a="b"} x', '1 # {a="b",a="c"} 1', "1 # {a=} 1", '1 # { ="x"} 1'),
        *('1 # {a="b"} 1 x', "# {} 1"),
    ],
)
def test_a_broken_value_or_exemplar_leaves_the_series_certain(tail: str) -> None:
    with pytest.raises(BrokenValueError):
        read_line(f'm{{a="b"}} {tail}')


def test_a_broken_series_is_worse_than_a_broken_value() -> None:
    with pytest.raises(BrokenSeriesError):
        read_line('m{a="1",a="2"} soon')


def test_what_a_line_repeats_of_others_is_checked_on_this_line_too() -> None:
    parser = LineParser()
    parser.parse('m{a="1",b="2"} 1')
    parser.parse('m{a="3"} 1')
    with pytest.raises(BrokenSeriesError, match="duplicate label name"):
        parser.parse('m{a="1",b="2",a="3"} 1')
    assert parser.parse('m{b="2",a="3"} 1').labels == (("b", "2"), ("a", "3"))


def test_learning_new_series_costs_hardly_more_than_the_client_alone() -> None:
    """Counted in calls: seconds would judge the machine."""
    text = "".join(
        f'http_request_duration_seconds_bucket{{method="GET",path="/item/{n % 100}",status="200",le="{n // 100}"}} 1\n'
        for n in range(10_000)
    )
    page, ours = calls_of(lambda: reader(limit=100_000).read(text.encode()))
    families, alone = calls_of(lambda: list(text_string_to_metric_families(text)))
    assert page.received == len(page.layout) == len(families) == 10_000
    assert ours < 1.5 * alone


def calls_of(work: Callable[[], T]) -> tuple[T, int]:
    """What it gives, and how many functions it calls, in C and in Python."""
    calls = Counter[str]()
    sys.setprofile(lambda _frame, event, _arg: calls.update([event]))
    try:
        return work(), calls["call"] + calls["c_call"]
    finally:
        sys.setprofile(None)


def test_an_exemplar_that_comes_anew_with_every_page_takes_no_new_series() -> None:
    part = reader()
    for trace in range(3):
        body = f'm_total{{n="a"}} {trace} # {{trace_id="{trace}"}} 0.5 17.5\nm{{n="b"}} 1\n'.encode()
        assert short(part.read(body)) == {"a": float(trace), "b": 1.0}
    page = part.read(b'm_total{n="a"} 7 # {trace_id=9} 0.5\nm{n="b"} 1\n')
    assert (short(page), page.rejected) == ({"b": 1.0}, {"parse": 1})


def test_a_label_value_at_the_limit_is_accepted() -> None:
    assert len(read_line(f'm{{n="{"v" * 4096}"}} 1')[1]["n"]) == 4096
    with pytest.raises(LimitError):
        read_line(f'm{{n="{"v" * 4097}"}} 1')


@pytest.mark.parametrize("text", ["1_0", b"1_0", "x", "\u0661", "1" * (MAX_NUMBER + 1)])
def test_what_is_no_number(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        number(text)


def test_nan_on_the_page_is_a_value_and_no_staleness_mark() -> None:
    page = reader().read(b"m NaN\n")
    assert np.isnan(page.values).all()
    assert not is_stale(page.values).any()
