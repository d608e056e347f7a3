"""Kinds of log lines, learned from the lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.templates import OTHER, TemplateMiner, parse


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("Found child 6725 in scoreboard slot 10", "Found child <*> in scoreboard slot <*>"),
        ("jk2_init() Can't find child 4", "jk2_init() Can't find child <*>"),
        ("workerEnv.init() ok /etc/httpd/conf/workers2.properties", "workerEnv.init() ok <*>"),
        ('10.11.10.1 "GET /v2/54fa?x=1 HTTP/1.1" status: 200', '<*> "GET <*>" status: <*>'),
        ("moved hdfs://10.1.1.4:9000/user/x", "moved hdfs://<*>"),
        ("Renewing lease of shop-db.example.com:5432 now", "Renewing lease of <*>:<*> now"),
        ("Old: msra-sa-41/10.190.173.170:9000 New: msra-sa-41:9000", "Old: <*>/<*>:<*> New: <*>:<*>"),
        ("Got assigned task 0x1f of 3fa85f64-5717-4562-b3fc-2c963f66afa6", "Got assigned task <*> of <*>"),
        (
            "authentication failure; logname= uid=0 tty=ssh user=root",
            "authentication failure; logname= uid=<*> tty=<*> user=<*>",
        ),
        ("moving blk_-8213344 to /data/1", "moving <*> to <*>"),
        ("took 35 ms, limit 40ms", "took <*> ms, limit <*>"),
        ('lock=7, tag="View Lock", held', 'lock=<*>, tag="<*>", held'),
        ('level=info msg="user logged in" ip=10.1.1.1', 'level=info msg="user logged in" ip=<*>'),
        ("from 00:11:43:e3:ba:c3 at Tue Jul  5 13:35:00 2005 end", "from <*> at <*> end"),
        ("setLightsOn(true)", "setLightsOn(true)"),
        ("loaded C:\\Windows\\winsxs\\cbscore.dll twice", "loaded <*> twice"),
        ("", ""),
    ],
)
def test_what_looks_like_a_value_is_a_blank(line: str, template: str) -> None:
    assert parse([line])[0][1] == template


def test_a_word_where_others_have_a_number_is_a_value_too() -> None:
    found = parse(["invalid password for 4711 from console"] * 3 + ["invalid password for guest from console"])
    assert set(found) == {found[0]}
    assert found[0][1] == "invalid password for <*> from console"


def test_many_words_at_one_place_are_values_and_few_are_kinds() -> None:
    many = parse([f"mounted volume {name} for reading" for name in ("alpha", "beta", "gamma", "delta", "omega")])
    few = parse([f"node is {state} after the check" for state in ("up", "down")] * 50)
    assert {template for _, template in many} == {"mounted volume <*> for reading"}
    assert {template for _, template in few} == {"node is up after the check", "node is down after the check"}


def test_a_word_that_stands_there_more_often_than_values_stays_a_word() -> None:
    found = parse(["open through proxy using HTTPS"] * 90 + ["open through proxy using 12"])
    assert [found[0][1], found[-1][1]] == ["open through proxy using HTTPS", "open through proxy using <*>"]


def test_true_and_false_tell_events_apart() -> None:
    assert len(set(parse(["refresh overlap:true done", "refresh overlap:false done", "refresh overlap:7 done"]))) == 3


def test_lists_of_any_length_are_one_event() -> None:
    found = parse(["deleting blocks 1, 2, 3 at once", "deleting blocks 9 at once", "deleting blocks 4, 5 at once"])
    assert {template for _, template in found} == {"deleting blocks <*> at once"}


def test_units_that_vary_are_values_and_units_that_never_do_are_text() -> None:
    vary = parse(["stored in memory 16.0 B", "stored in memory 2.2 KB"])
    stay = parse(["memory limit 512 MB", "memory limit 2048 MB"])
    assert {template for _, template in vary + stay} == {"stored in memory <*>", "memory limit <*> MB"}


def test_few_dotted_names_of_many_lines_each_are_kinds() -> None:
    lines = [f"onReceive action: android.intent.action.{name}" for name in ("SCREEN_ON", "SCREEN_OFF")] * 20
    miner = TemplateMiner()
    miner.learn(lines)
    assert {one.text for one in miner.templates()} == set(lines)
    assert {one.count for one in miner.templates()} == {20}
    assert {one.id for one in miner.templates()} == {name for name, _ in miner.label(lines)}


def test_a_record_of_several_lines_is_told_by_the_line_that_says_what_it_is() -> None:
    java = "Request 7 failed\njava.lang.IllegalStateException: closed\n\tat a.B.c(B.java:41)"
    python = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: bad port 70000'
    assert [template for _, template in parse([java, python])] == ["Request <*> failed", "ValueError: bad port <*>"]


def test_names_stay_over_a_restart_and_while_templates_are_learned() -> None:
    miner = TemplateMiner()
    miner.learn(["session opened for user cyrus by root", "closing 4"])
    before = miner.label(["session opened for user cyrus by root"])[0]
    again = TemplateMiner.restored(json.loads(json.dumps(miner.state())))
    again.learn(["session opened for user news by root"])
    again.settle()
    after = again.label(["session opened for user cyrus by root"])[0]
    assert after == (before[0], "session opened for user <*> by <*>")
    assert [one.count for one in again.templates()] == [2, 1]
    with pytest.raises(ValueError, match="version"):
        TemplateMiner.restored({"version": 9})


def test_what_stands_in_the_blanks_is_told() -> None:
    assert TemplateMiner().parameters("took 35 ms for 10.1.1.1:80") == ["35 ms", "10.1.1.1", "80"]


def test_forms_beyond_the_limit_are_told_as_other() -> None:
    miner = TemplateMiner(most_forms=1)
    miner.learn(["one form"])
    miner.learn(["quite another form"])
    assert miner.label(["one form", "quite another form"])[1] == OTHER
    assert [one.text for one in miner.templates()] == ["one form"]


@given(st.lists(st.text(max_size=80), max_size=12))
def test_any_text_has_a_template_and_the_same_one_each_time(lines: list[str]) -> None:
    found = parse(lines)
    assert found == parse(lines)
    assert all(name and len(name) == 12 for name, _ in found)


@given(
    st.text("abc _-.:/=,()\"'", max_size=40),
    st.text("0123456789", min_size=3, max_size=3),
    st.text("123", min_size=3, max_size=3),
)
def test_lines_that_differ_in_digits_alone_are_one_event(text: str, first: str, second: str) -> None:
    found = parse([f"{text} at {first} end", f"{text} at {second} end"])
    assert found[0] == found[1]


def test_lines_of_a_thousand_words_are_learned_as_any_other() -> None:
    words = " ".join(f"word{'abcdefghij'[place % 10]}" for place in range(1000))
    found = parse([f"{number} {words}" for number in range(100, 130)])
    assert {template.split()[0] for _, template in found} == {"<*>"}
    assert len(set(found)) == 1
