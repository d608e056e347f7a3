"""Small charts as SVG text: for tiles, mails and reports, where no script may run. Numbers in, markup out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

#: [ms, value or None]
Points = Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Palette:
    line: str
    band: str
    forecast: str
    limit: str
    text: str
    grid: str
    ground: str  #: of the card that it stands on


LIGHT = Palette("#2563eb", "#2563eb", "#7c3aed", "#dc2626", "#475569", "#e2e8f0", "#ffffff")
DARK = Palette("#60a5fa", "#60a5fa", "#a78bfa", "#f87171", "#94a3b8", "#334155", "#131c2e")


@dataclass(frozen=True, slots=True)
class Frame:
    """Maps times and values to places. Left, top, width and height are pixels of the plotting area."""

    left: float
    top: float
    width: float
    height: float
    first: float
    last: float
    low: float
    high: float

    def x(self, ms: float) -> str:
        return f"{self.left + self.width * (ms - self.first) / max(self.last - self.first, 1.0):.1f}"

    def y(self, value: float) -> str:
        span = self.high - self.low
        clipped = min(max(value, self.low - span), self.high + span)
        return f"{self.top + self.height * (1 - (clipped - self.low) / (span or 1.0)):.1f}"


def extent(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest with a margin; a flat line gets room on both sides."""
    found = list(values)
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        return low - margin, high + margin
    margin = (high - low) * 0.08
    return low - margin, high + margin


def known(points: Points, column: int = 1) -> list[tuple[float, float]]:
    """The rows whose time and value are known."""
    pairs = ((row[0], row[column]) for row in points)
    return [(when, value) for when, value in pairs if when is not None and value is not None]


def polylines(points: Points, frame: Frame, column: int = 1) -> list[str]:
    """One list of places for each unbroken run: a gap stays a gap."""
    runs: list[list[str]] = [[]]
    for row in points:
        value, when = row[column], row[0]
        if value is None or when is None:
            runs.append([])
        else:
            runs[-1].append(f"{frame.x(when)},{frame.y(value)}")
    return [" ".join(run if len(run) > 1 else [run[0], run[0]]) for run in runs if run]


def area(points: Points, frame: Frame, low: int, high: int) -> str:
    """The outline between two columns."""
    rows = [row for row in points if row[low] is not None and row[high] is not None and row[0] is not None]
    there = [f"{frame.x(row[0] or 0)},{frame.y(row[high] or 0)}" for row in rows]
    back = [f"{frame.x(row[0] or 0)},{frame.y(row[low] or 0)}" for row in reversed(rows)]
    return " ".join(there + back)


def sparkline(
    points: Points, band: Points, forecast: Points, palette: Palette, *, width: int = 260, height: int = 56
) -> str:
    """A line with its expected band and its forecast, without axes.

    ``band`` rows are [ms, lower, upper], ``forecast`` rows [ms, low, middle, high]; the forecast takes at most as much
    room as the past.
    """
    past = known(points)
    if not past:
        return svg(width, height, "")
    first, last = past[0][0], past[-1][0]
    ahead = [row for row in forecast if row[0] is not None and row[0] <= last + max(last - first, 1.0)]
    values = [value for _, value in past] + [v for column in (1, 2) for _, v in known(band, column)]
    values += [v for column in (1, 2, 3) for _, v in known(ahead, column)]
    end = max([last, *(float(row[0] or 0) for row in ahead)])
    frame = Frame(1, 3, width - 2, height - 6, first, end, *extent(values))
    parts = [f'<polygon points="{area(band, frame, 1, 2)}" fill="{palette.band}" fill-opacity=".14"/>' if band else ""]
    if ahead:
        parts.append(f'<polygon points="{area(ahead, frame, 1, 3)}" fill="{palette.forecast}" fill-opacity=".16"/>')
        parts += strokes(polylines(ahead, frame, 2), palette.forecast, 1.4, "4 3")
    parts += strokes(polylines(points, frame), palette.line, 1.8)
    parts.append(f'<circle cx="{frame.x(last)}" cy="{frame.y(past[-1][1])}" r="2.4" fill="{palette.line}"/>')
    return svg(width, height, "".join(parts), stretch=True)


@dataclass(frozen=True, slots=True)
class Tick:
    at: float  #: in the unit of the axis
    text: str


def forecast_chart(
    history: Points, forecast: Points, palette: Palette, *, limit: float | None, x_ticks: Sequence[Tick],
    y_text: dict[str, str], width: int = 720, height: int = 220,
) -> str:  # fmt: skip
    """History, forecast with its 80 and 95 % bands, and the limit.

    ``forecast`` rows are [ms, lo95, lo80, mid, hi80, hi95]. ``y_text`` names "low", "high" and, if drawn, "limit".
    """
    rows = [*history, *forecast]
    times = [float(row[0]) for row in rows if row[0] is not None]
    if not times:
        return svg(width, height, "")
    low, high = value_range(history, forecast, limit)
    frame = Frame(64, 12, width - 80, height - 40, min(times), max(times), low, high)
    parts = axes(frame, x_ticks, y_text, palette)
    if forecast:
        parts.append(f'<polygon points="{area(forecast, frame, 1, 5)}" fill="{palette.forecast}" fill-opacity=".10"/>')
        parts.append(f'<polygon points="{area(forecast, frame, 2, 4)}" fill="{palette.forecast}" fill-opacity=".18"/>')
        parts += strokes(polylines(forecast, frame, 3), palette.forecast, 1.8, "6 4")
    parts += strokes(polylines(history, frame), palette.line, 1.8)
    if limit is not None:
        y = frame.y(limit)
        parts.append(_line(frame.left, y, frame.left + frame.width, y, palette.limit, 'stroke-dasharray="2 3"'))
        parts.append(label_at(frame.left + frame.width, float(y) - 4, y_text.get("limit", ""), palette.limit, "end"))
    return svg(width, height, "".join(parts))


def value_range(history: Points, forecast: Points, limit: float | None) -> tuple[float, float]:
    """From the lowest to the highest value drawn, with a margin."""
    values = [v for _, v in known(history)] + [v for column in (1, 5) for _, v in known(forecast, column)]
    return extent([*values, *([limit] if limit is not None else [])])


def axes(frame: Frame, x_ticks: Sequence[Tick], y_text: dict[str, str], palette: Palette) -> list[str]:
    """Two quiet lines, "high" and "low" beside them, and the times below."""
    bottom = frame.top + frame.height
    parts = [_line(frame.left, f"{y}", frame.left + frame.width, f"{y}", palette.grid) for y in (frame.top, bottom)]
    parts.append(label_at(frame.left - 6, frame.top + 4, y_text.get("high", ""), palette.text, "end"))
    parts.append(label_at(frame.left - 6, bottom + 4, y_text.get("low", ""), palette.text, "end"))
    parts += [label_at(float(frame.x(tick.at)), bottom + 18, tick.text, palette.text, "middle") for tick in x_ticks]
    return parts


def strokes(runs: Iterable[str], colour: str, width: float, dash: str = "") -> list[str]:
    """One stroke for each unbroken run of places."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return [
        f'<polyline points="{run}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" '
        f'stroke-linecap="round" vector-effect="non-scaling-stroke"{dashed}/>'
        for run in runs
    ]


def _line(x1: float, y1: str, x2: float, y2: str, colour: str, more: str = "") -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" {more}/>'


def label_at(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    """A text; whatever it holds stays text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="11" text-anchor="{anchor}" '
        f'font-family="sans-serif">{escape(text)}</text>'
    )


def svg(width: int, height: int, inside: str, *, stretch: bool = False) -> str:
    """The whole picture."""
    ratio = ' preserveAspectRatio="none"' if stretch else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f"{ratio}>{inside}</svg>"
    )
