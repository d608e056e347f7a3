"""``watchkeeper backtest``: what a detector or rules would have told of history, in lines and as a picture."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.matrices import DAY_MS, MINUTE_MS, MONDAY_MS, matrix
from typer.testing import CliRunner

from dashboard.reports.backtest_svg import thinned
from detectors import BUILTIN, Finding, findings
from watchkeeper.app import asking_series
from watchkeeper.app.asking_series import ask
from watchkeeper.app.backtesting import compared, line_of
from watchkeeper.app.cli import app
from watchkeeper.app.client import Client
from watchkeeper.app.replaying import Told, judged, rates, replay
from watchkeeper.app.series_files import FileError

LENGTH, SHIFT = 1200, 900


def stepped(tmp_path: Path, label: bool = True) -> Path:
    """Twenty hours of minutes, with a level that rises and stays from sample 900 on."""
    noise = np.random.default_rng(2).normal(10.0, 0.2, LENGTH)
    noise[SHIFT:] += 8.0
    rows = [
        f"{MONDAY_MS // 1000 + at * 60},{value:.4f}" + (f",{int(SHIFT <= at < SHIFT + 30)}" if label else "")
        for at, value in enumerate(noise.tolist())
    ]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["time,latency,label" if label else "time,latency", *rows, ""]))
    return path


def run(*words: str) -> str:
    answer = CliRunner().invoke(app, ["backtest", *words])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_what_is_too_far_for_a_figure_is_told_as_more_than_the_most() -> None:
    found = Finding(kind="spike", change=5.0, baseline=0.0, factor=findings.MOST)
    said = line_of(Told(row=0, raised_ms=MONDAY_MS, ended_ms=None, found=found), UTC)
    assert said.endswith(", +5 from 0, over 1000 times too far")


def test_a_detector_over_a_file_says_when_what_kind_how_far_and_what_the_labels_say(tmp_path: Path) -> None:
    said = run(str(stepped(tmp_path)), "--zone", "Asia/Shanghai")
    assert "ensemble: 1 series over 0.8 days, 1 alarms" in said
    (line,) = [one for one in said.splitlines() if "level_shift" in one]
    assert re.match(r"2026-06-01T23:00:00\+08:00 \.\. 2026-06-01T23:[0-5]\d:00\+08:00 ", line.strip())
    assert "times too far" in line
    assert "labels: 1 of 1 events found, 0 false alarms, 0.00 a day" in said


@pytest.mark.parametrize("kind", ["ewma", "robust_zscore", "rate_of_change"])
def test_any_detector_may_be_tried(tmp_path: Path, kind: str) -> None:
    assert f"{kind}: 1 series" in run(str(stepped(tmp_path, label=False)), "--detector", kind)


def test_nothing_is_told_while_a_series_is_learned(tmp_path: Path) -> None:
    assert " 0 alarms" in run(str(stepped(tmp_path)), "--learning", "2d")


def test_the_picture_shows_values_band_score_and_every_alarm(tmp_path: Path) -> None:
    out = tmp_path / "p.svg"
    run(str(stepped(tmp_path)), "--picture", str(out))
    root = ET.fromstring(out.read_text())
    names = [one.tag.rpartition("}")[2] for one in root.iter()]
    texts = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert names.count("polyline") >= 2
    assert names.count("polygon") == 1
    assert "level_shift" in texts
    assert any(one and one.startswith("What ensemble would have told: 1 alarms") for one in texts)


def test_a_line_that_is_thinned_keeps_its_spike_and_its_gap() -> None:
    rows: list[list[float | None]] = [[float(at), float(at % 7)] for at in range(10_000)]
    rows[5000][1] = 900.0
    rows[6000:6400] = [[float(at), None] for at in range(6000, 6400)]
    kept = thinned(rows, 100)
    assert len(kept) <= 110
    assert max(row[1] or 0.0 for row in kept) == 900.0
    assert any(row[1] is None for row in kept)


def test_a_replay_opens_what_the_engine_would_open_and_scores_counters_by_their_rate() -> None:
    values = np.cumsum(np.random.default_rng(1).uniform(9.0, 11.0, (1, 600)), axis=1)
    values[:, 400:] += np.cumsum(np.full(200, 300.0))
    values[:, 500:] -= values[:, 500:501]  # the process began anew
    whole = matrix(values)
    named = type(whole)(
        series=((("__name__", "shop_requests_total"),),), times=whole.times, values=whole.values, present=whole.present
    )
    found = replay(BUILTIN["ensemble"](), named, 3_600_000)
    assert np.nanmax(found.seen.values[0, :400]) < 1.0
    assert np.isnan(found.seen.values[0, 500])
    first = found.alarms[0]
    assert (first.row, first.raised_ms) == (0, MONDAY_MS + 400 * MINUTE_MS)
    assert rates(named, np.array([False])).values[0, 3] == values[0, 3]


def test_labels_count_events_found_and_alarms_that_met_none() -> None:
    times, label = np.arange(100) * 1000, np.zeros(100, np.bool_)
    label[10:20], label[60:65] = True, True
    alarms: Any = [type("T", (), {"raised_ms": at * 1000}) for at in (22, 40, 90)]
    assert judged(alarms, label, times) == (2, 1, 2)
    assert judged([], label, times) == (2, 0, 0)


def test_times_that_count_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("index,value\n0,1\n1,2\n2,3\n")
    answer = CliRunner().invoke(app, ["backtest", str(tmp_path / "in.csv")])
    assert isinstance(answer.exception, FileError)
    assert "its times count rows" in str(answer.exception)


@pytest.mark.parametrize(
    ("expr", "left", "limit"),
    [
        ("latency > 0.4", "latency", 0.4),
        ("sum by (job) (rate(errors_total[5m])) >= 2", "sum by (job) (rate(errors_total[5m]))", 2.0),
        ("a > b", "a > b", None),
        ("absent(up)", "absent(up)", None),
        ("((", "((", None),
    ],
)
def test_the_picture_of_a_rule_draws_what_it_compares(expr: str, left: str, limit: float | None) -> None:
    found, against = compared(expr)
    assert ("".join(found.split()), against) == ("".join(left.split()), limit)


class Stored(Client):
    """An engine that answers one series with a value at every second step, and counts how often it is asked."""

    def __init__(self, series: int = 1) -> None:
        super().__init__("http://127.0.0.1:1", "")
        self.series, self.asked = series, list[tuple[float, float]]()

    def get(self, path: str, **query: Any) -> Any:
        assert path == "/api/v1/query_range"
        self.asked.append((query["start"], query["end"]))
        steps = np.arange(query["start"], query["end"] + 1e-6, 2 * query["step"])
        rows = [[float(when), "1.5"] for when in steps.tolist()]
        result = [{"metric": {"__name__": "m", "n": str(at)}, "values": rows} for at in range(self.series)]
        return {"data": {"resultType": "matrix", "result": result if rows else []}}


def test_a_long_span_is_asked_for_in_parts_that_together_are_one_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_series, "AT_ONCE", 100)
    client = Stored()
    found = ask(client, "m", "1d", "5m")
    assert len(client.asked) == 3
    assert found.times.tolist() == (found.times[0] + np.arange(289) * 300_000).tolist()
    assert int(found.times[-1] - found.times[0]) == DAY_MS
    assert abs(found.times[-1] / 1000 - time.time()) <= 301
    assert found.present[0, 0]
    assert not found.present[0, 1]


def test_a_question_that_answers_too_many_series_is_refused() -> None:
    with pytest.raises(FileError, match="more than 500 series"):
        ask(Stored(501), "m", "1h", "1m")
