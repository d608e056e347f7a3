from __future__ import annotations

import random
import re

import numpy as np
import pytest

from collectors.log_rows import severity_code
from collectors.log_severity import Severities, severities
from collectors.log_text import line_ends
from collectors.log_words import WORDS, Buffer
from watchkeeper.model import SEVERITIES


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("2026-11-22 12:00:00 ERROR db gone", "error"),
        ("[warn] slow", "warning"),
        ('{"msg":"no error here","level":"info"}', "info"),
        ("level=fatal msg=x", "critical"),
        ("INFO retry after error", "info"),
        ("发生致命错误", "critical"),
        ("数据库错误", "error"),
        ("警告:磁盘将满", "warning"),
        ("error_count=0 errors terror", ""),
        ("nothing to see", ""),
        ("", ""),
        ("an INFORMATION of sorts", "info"),
        ("informational err", "error"),
        ("9error _error error9 Error", "error"),
        ("error", "error"),
        ('msg="error" loglevel : "Warning"', "warning"),
        ("lvl=错误 info", "error"),
        ("{'time': 1, 'level': 'WARN'} info", "warning"),
        ("level = info; error", "info"),
        ("server event=every level(error)", "error"),
        ("x" * 43 + " ERROR at the edge", "error"),
        ("x" * 47 + "ERROR is no word", ""),
        ("x" * 470 + " 严重", "critical"),
        ("x\n\nERROR in a later line of the record", "error"),
        ("x" * 600 + " ERROR", ""),
    ],
)
def test_severity_is_what_the_line_states_or_its_first_word(text: str, word: str) -> None:
    data = text.encode() + b"\n"
    assert SEVERITIES[severities(Buffer.of(data), line_ends(data)[-1:])[0]] == word


VALUES = b"|".join(
    re.escape(word) + (b"(?![A-Za-z])" if word.isascii() else b"")
    for word in sorted((word.encode() for pair in WORDS.values() for group in pair for word in group), key=len)[::-1]
)
FIELD = re.compile(
    rb"(?i)(?<![0-9A-Za-z_])(?:level|severity|lvl|loglevel)[\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?(" + VALUES + b")"
)
CHINESE = b"|".join(word.encode() for _, group in WORDS.values() for word in group)
WORD = re.compile(rb"(?i)((?<![0-9A-Za-z_])[a-z]+(?![0-9A-Za-z_])|" + CHINESE + b")")


def plainly(line: bytes) -> str:
    """The severity of one line by patterns: the first field that states one, else the first word."""
    found = FIELD.search(line)
    words = [found] if found and found.start() < 512 else WORD.finditer(line)
    codes = (severity_code(word[1].decode()) for word in words if word.start() < 512)
    return SEVERITIES[next(filter(None, codes), 0)]


@pytest.mark.parametrize("seed", range(8))
def test_severities_of_many_lines_are_what_patterns_find_in_each(seed: int) -> None:
    dice = random.Random(seed)
    plain = [word for pair in WORDS.values() for word in pair[0]]
    parts = [
        *plain,
        *map(str.upper, plain),
        *map(str.title, plain),
        *(word for pair in WORDS.values() for word in pair[1]),
    ]
    parts += [
        "level",
        "severity",
        "LVL",
        "loglevel",
        *"\"':= \t_9x/",
        "中",
        "错",
        "\n",
        "x" * 30,
        "event",
        "【",
        " order ",
    ] * 3
    texts = ["".join(dice.choices(parts, k=dice.choice((0, 2, 9, 60)))).encode() for _ in range(200 * (1 + seed % 2))]
    texts += [b"y" * 40 + b" " + text[: dice.randrange(60)] for text in texts] if seed % 4 < 2 else []
    data, ends = b"".join(text + b"\n" for text in texts), np.cumsum([len(text) + 1 for text in texts]) - 1
    assert [SEVERITIES[code] for code in severities(Buffer.of(data), ends)] == [plainly(text) for text in texts]


#: How lines of one file begin: most of them alike, and some in which something before the column speaks first.
FORMS_OF_A_FILE = (
    "2026-11-22 12:00:0{d} {W} [main-{d}] {x}",
    "2026-11-22 12:00:0{d} 【{W}】 {x}",
    "2026-11-22T12:00:0{d}Z [{C}] {x}",
    '{{"time":"2026-11-22T12:00:0{d}Z","level":"{w}","msg":"{x}"}}',
    '{{"t":"{d}","severity": "{W}","error":"{x}"}}',
    "time={d} lvl={W} msg={x}",
    "{W} {x}",
)
AHEAD = ("", "(err)", "错误", "v", " lvl=warn ", "level=", "_", "_", "9", "[info]", " level: fatal ", "中")


@pytest.mark.parametrize("form", FORMS_OF_A_FILE)
def test_severities_are_the_same_where_lines_before_stood_alike(form: str) -> None:
    dice = random.Random(form)
    plain = [word for pair in WORDS.values() for word in pair[0]]
    chinese = [word for pair in WORDS.values() for word in pair[1]]
    reader = Severities()
    for share in (0.0, 0.1, 0.5, 0.02):  # of lines with something changed or put before
        texts = []
        for _ in range(800):
            word = dice.choice(plain) if dice.random() > share else dice.choice(["information", "errors", "x", ""])
            x = dice.choice(["done", "an error", "level=debug", "慢", ""])
            text = form.format(d=dice.randrange(10), W=word.upper(), w=word, C=dice.choice(chinese), x=x)
            if dice.random() < share:
                at = dice.randrange(min(44, len(text)) + 1)
                text = dice.choice((text, text, text, text[:at], "I " + text[at:]))
                ahead = dice.choice(AHEAD)
                text = text[:at] + ahead + text[at + dice.choice((0, len(ahead.encode()))) :]
            texts.append(text.encode())
        data, ends = b"".join(text + b"\n" for text in texts), np.cumsum([len(text) + 1 for text in texts]) - 1
        assert [SEVERITIES[code] for code in reader.read(Buffer.of(data), ends)] == [plainly(text) for text in texts]
