"""The label index against a look at every series, while series are added, forgotten and asked for again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from watchkeeper.model import Labels, Matcher, MatchOp, labels
from watchkeeper.model.series import label
from watchkeeper.store.samples import index as index_module
from watchkeeper.store.samples.index import SeriesIndex

EQUAL, NOT, REGEX, NOT_REGEX = MatchOp.EQUAL, MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX
QUESTIONS = (
    [Matcher("name", EQUAL, "n3")],
    [Matcher("name", EQUAL, "nobody")],
    [Matcher("name", REGEX, "n[12]")],
    [Matcher("name", REGEX, "n.*")],
    [Matcher("pod", REGEX, "p-[0-9]*7")],
    [Matcher("name", EQUAL, "n1"), Matcher("pod", REGEX, "p-[0-9]*[13]")],
    [Matcher("name", EQUAL, "n1"), Matcher("pod", NOT_REGEX, "p-[0-9]*[13]")],
    [Matcher("name", EQUAL, "n1"), Matcher("rare", REGEX, "(r1.?)?")],
    [Matcher("rare", NOT, "r1")],
    [Matcher("rare", REGEX, "r[0-9]+"), Matcher("name", NOT, "n2")],
    [Matcher("zone", REGEX, "z[0-4]")],
    [Matcher("zone", NOT_REGEX, "z[0-4]")],
    [Matcher("rack", REGEX, "k[1-3]")],
    [Matcher("rack", REGEX, "k.*"), Matcher("zone", NOT, "z1")],
    [Matcher("nowhere", EQUAL, "")],
    [Matcher("nowhere", REGEX, ".+")],
)


def series(low: int, high: int) -> list[Labels]:
    """Names in turn, a pod for every second, a rare label now and then; zones of neighbours, racks of every other."""
    return [
        labels(
            None,
            name=f"n{n % 7}",
            pod=f"p-{n // 2}",
            rare=f"r{n // 50}" if n % 10 == 3 else "",
            zone=f"z{n // 30 % 9}",
            rack=f"k{n // 40 % 6}" if n % 2 else "",
            id=str(n),
        )
        for n in range(low, high)
    ]


def fits(one: Labels, matcher: Matcher) -> bool:
    value = label(one, matcher.name)
    if matcher.op in (EQUAL, NOT):
        return (value == matcher.value) is (matcher.op is EQUAL)
    return bool(re.fullmatch(matcher.value, value)) is (matcher.op is REGEX)


def by_looking(known: list[Labels], question: list[Matcher]) -> list[int]:
    return [place for place, one in enumerate(known) if all(fits(one, matcher) for matcher in question)]


@pytest.mark.parametrize("scanned", [0, 100, 1 << 20])
def test_every_answer_is_that_of_a_look_at_every_series(monkeypatch: pytest.MonkeyPatch, scanned: int) -> None:
    monkeypatch.setattr(index_module, "SCANNED", scanned)
    index, known = SeriesIndex(), list[Labels]()
    for low, high in ((0, 400), (400, 410), (410, 900), (900, 901)):
        index.add(series(low, high))
        known += series(low, high)
        for question in QUESTIONS:
            assert index.match(question).tolist() == by_looking(known, question), (high, question)


def test_an_answer_that_did_not_change_is_the_very_same_array_and_labels() -> None:
    index = SeriesIndex()
    index.add(series(0, 100))
    question = [Matcher("name", EQUAL, "n1")]
    before = index.match(question)
    index.add(labels(None, name="other", id=str(n)) for n in range(50))
    again = index.match(question)
    assert again is before
    assert index.series(again) is index.series(before)


def test_an_answer_that_grew_is_a_new_one() -> None:
    index = SeriesIndex()
    index.add(series(0, 100))
    question = [Matcher("name", EQUAL, "n1")]
    before = index.match(question)
    index.add(series(100, 200))
    assert len(index.match(question)) > len(before)
    assert len(index.series(index.match(question))) == len(index.match(question))


def test_kept_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "HELD_SERIES", 300)
    index = SeriesIndex()
    index.add(series(0, 700))
    for turn in range(3):
        for name in range(7):
            found = index.match([Matcher("name", EQUAL, f"n{name}")])
            assert len(found) == len(index.series(found)) == 100, turn
            assert index.held <= 300
    index.forget_answers()
    assert index.held == 0


def test_a_dot_is_one_character_not_one_byte() -> None:
    index = SeriesIndex()
    index.add([labels(None, city="上海"), labels(None, city="é"), labels(None, city="\udc80"), labels(None, city="ab")])
    assert index.match([Matcher("city", REGEX, "..")]).tolist() == [0, 3]
    assert index.match([Matcher("city", REGEX, "[é上].?")]).tolist() == [0, 1]


def test_answers_cannot_be_written_to() -> None:
    index = SeriesIndex()
    index.add(series(0, 20))
    with pytest.raises(ValueError, match="read-only"):
        index.match([Matcher("name", EQUAL, "n1")])[0] = 5
    assert np.all(index.match([]) == np.arange(20))
