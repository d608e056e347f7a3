"""Pictures of back-tests: from a replay of a detector, and from the episodes of rules, to SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.reports.backtest_svg import Alarm, Panel, picture, thinned
from dashboard.reports.svg import Points, Tick
from watchkeeper.app.replaying import Replay, Told, own_name
from watchkeeper.clock import from_ms, to_ms

#: Series drawn at most, those with most alarms first.
PANELS = 12
#: Distances between marks of time, from which the first is taken that gives few enough.
DISTANCES = [timedelta(minutes=m) for m in (1, 5, 15, 30)] + [timedelta(hours=h) for h in (1, 3, 6, 12, 24, 72, 168)]
MARKS = 10


def of_detector(found: Replay, rows: Sequence[int], zone: tzinfo, heading: str) -> str:
    times = found.seen.times
    span = (float(times[0]), float(max(times[-1], times[0] + 1)))
    panels = [_series(found, row, span[1]) for row in rows[:PANELS]]
    return picture(panels, span, marks(span, zone), heading)


def _series(found: Replay, row: int, end: float) -> Panel:
    times, scores = found.seen.times, found.scores
    band = [
        [when, low, high]
        for when, low, high in zip(times.tolist(), scores.lower[row].tolist(), scores.upper[row].tolist(), strict=True)
        if low == low and high == high
    ]
    every = max(1, len(band) // 1000)
    return Panel(
        title=own_name(found.seen.series[row]),
        values=[thinned(points(times, found.seen.values[row]))],
        alarms=[alarm_of(one, end) for one in found.of(row)],
        band=band[::every],
        score=thinned(points(times, scores.value[row])),
    )


def alarm_of(one: Told, end: float) -> Alarm:
    return Alarm(start=float(one.raised_ms), end=float(one.ended_ms or end), text=one.found.kind)


def points(times: Any, values: Any) -> Points:
    return [
        [when, None if value != value else value] for when, value in zip(times.tolist(), values.tolist(), strict=True)
    ]


def of_rules(
    rows: Sequence[Mapping[str, Any]], drawn: Mapping[str, Any], span: tuple[datetime, datetime], zone: tzinfo
) -> str:
    """``drawn``: rule -> (Matrix of its value or None, its limit or None)."""
    edges = (float(to_ms(span[0])), float(to_ms(span[1])))
    panels = []
    for row in rows:
        matrix, limit = drawn.get(row["rule"], (None, None))
        alarms = [
            Alarm(start=_ms(one["fired_at"]), end=_ms(one["resolved_at"]) if one["resolved_at"] else edges[1], text="")
            for one in row["episodes"]
        ]
        values = [] if matrix is None else [thinned(points(matrix.times, line)) for line in matrix.values[:PANELS]]
        title = f"{row['rule']}: {len(alarms)} times"
        panels.append(Panel(title=title, values=values, alarms=alarms, limit=limit))
    return picture(panels, edges, marks(edges, zone), "What these rules would have done")


def _ms(text: str) -> float:
    return float(to_ms(datetime.fromisoformat(text)))


def marks(span: tuple[float, float], zone: tzinfo) -> list[Tick]:
    """Round times of that zone on the axis."""
    whole = timedelta(milliseconds=span[1] - span[0])
    step = next((one for one in DISTANCES if whole / one <= MARKS), whole / MARKS or timedelta(seconds=1))
    form = "%m-%d" if step >= timedelta(days=1) else "%m-%d %H:%M" if whole > timedelta(days=1) else "%H:%M"
    day = from_ms(span[0]).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = int(np.ceil((span[0] - to_ms(day)) / (step.total_seconds() * 1000)))
    moments = [day + at * step for at in range(first, first + MARKS + 2)]
    return [Tick(float(to_ms(one)), one.strftime(form)) for one in moments if to_ms(one) <= span[1]]


def save(text: str, to: Path) -> None:
    to.write_text(text, encoding="utf-8")
