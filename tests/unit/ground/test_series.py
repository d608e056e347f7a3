"""Series, labels and the staleness marker."""

from __future__ import annotations

import struct

import numpy as np

from watchkeeper.model import STALE_NAN, fingerprint, format_series, is_stale, label, labels, metric_name


def test_only_prometheus_stale_bits_are_stale() -> None:
    values = np.array([STALE_NAN, np.nan, 1.0, np.inf, -np.nan])
    assert is_stale(values).tolist() == [True, False, False, False, False]
    assert struct.unpack("<Q", struct.pack("<d", STALE_NAN))[0] == 0x7FF0000000000002


def test_labels_are_sorted_and_empty_ones_left_out() -> None:
    series = labels("up", {"job": "a", "empty": ""}, instance="b:1")
    assert series == (("__name__", "up"), ("instance", "b:1"), ("job", "a"))
    assert metric_name(series) == "up"
    assert label(series, "none") == ""


def test_a_series_is_written_as_prometheus_writes_it() -> None:
    assert format_series(labels("up")) == "up"
    assert format_series(labels("m", a='q"\\\n')) == 'm{a="q\\"\\\\\\n"}'
    assert format_series(labels(None, a="b")) == '{a="b"}'


def test_fingerprints_tell_series_apart() -> None:
    assert fingerprint(labels("a", b="c")) != fingerprint(labels("a", b="d"))
    assert fingerprint(labels("a", b="c")) == fingerprint(labels("a", {"b": "c"}))
