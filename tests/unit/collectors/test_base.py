from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from collectors.base import Sheet, merge_labels, target_labels
from collectors.health import Health
from watchkeeper.model import STALE_NAN, Layout, Tick, is_stale, labels, metric_name
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_job_is_the_name_and_instance_the_default_unless_the_owner_says_otherwise() -> None:
    assert target_labels("shop", {"team": "a"}, default_instance="h:1") == {
        "team": "a",
        "job": "shop",
        "instance": "h:1",
    }
    assert target_labels("shop", {"job": "x", "instance": "y"}, default_instance="h:1") == {"job": "x", "instance": "y"}
    assert target_labels("shop", {"job": "x"}, job="z", instance="w") == {"job": "z", "instance": "w"}


def test_a_clash_with_the_target_is_renamed_without_losing_either() -> None:
    own = [("job", "own"), ("exported_job", "older"), ("empty", "")]
    assert merge_labels("m", own, {"job": "j"}) == labels(
        "m", job="j", exported_job="older", exported_exported_job="own"
    )
    assert merge_labels("m", own, {"job": "j"}, honor=True) == labels("m", job="own", exported_job="older")


def test_a_sheet_keeps_its_layout_and_marks_what_went_away_once() -> None:
    sheet = Sheet("kind/name", {"job": "j"})
    first = sheet.tick(NOON, [("a", (), 1.0), ("b", (), 2.0)])
    assert sheet.tick(NOON, [("a", (), 3.0), ("b", (), 4.0)]).layout is first.layout
    gone = sheet.tick(NOON, [("b", (), 5.0)])
    assert [metric_name(s) for s in gone.layout.series] == ["b", "a"]
    assert is_stale(gone.values).tolist() == [False, True]
    after = sheet.tick(NOON, [("b", (), 6.0)])
    assert (after.values.tolist(), len(after.layout)) == ([6.0], 1)
    stale = sheet.stale_tick(NOON)
    assert stale is not None
    assert stale.layout is after.layout
    assert sheet.stale_tick(NOON) is None
    assert sheet.tick(NOON, [("b", (), 7.0)]).values.tolist() == [7.0]


def test_of_two_readings_of_one_series_the_first_is_kept_and_the_rest_counted() -> None:
    sheet = Sheet("kind/name", {})
    for _ in range(2):
        tick = sheet.tick(NOON, [("a", (("x", "1"),), 1.0), ("a", (("x", "1"),), 2.0)])
        assert (tick.values.tolist(), sheet.rejected) == ([1.0], {"duplicate": 1})
    assert sheet.tick(NOON, [("a", (("x", "1"),), 3.0)]).layout is tick.layout
    assert sheet.rejected == {}


def test_at_the_limit_known_series_stay() -> None:
    sheet = Sheet("kind/name", {}, limit=2)
    sheet.tick(NOON, [("a", (), 1.0), ("b", (), 2.0)])
    tick = sheet.tick(NOON, [("new", (), 0.0), ("b", (), 3.0), ("a", (), 4.0)])
    assert {metric_name(s): v for s, v in zip(tick.layout.series, tick.values.tolist(), strict=True)} == {
        "b": 3.0,
        "a": 4.0,
    }
    assert sheet.rejected == {"sample_limit": 1}


def test_health_says_up_or_down_and_counts_samples_without_stale_marks() -> None:
    health = Health("host", "node", {"job": "node"})
    layout = Layout((labels("a"), labels("b")))
    tick = Tick(target="host/node", time_ms=0, layout=layout, values=np.array([1.0, STALE_NAN]))
    up = health.tick(NOON, Collected(ticks=[tick], rejected={"parse": 2}, body_bytes=9), seconds=0.5)
    names = [metric_name(s) for s in up.layout.series]
    assert up.target == "host/node#health"
    assert dict(zip(names, up.values.tolist(), strict=True)) == {
        "up": 1.0,
        "scrape_duration_seconds": 0.5,
        "scrape_samples_scraped": 3.0,
        "scrape_samples_post_metric_relabeling": 1.0,
        "scrape_body_size_bytes": 9.0,
    }
    down = health.tick(NOON, None, seconds=10.0)
    assert down.layout is up.layout
    assert down.values[0] == 0.0
