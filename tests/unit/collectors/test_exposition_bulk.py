"""Reading in bulk says what reading line by line says."""

from __future__ import annotations

import math
import os
import random
import resource
import struct
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.exposition import Exposition, Page
from collectors.exposition_index import KeyIndex
from collectors.exposition_line import number
from collectors.exposition_lines import RUN, byte_strings, find_lines, floats, line_ends
from watchkeeper.errors import CollectError
from watchkeeper.model import format_series

UNKNOWN = -4
#: Growth of the process over all mutated pages, in KiB.
MOST_GROWTH = 64 << 10
#: Numbers and what only looks like one, to Python or to Arrow.
TEXTS = [
    "0", "-0", "1", "007", "+5", "1.", ".5", "-.5e-3", "1e3", "1E+3", "5e", "1e400", "1e-400", "4.9e-324",
    "2.4703282292062327e-324", "9007199254740993", "179769313486231580793e289", "0.1", "NaN", "nan", "-nan",
    "NAN", "nan()", "nan(1)", "Inf", "+Inf", "-inf", "infinity", "inf()", "0x10", "1_0", "1,5", "-", "+", "e",
    "x",
]  # fmt: skip
ODD = ["", " 1", "1 ", "1\r", "1\x00", "\x001", "\u00a01", "1" * 401, "0." + "3" * 398, "٣"]


def bits(value: float) -> bytes:
    return b"nan" if value != value else struct.pack("<d", value)


def strings(texts: list[bytes]) -> object:
    return byte_strings(b"".join(texts), np.cumsum([0, *map(len, texts)]))


@settings(max_examples=40, deadline=None)
@example([text.encode() for text in (*TEXTS, *ODD)])
@given(
    st.lists(st.sampled_from([text.encode() for text in (*TEXTS, *ODD)]) | st.floats().map(lambda x: repr(x).encode()))
)
def test_many_numbers_at_once_are_the_same_to_the_last_bit(texts: list[bytes]) -> None:
    values, wrong = floats(strings(texts))
    for place, text in enumerate(texts):
        alone, refused = floats(strings([text]))  # an odd text sends its neighbours through Python
        try:
            expected = number(text)
        except ValueError:
            assert place in wrong
            assert refused == [0]
        else:
            assert not refused
            assert place not in wrong
            assert bits(values[place]) == bits(alone[0]) == bits(expected)


def test_random_floats_of_every_size_are_the_same_to_the_last_bit() -> None:
    chance = np.random.default_rng(20261129)
    drawn = chance.integers(0, 1 << 64, RUN + 5, dtype=np.uint64, endpoint=False).view(np.float64)
    texts = [f"{value:.{n % 25}{'efg'[n % 3]}}" if n % 2 else repr(value) for n, value in enumerate(drawn.tolist())]
    texts = [text if len(text) < 300 else "1" for text in texts]
    values, wrong = floats(strings([text.encode() for text in texts]))
    assert not wrong
    assert [bits(value) for value in values.tolist()] == [bits(float(text)) for text in texts]


@given(st.lists(st.sampled_from([b"a", b" ", b"\n", b"\r", b"\t", b"b c", b"\xa0\xff"])).map(b"".join))
def test_lines_end_where_python_says(body: bytes) -> None:
    lines = find_lines(body)
    expected = [line + b"\n" for line in body.split(b"\n")]
    expected = expected[:-1] if body.endswith(b"\n") or not body else [*expected[:-1], expected[-1][:-1]]
    assert [lines.text(line) for line in range(len(lines))] == expected
    assert line_ends(body).tolist() == lines.ends.tolist()
    words = [body[a:b] for a, b in zip(lines.last_word.tolist(), lines.ends.tolist(), strict=True)]
    assert words == [line.removesuffix(b"\n").rpartition(b" ")[2] for line in expected]


def found(index: KeyIndex, keys: list[bytes]) -> list[int]:
    body = b"".join(key + b" 1\n" for key in keys)
    lines = find_lines(body)
    columns: list[int] = index.find(body, lines.starts, lines.last_word).tolist()
    return columns


KEYS = st.lists(st.sampled_from(["a", "bc", "0123456789", 'x{n="1"}', "long_name_total"]), max_size=40).map("".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(KEYS, unique=True), st.lists(KEYS))
def test_a_key_is_found_in_its_column_or_not_at_all(known: list[str], others: list[str]) -> None:
    columns = {key.encode(): place for place, key in enumerate(known)}
    index = KeyIndex(columns, unknown=UNKNOWN)
    asked = [key.encode() for key in (*known, *others)]
    for key, column in zip(asked, found(index, asked), strict=True):
        assert column in (columns.get(key, UNKNOWN), UNKNOWN)


def test_nearly_all_of_many_keys_are_found_wherever_they_differ() -> None:
    middle = {f'requests_total{{path="/{n:06}/{"x" * 40}",zone="{"z" * 40}"}}'.encode(): n for n in range(5_000)}
    start = {f'm{n:06}_total{{path="/{"x" * 60}"}}'.encode(): n + 5_000 for n in range(5_000)}
    columns = middle | start
    index = KeyIndex(columns, unknown=UNKNOWN)
    keys = list(columns)
    random.Random(1).shuffle(keys)
    answers = found(index, keys)
    missed = sum(answer == UNKNOWN for answer in answers)
    assert missed < 100
    assert all(answer in (columns[key], UNKNOWN) for key, answer in zip(keys, answers, strict=True))


def test_keys_whose_difference_is_not_looked_at_are_not_taken_for_each_other() -> None:
    keys = [b'm{a="' + b"x" * 300 + text + b"y" * 300 + b'"}' for text in (b"1", b"2", b"3")]
    columns = {key: place for place, key in enumerate(keys[:2])}
    answers = found(KeyIndex(columns, unknown=UNKNOWN), keys)
    assert answers[2] == UNKNOWN
    assert answers[0] in (0, UNKNOWN)
    assert answers[1] in (1, UNKNOWN)


# --- whole pages, mutated -----------------------------------------------------------------------------------------

PAGE = "".join(
    f'# HELP shop_{n}_total Sales.\n# TYPE shop_{n}_total counter\nshop_{n}_total{{kind="a b",n="{m}"}} {n * m}.25\n'
    f"up{n} {m}\n"
    for n in range(4)
    for m in (1, 2)
).encode()
PIECES = [
    b" ",
    b"\n",
    b"#",
    b"_",
    b"0",
    b"9",
    b"NaN",
    b"+Inf",
    b"{",
    b"}",
    b'"',
    b",",
    b"\r",
    b"e",
    b" 17",
    b"\\",
    b"\xff",
    b"",
]


def mutated(body: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(body) + 1)
        body = body[:at] + chance.choice(PIECES) + body[at + chance.randrange(3) :]
    if chance.random() < 0.3:
        lines = body.splitlines(keepends=True)
        chance.shuffle(lines)
        body = b"".join(lines)
    return body


def answer(reader: Exposition, body: bytes) -> tuple[object, ...]:
    try:
        page = reader.read(body)
    except CollectError as error:
        return (error.reason,)
    found = said(page)
    assert page.received == len(found) + sum(page.rejected.values()), body
    return page.received, dict(page.rejected), found


def said(page: Page) -> dict[str, bytes]:
    """Each series with its value and its own time; those that are gone are left out."""
    stale = page.values.view(np.uint64) == 0x7FF0000000000002
    rows = enumerate(zip(page.layout.series, page.values.tolist(), stale.tolist(), strict=True))
    return {
        format_series(series): bits(value) + str(page.stamps.get(at)).encode()
        for at, (series, value, gone) in rows
        if not gone
    }


def differences(pages: int, seed: int, *, seconds: float = math.inf) -> tuple[int, int]:
    """(pages read, differences): mutated pages for a reader with a past and a fresh one, which looks at each line."""
    chance, old = random.Random(seed), Exposition({"job": "j"}, sample_limit=1000)
    found, turn, deadline = 0, 0, time.monotonic() + seconds
    while turn < pages and time.monotonic() < deadline:
        body = PAGE if turn % 3 == 0 else mutated(PAGE, chance)
        found += answer(old, body) != answer(Exposition({"job": "j"}, sample_limit=1000), body)
        if turn % 3 == 0:
            answer(old, body)  # twice the same: it is the template
        turn += 1
    return turn, found


def test_mutated_pages_say_the_same_to_a_reader_with_a_past() -> None:
    assert differences(150, 20261129) == (150, 0)


@pytest.mark.long
def test_a_hundred_thousand_mutated_pages_say_the_same_to_a_reader_with_a_past() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    differences(500, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read, wrong = differences(100_000, seed, seconds=float(os.environ.get("LONG_SECONDS", "3600")) / 4)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{read} mutated pages, seed {seed}, grown by {grown} KiB")
    assert wrong == 0
    assert grown < MOST_GROWTH
