"""The predictions report: each figure's forecast with its intervals, and how good earlier forecasts were.

Pure functions over the JSON of GET /api/wk/predictions: no clock, disk or network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dashboard.i18n import Words, known_language, zone_of
from watchkeeper.clock import from_ms

from .business import REPORT_STYLE, ahead_part
from .business_words import title
from .csv_text import csv_bytes
from .frame import html_page

#: Columns of the accuracy table, by how far ahead the forecasts looked.
ACCURACY = ("scored", "coverage80", "coverage95", "mape", "mase", "against_naive", "bias")
#: Edges of a forecast point, in the order of the API.
EDGES = ("low95", "low80", "expected", "high80", "high95")

_BODY = """<p class="meta">{{ made }}</p>
{% if not figures %}<p>{{ t.empty }}. {{ t.empty_hint }}</p>{% endif %}
{% for row in figures %}<h2>{{ row.title }}</h2>
{% if row.unknown %}<p class="unknown">{{ row.unknown }}</p>{% endif %}
{% if row.chart %}<figure>{{ row.chart }}</figure>{% endif %}
{% for line in row.lines %}<p class="note">{{ line }}</p>{% endfor %}
{% if row.record %}<h3>{{ t.record }}</h3><table><thead><tr>{% for name in head %}
<th{% if not loop.first %} class="n"{% endif %}>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for cells in row.record %}<tr>{% for cell in cells %}
<td{% if not loop.first %} class="n"{% endif %}>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table>{% endif %}{% endfor %}
"""


def record_head(words: Words) -> list[str]:
    names = ("horizon", "scored_count", "coverage", "coverage95", "error", "mase", "naive", "bias")
    return [words(f"predictions.{name}") for name in names]


def record(words: Words, row: Mapping[str, Any]) -> list[list[str]]:
    """Figures over all earlier forecasts that are over, by how far ahead they looked."""
    return [
        [
            words("predictions.up_to", days=each["days"]),
            words.number(each["scored"], 0),
            words.ratio(each["coverage80"], 0),
            words.ratio(each["coverage95"], 0),
            words.ratio(each["mape"]),
            words.number(each["mase"]),
            words.number(each["against_naive"]),
            words.ratio(each["bias"]),
        ]
        for each in row["accuracy"]
    ]


def predictions_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network."""
    words = Words(known_language(language), zone_of(zone))
    return html_page(
        words,
        _BODY,
        title=words("predictions.report_title"),
        width=64,
        style=REPORT_STYLE,
        t={name: words(f"predictions.{name}") for name in ("empty", "empty_hint", "record")},
        made=words("business.report_made", at=words.moment(now), zone=words.zone.key),
        head=record_head(words),
        figures=[{**ahead_part(row, words), "record": record(words, row)} for row in data["rows"]],
    )


def predictions_csv(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A line for each period ahead, raw values; then a line for each horizon of what became of earlier forecasts."""
    words = Words(known_language(language), zone_of(zone))
    names = ("line", "name", "title", "unit", "period", *EDGES, "days", *ACCURACY, "made_at")
    head = [words(f"predictions.column.{name}") for name in names]
    return csv_bytes(head, [line for row in data["rows"] for line in _lines(words, row, words.moment(now))])


def _lines(words: Words, row: Mapping[str, Any], made: str) -> Iterator[list[object]]:
    who = [row["name"], title(words, row), row["unit"]]
    for at, *edges in row["forecast"]:
        yield [words("predictions.line.ahead"), *who, words.moment(from_ms(at)), *edges, None,
               *[None] * len(ACCURACY), made]  # fmt: skip
    for each in row["accuracy"]:
        yield [words("predictions.line.record"), *who, None, *[None] * len(EDGES), each["days"],
               *(each[name] for name in ACCURACY), made]  # fmt: skip
