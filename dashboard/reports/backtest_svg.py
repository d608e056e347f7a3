"""What a detector or rule would have done over history, as one picture: values, band, score, and when it would ring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .panel_svg import value_extent
from .svg import LIGHT, Frame, Palette, Points, Tick, area, axes, known, label_at, polylines, strokes, svg

#: Sizes in pixels: the whole width, the values' height, the score's height, room above and below.
WIDTH, HEIGHT, SCORE, TITLE, FOOT = 960, 150, 36, 22, 30
LEFT, RIGHT = 76, 16
#: Room of a letter of an alarm's name.
NAME = 6.2
#: Points of a line at most: more than pixels show nothing more.
POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    start: float  #: ms
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One series, or one rule.

    Rows of ``values`` are [ms, value], of ``band`` [ms, lower, upper], of ``score`` [ms, 0..1]; None is not known.
    """

    title: str
    values: Sequence[Points]
    alarms: Sequence[Alarm]
    band: Points = ()
    score: Points = ()
    limit: float | None = None


def picture(panels: Sequence[Panel], span: tuple[float, float], x_ticks: Sequence[Tick], heading: str) -> str:
    """Panels one below the other over one time axis of ``span`` milliseconds."""
    parts, top = [label_at(12, 18, heading, LIGHT.text, "start")], float(TITLE + 6)
    for one in panels:
        drawn, height = _panel(one, span, x_ticks, top)
        parts += drawn
        top += height
    paper = f'<rect width="{WIDTH}" height="{top:.0f}" fill="#ffffff"/>'
    return svg(WIDTH, round(top), paper + "".join(parts))


def _panel(one: Panel, span: tuple[float, float], x_ticks: Sequence[Tick], top: float) -> tuple[list[str], float]:
    palette, inner = LIGHT, WIDTH - LEFT - RIGHT
    low, high = _extent(one)
    frame = Frame(LEFT, top + TITLE, inner, HEIGHT, span[0], span[1], low, high)
    parts = [label_at(LEFT, top + 14, one.title, palette.text, "start")]
    parts += [_shade(alarm, frame, palette) for alarm in one.alarms] + _names(one.alarms, frame, palette)
    parts += axes(frame, x_ticks, {"low": f"{low:.4g}", "high": f"{high:.4g}"}, palette)
    if one.band:
        cut = [[row[0], *(min(max(each or 0.0, low), high) for each in row[1:])] for row in one.band]
        parts.append(f'<polygon points="{area(cut, frame, 1, 2)}" fill="{palette.band}" fill-opacity=".14"/>')
    for each in one.values:
        parts += strokes(polylines(each, frame), palette.line, 1.4)
    if one.limit is not None:
        y = frame.y(one.limit)
        parts.append(
            f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + inner}" y2="{y}" stroke="{palette.limit}" stroke-dasharray="2 3"/>'
        )
    below = top + TITLE + HEIGHT + FOOT
    if one.score:
        strip = Frame(LEFT, below, inner, SCORE, span[0], span[1], 0.0, 1.0)
        parts += strokes(polylines(one.score, strip), palette.forecast, 1.2)
        parts.append(label_at(LEFT - 6, below + SCORE / 2 + 4, "score", palette.text, "end"))
        below += SCORE + 6
    return parts, below - top + 8


def _shade(alarm: Alarm, frame: Frame, palette: Palette) -> str:
    x, end = float(frame.x(alarm.start)), float(frame.x(alarm.end))
    return (
        f'<rect x="{x:.1f}" y="{frame.top:.1f}" width="{max(end - x, 1.5):.1f}" height="{frame.height:.1f}" '
        f'fill="{palette.limit}" fill-opacity=".22"/>'
    )


def _names(alarms: Sequence[Alarm], frame: Frame, palette: Palette) -> list[str]:
    """The names that have room; of those close together the first."""
    parts, free = list[str](), 0.0
    for one in sorted(alarms, key=lambda one: one.start):
        x = float(frame.x(one.start)) + 3
        if one.text and x >= free:
            parts.append(label_at(x, frame.top + 11, one.text, palette.limit, "start"))
            free = x + NAME * len(one.text) + 4
    return parts


def _extent(one: Panel) -> tuple[float, float]:
    low, high = value_extent(one.values)
    if one.limit is not None:
        low, high = min(low, one.limit), max(high, one.limit)
    return low, high


def thinned(points: Points, most: int = POINTS) -> Points:
    """So many rows at most: of each stretch the lowest and the highest value stay, so that no spike is lost."""
    if len(points) <= most:
        return points
    every, kept = -(-2 * len(points) // most), []
    for at in range(0, len(points), every):
        part = points[at : at + every]
        there = known(part)
        if len(there) < 2:
            kept += [list(part[0])]
            continue
        low, high = min(there, key=lambda pair: pair[1]), max(there, key=lambda pair: pair[1])
        kept += [list(pair) for pair in sorted((low, high))]
    return kept
