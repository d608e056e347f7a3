"""Secrets and personal data leave log lines before they are kept; everything else stays, letter by letter."""

from __future__ import annotations

import pytest

from watchkeeper.errors import ConfigError
from watchkeeper.masking import RULES, Masker
from watchkeeper.model import LogBatch


def masked(text: str, masker: Masker | None = None) -> str:
    return (masker or Masker()).mask(LogBatch.of((), [text], 0)).texts()[0]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("login password=hunter2 ok", "login password=[masked:secret] ok"),
        ('{"password":"a\\"b","x":1}', '{"password":"[masked:secret]","x":1}'),
        ('{\\"pwd\\":\\"hunter2\\",\\"x\\":1}', '{\\"pwd\\":\\"[masked:secret]\\",\\"x\\":1}'),
        ("GET /x?token=abc123&y=2", "GET /x?token=[masked:secret]&y=2"),
        ("db_password='x y' client_secret: zz", "db_password='[masked:secret]' client_secret: [masked:secret]"),
        ("密码：abc，完", "密码：[masked:secret]"),
        ("密码是 hush1，密码为hush2 验证码：482913", "密码是 [masked:secret] 验证码：[masked:secret]"),
        ("COMMAND=/bin/psqlx --db-password hunter2 -h db", "COMMAND=/bin/psqlx --db-password [masked:secret] -h db"),
        ("run --token 'a b' --api-key k1", "run --token '[masked:secret]' --api-key [masked:secret]"),
        ("curl -s -u admin:Sup3r http://x", "curl -s -u admin:[masked:secret] http://x"),
        ("mysqldump -uroot -pPl41n -h db shop", "mysqldump -uroot -p[masked:secret] -h db shop"),
        ("sshpass -p pw1 ssh h; redis-cli -a pw2", "sshpass -p [masked:secret] ssh h; redis-cli -a [masked:secret]"),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=[masked:secret];EndpointSuffix=x"),
        ("glpat-abcdefghijklmnopqrst github_pat_abcdefghijklmnopqrstuv", "[masked:cloud_key] [masked:cloud_key]"),
        ("Authorization: Bearer abc.def-ghi next", "Authorization: [masked:authorization] next"),
        ('"authorization": "Basic dXNlcjpwYXNz"', '"authorization": "[masked:authorization]"'),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: [masked:authorization]"),
        ("postgres://bob:s3cret@db/x", "postgres://bob:[masked:url_password]@db/x"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF!", "got [masked:jwt]!"),
        ("key AKIAIOSFODNN7EXAMPLE and LTAI5tABCDEFGHIJ1234", "key [masked:cloud_key] and [masked:cloud_key]"),
        ("mail bob.x+y@example.com.cn!", "mail [masked:email]!"),
        ("13812345678 +8613812345678 138-1234-5678", "[masked:phone] +86[masked:phone] [masked:phone]"),
        ("id 11010519491231002X done", "id [masked:identity_card] done"),
        ("6222021234567890128 4111 1111 1111 1111", "[masked:bank_card] [masked:bank_card]"),
    ],
)
def test_what_must_not_be_kept_is_replaced_by_the_name_of_its_rule(text: str, kept: str) -> None:
    assert masked(text) == kept
    assert masked(kept) == kept, "by an agent, and by its engine once more"


@pytest.mark.parametrize(
    "text",
    [
        "tokens=5 secretary: bob",
        "password=",
        "Bearer of bad news",
        "密码是否正确 密码为空",
        "git commit --token-file x; use --password -stdin; --secret",
        "mysql -u root -p -h db; curl -u http://x; the mysql pool -P3306",
        "order 1795348800123 at 1795348800, trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "card 4111111111111112 has a wrong check digit, and so has 110105194912310021",
        "0.13812345678 x13812345678 138123456789 13812345678x",
        "http://host:8080/path?q=1 user@localhost 10.0.0.7",
        "",
        "中文日志 没有秘密",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_a_private_key_is_masked_in_one_record_and_line_by_line() -> None:
    body = "MIIE" + "a" * 60
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\nshort\n-----END RSA PRIVATE KEY-----"
    assert body not in masked(key)
    assert "short" not in masked(key)
    batch = Masker().mask(LogBatch.of((), [*key.split("\n"), "after"], 0))
    assert len(batch) == 5
    assert batch.texts()[1:3] == ["[masked:private_key]", "[masked:private_key]"]
    later = Masker().mask(LogBatch.of((), ["b" * 64, "-----END RSA PRIVATE KEY-----"], 0))
    assert later.texts()[0] == "[masked:private_key]", "its beginning was read in the collection before"


def test_lines_times_and_severities_stay_together_whatever_is_taken_away() -> None:
    texts = ["a password=x", "", "two\nlines token=y end", "bob@example.com", "plain"]
    batch = Masker().mask(LogBatch.of((("a", "b"),), texts, [1, 2, 3, 4, 5], [5, 4, 3, 2, 1]))
    assert batch.texts() == [
        "a password=[masked:secret]", "", "two\nlines token=[masked:secret] end", "[masked:email]", "plain",
    ]  # fmt: skip
    assert (batch.times.tolist(), batch.severity.tolist()) == ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])


def test_rules_are_switched_and_own_ones_added() -> None:
    masker = Masker({"email": False, "ip": True}, {"order_id": "ORD-[0-9]{4}"})
    assert masked("bob@example.com 10.0.0.7 ORD-1234 ORD-12", masker) == (
        "bob@example.com [masked:ip] [masked:order_id] ORD-12"
    )
    assert masker.masked == {"ip": 1, "order_id": 1}


@pytest.mark.parametrize(
    ("rules", "patterns", "message"),
    [
        ({"emial": False}, {}, "no rule 'emial'; the rules are"),
        ({}, {"x": "("}, "x: no RE2 pattern"),
        ({}, {"x": r"(a)\1"}, "x: no RE2 pattern"),
        ({}, {"x": "a*"}, "matches nothing at all"),
    ],
)
def test_rules_that_cannot_work_are_refused(rules: dict[str, bool], patterns: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Masker(rules, patterns)


@pytest.mark.parametrize("name", sorted(RULES))
def test_no_input_makes_a_rule_slow_or_touch_a_line_end(name: str) -> None:
    """Every rule answers for a lot of its own anchors; one that is not linear would take minutes."""
    hostile = [
        "password=" * 20_000,
        "://" * 60_000,
        "@" * 200_000,
        "eyJ" * 60_000,
        "a@" + "a." * 100_000,
        "1 " * 99_999,
    ]
    hostile += ["-----BEGIN " * 18_000, "4111 " * 40_000, "bearer " * 28_000, "1.1.1." * 30_000, "cookie:" * 28_000]
    for text in hostile:
        data = text.encode() + b"\n"
        spans = list(RULES[name](data, data.lower()))
        assert all(0 <= begin < end < len(data) and b"\n" not in data[begin:end] for begin, end in spans)
