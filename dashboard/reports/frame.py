"""What all reports share: the page around their body, and the days under a chart.

A page needs no script, no style sheet and no network. All values are escaped, but for those that are Markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from dashboard.i18n import Words
from watchkeeper.clock import from_ms

from .svg import Tick

_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;color:#0f172a;
margin:2rem auto;max-width:WIDTHrem;padding:0 1rem}h1{font-size:1.5rem;margin:0}"""
_HEAD = """<!doctype html>
<html lang="{{ language }}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>{{ style }}</style></head><body>
<h1>{{ title }}</h1>"""
_FOOT = "</body></html>"
#: Where the days stand under a chart, as shares of its width.
_PLACES = (0.04, 0.5, 0.96)


def html_page(words: Words, body: str, *, title: str, width: int, style: str, **values: Any) -> bytes:
    """The page in UTF-8: ``body`` is a Jinja template of ``values``; ``style`` adds to the common one; width in rem."""
    whole = _STYLE.replace("WIDTH", str(width)) + style
    return (
        Environment(autoescape=True)
        .from_string(_HEAD + body + _FOOT)
        .render(language=words.language, title=title, style=Markup(whole), **values)  # noqa: S704 - ours
        .encode()
    )


def day_ticks(words: Words, points: Iterable[Sequence[Any]]) -> list[Tick]:
    """Three days of the time from the first to the last of ``points`` (time in ms first)."""
    times = [float(point[0]) for point in points]
    first, last = min(times), max(times)
    places = (first + (last - first) * share for share in _PLACES)
    return [Tick(at, words.day(from_ms(at))) for at in places]
