"""Relabelling, held against what Prometheus's own tests expect (model/relabel/relabel_test.go)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from watchkeeper.model import labels
from watchkeeper.relabel import Rule, relabel, relabel_map


def rules(*rows: dict[str, Any]) -> list[Rule]:
    return TypeAdapter(list[Rule]).validate_python(list(rows))


ABC = {"a": "foo", "b": "bar", "c": "baz"}
PORTS = {"__tmp_port": "1234", "__port1": "1234", "__port2": "5678"}


@pytest.mark.parametrize(
    ("before", "steps", "after"),
    [
        (ABC, [{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
         {**ABC, "d": "choo-choo"}),
        (ABC, [{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"},
               {"source_labels": ["c", "a"], "regex": "(b).*b(.*)ba(.*)", "target_label": "d",
                "replacement": "$1$2$2$3"}],
         {**ABC, "a": "boobam", "d": "boooom"}),
        ({"a": "foo"}, [{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"},
                        {"source_labels": ["a"], "regex": "f(.*)", "target_label": "d"}], None),
        ({"a": "foo"}, [{"source_labels": ["a"], "regex": "no-match", "action": "drop"}], {"a": "foo"}),
        ({"a": "foo"}, [{"source_labels": ["a"], "regex": "f|o", "action": "drop"}], {"a": "foo"}),
        ({"a": "foo"}, [{"source_labels": ["a"], "regex": "no-match", "action": "keep"}], None),
        ({"a": "foo"}, [{"source_labels": ["a"], "regex": "f.*", "action": "Keep"}], {"a": "foo"}),
        ({"a": "boo"}, [{"source_labels": ["a"], "regex": "f", "target_label": "b", "replacement": "bar"}],
         {"a": "boo"}),
        (ABC, [{"source_labels": ["c"], "target_label": "d", "action": "hashmod", "modulus": 1000}],
         {**ABC, "d": "976"}),
        ({"a": "foo\nbar"}, [{"source_labels": ["a"], "target_label": "b", "action": "hashmod", "modulus": 1000}],
         {"a": "foo\nbar", "b": "734"}),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, [{"regex": "(b.*)", "replacement": "bar_${1}", "action": "labelmap"}],
         {"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"}),
        ({"a": "some-name-value"}, [{"source_labels": ["a"], "regex": "some-([^-]+)-([^,]+)", "replacement": "${2}",
                                     "target_label": "${1}"}], {"a": "some-name-value", "name": "value"}),
        ({"a": "some-name-value"}, [{"source_labels": ["a"], "regex": "some-([^-]+)-([^,]+)", "replacement": "${3}",
                                     "target_label": "${1}"}], {"a": "some-name-value"}),
        ({"a": "some-name-0"}, [{"source_labels": ["a"], "regex": "some-([^-]+)-([^,]+)", "replacement": "${1}",
                                 "target_label": "${3}"}], {"a": "some-name-0"}),
        ({"tags": "path:/secret,job:some-job,label:foo=bar"},
         [{"source_labels": ["tags"], "regex": "(?:.+,|^)path:(/[^,]+).*", "target_label": "__metrics_path__"},
          {"source_labels": ["tags"], "regex": "(?:.+,|^)job:([^,]+).*", "target_label": "job"},
          {"source_labels": ["tags"], "regex": "(?:.+,|^)label:([^=]+)=([^,]+).*", "replacement": "${2}",
           "target_label": "${1}"}],
         {"tags": "path:/secret,job:some-job,label:foo=bar", "__metrics_path__": "/secret", "job": "some-job",
          "foo": "bar"}),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, [{"regex": "(b.*)", "action": "labelkeep"}],
         {"b1": "bar", "b2": "baz"}),
        ({"a": "foo", "b1": "bar", "b2": "baz"}, [{"regex": "(b.*)", "action": "labeldrop"}], {"a": "foo"}),
        ({"foo": "bAr123Foo"}, [{"source_labels": ["foo"], "action": "uppercase", "target_label": "up"},
                                {"source_labels": ["foo"], "action": "lowercase", "target_label": "low"}],
         {"foo": "bAr123Foo", "up": "BAR123FOO", "low": "bar123foo"}),
        (PORTS, [{"source_labels": ["__tmp_port"], "action": "keepequal", "target_label": "__port1"}], PORTS),
        (PORTS, [{"source_labels": ["__tmp_port"], "action": "keepequal", "target_label": "__port2"}], None),
        (PORTS, [{"source_labels": ["__tmp_port"], "action": "dropequal", "target_label": "__port1"}], None),
        (PORTS, [{"source_labels": ["__tmp_port"], "action": "dropequal", "target_label": "__port2"}], PORTS),
        ({"a": "x"}, [{"target_label": "a", "replacement": ""}], {}),
        ({"a": "x"}, [{"target_label": "b", "replacement": 9100}], {"a": "x", "b": "9100"}),
        ({"a": "one\ntwo"}, [{"source_labels": ["a"], "regex": "one.two", "action": "drop"}], None),
        ({"a": "5$"}, [{"source_labels": ["a"], "target_label": "b", "replacement": "$1$$x"}],
         {"a": "5$", "b": "5$$x"}),
    ],
)  # fmt: skip
def test_labels_after_the_rules(
    before: dict[str, str], steps: list[dict[str, Any]], after: dict[str, str] | None
) -> None:
    assert relabel_map(before, rules(*steps)) == after


def test_a_series_comes_back_sorted_and_its_name_is_a_label_like_others() -> None:
    (rule,) = rules({"source_labels": ["__name__"], "regex": "go_(.*)", "target_label": "__name__"})
    assert relabel(labels("go_x", z="1"), [rule]) == labels("x", z="1")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "needs target_label"),
        ({"action": "lowercase"}, "needs target_label"),
        ({"action": "lowercase", "target_label": "${3}"}, "no target_label"),
        ({"target_label": "0${3}"}, "no target_label"),
        ({"target_label": "-${3}"}, "no target_label"),
        ({"action": "hashmod", "target_label": "x"}, "modulus"),
        ({"action": "labelmap", "replacement": "${"}, "no replacement"),
        ({"action": "labeldrop", "source_labels": ["a"]}, "only regex"),
        ({"action": "keepequal", "target_label": "a", "regex": "x"}, "only source_labels and target_label"),
        ({"action": "uppercase", "target_label": "a", "replacement": "x"}, "takes no replacement"),
        ({"target_label": "a", "regex": "(a"}, "regex"),
        ({"target_label": "a", "regex": "(?=a)"}, "regex"),
        ({"action": "explode"}, "Input should be"),
        ({"target_label": "a", "sourcelabels": ["b"]}, "Unexpected keyword"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_read(row: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        rules(row)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        *[(text, True) for text in ("label", "label${1}", "${1}label", "${1}", "$1", "asd$2asd", "_${1}_", "f${b}f")],
        *[(text, False) for text in ("-label", "${", "$", "${}", "foo${", "-foo${1}bar-")],
    ],
)
def test_which_texts_may_be_target_labels(text: str, fits: bool) -> None:
    if fits:
        assert rules({"target_label": text})
    else:
        with pytest.raises(ValidationError):
            rules({"target_label": text})
