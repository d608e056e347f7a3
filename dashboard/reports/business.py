"""The business report: figures against their targets, the order funnel, and forecasts with what became of them.

Pure functions over the JSON of GET /api/wk/business and /api/wk/predictions: no clock, disk or network.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from dashboard.i18n import Words, known_language, zone_of

from .business_words import (
    AHEAD,
    ahead_lines,
    amount,
    change,
    funnels,
    period,
    quality,
    reasons,
    shown,
    summary,
    target,
    title,
    unknown_why,
    usual,
)
from .csv_text import csv_bytes
from .frame import day_ticks, html_page
from .svg import LIGHT, forecast_chart, sparkline, value_range

#: Columns of the CSV: the API's own names and raw values.
COLUMNS = (
    "name", "title", "owner", "period", "start", "end", "exact", "unit", "status", "reasons", "low", "high", "expected",
    "lower", "upper", "score", "change_previous", "change_last_week", "change_last_year", "unfinished", "restated",
    "age_seconds", "error",
)  # fmt: skip
#: Columns of the forecast of a figure that has one: for each horizon, then how good such forecasts were.
HORIZONS = (7, 30, 90)
ACCURACY = ("scored", "coverage80", "mape", "mase", "against_naive")

REPORT_STYLE = """h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}.meta{color:#64748b;margin:.25rem 0 1.5rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}th,td{padding:.4rem .5rem;border-bottom:1px solid #e2e8f0;
text-align:left;vertical-align:top}.n{text-align:right}.n,.p{white-space:nowrap}th{color:#475569;font-weight:600}
.good{color:#0f766e;font-weight:600}.warn{color:#b45309;font-weight:600}.bad{color:#b91c1c;font-weight:600}
.unknown,.learning{color:#64748b;font-style:italic}.small{color:#64748b;font-size:.8rem}svg{max-width:100%;height:auto}
figure{margin:.5rem 0}.note{color:#475569;margin:.25rem 0}@media print{body{margin:0}figure{break-inside:avoid}}
"""

_BODY = """<p class="meta">{{ made }}</p>
{% if not rows %}<p>{{ t.empty }}. {{ t.empty_hint }}</p>{% else %}<p>{{ summary }}</p>
<table><thead><tr><th>{{ t.figure }}</th><th>{{ t.period }}</th><th class="n">{{ t.value }}</th>
<th>{{ t.standing }}</th><th class="n">{{ t.target }}</th><th class="n">{{ t.usual }}</th>
<th class="n">{{ t.change_last }}</th><th></th><th class="n">{{ t.data_age }}</th></tr></thead><tbody>
{% for row in rows %}<tr><td>{{ row.title }}<div class="small">{{ row.name }}
{% if row.owner %} · {{ row.owner }}{% endif %}</div></td><td class="p">{{ row.period }}</td>
<td class="n">{{ row.value }}</td>
<td class="{{ row.status }}">{{ row.standing }}{% if row.why %}<div class="small">{{ row.why }}</div>{% endif %}</td>
<td class="n">{{ row.target }}</td><td class="n">{{ row.usual }}</td><td class="n">{{ row.change }}</td>
<td>{{ row.line }}</td><td class="n">{{ row.age }}</td></tr>
{% endfor %}</tbody></table>{% endif %}
{% for shop, steps in funnels %}<h2>{{ t.funnel }} {{ shop }}</h2><table><tbody>{% for step in steps %}<tr>
<td>{{ step.title }}</td><td class="n">{{ step.value }}</td><td class="n">{{ step.share }}</td></tr>
{% endfor %}</tbody></table>{% endfor %}
{% if ahead %}<h2>{{ t.predictions }}</h2>{% for row in ahead %}<h3>{{ row.title }}</h3>
{% if row.unknown %}<p class="unknown">{{ row.unknown }}</p>{% endif %}
{% if row.chart %}<figure>{{ row.chart }}</figure>{% endif %}
{% for line in row.lines %}<p class="note">{{ line }}</p>{% endfor %}{% endfor %}{% endif %}
"""


def business_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network. ``data``: rows and predictions."""
    words = Words(known_language(language), zone_of(zone))
    names = ("empty", "empty_hint", "figure", "period", "value", "standing", "target", "usual",
             "change_last", "data_age", "funnel", "predictions")  # fmt: skip
    rows = data.get("rows", ())
    return html_page(
        words,
        _BODY,
        title=words("business.report_title"),
        width=64,
        style=REPORT_STYLE,
        t={name: words(f"business.{name}") for name in names},
        made=words("business.report_made", at=words.moment(now), zone=words.zone.key),
        summary=summary(words, rows),
        rows=[_row(row, words) for row in shown(rows)],
        funnels=[(shop, [_step(words, *step) for step in steps]) for shop, steps in funnels(rows).items()],
        ahead=[ahead_part(row, words) for row in data.get("predictions", ())],
    )


def business_csv(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """One line a figure: names in the reader's language, values raw, times in the reader's zone."""
    words = Words(known_language(language), zone_of(zone))
    head = [words(f"business.column.{name}") for name in COLUMNS]
    head += [words("business.column.ahead", days=days, edge=words(f"business.edge.{edge}"))
             for days in HORIZONS for edge in AHEAD]  # fmt: skip
    head += [words(f"business.column.{name}") for name in ACCURACY] + [words("business.column.made_at")]
    ahead = {row["name"]: row for row in data.get("predictions", ())}
    made = words.moment(now)
    lines = [
        [*(_cell(row, name, words) for name in COLUMNS), *_forecast_cells(ahead.get(row["name"], {})), made]
        for row in data.get("rows", ())
    ]
    return csv_bytes(head, lines)


def _step(words: Words, row: Mapping[str, Any], share: float | None) -> dict[str, str]:
    value = amount(words, row["exact"], row["unit"])
    return {"title": title(words, row), "value": value, "share": words.ratio(share)}


def _cell(row: Mapping[str, Any], name: str, words: Words) -> object:
    if name.startswith("change_"):
        return row["change"].get(name.removeprefix("change_"))
    if name in ("start", "end"):
        return words.moment(row[name]) if row[name] else None
    if name == "unfinished":
        return row["current"]["exact"] if row["current"] else None
    if name == "title":
        return title(words, row)
    if name == "reasons":
        return " ".join(words.word("business.reason", one) for one in row["reasons"])
    if name == "status":
        return words(f"business.status.{row['status']}")
    return Decimal(row[name]) if name == "exact" and row[name] is not None else row[name]


def _forecast_cells(row: Mapping[str, Any]) -> list[object]:
    by_days = {each["days"]: each for each in row.get("ahead", ())}
    scored = (row.get("accuracy") or [{}])[-1]
    cells: list[object] = [by_days.get(days, {}).get(edge) for days in HORIZONS for edge in AHEAD]
    return cells + [scored.get(name) for name in ACCURACY]


def _row(row: Mapping[str, Any], words: Words) -> dict[str, Any]:
    return {
        "title": title(words, row),
        "name": row["name"],
        "owner": row["owner"],
        "period": period(words, row),
        "value": amount(words, row["exact"], row["unit"]),
        "status": row["status"],
        "standing": words(f"business.status.{row['status']}"),
        "why": reasons(words, row),
        "target": target(words, row),
        "usual": usual(words, row),
        "change": change(words, row, "last_week" if row["change"].get("last_week") is not None else "previous"),
        "line": Markup(sparkline(row["points"], row["band"], [], LIGHT, width=140, height=36)),  # noqa: S704 - numbers
        "age": words.seconds(row["age_seconds"]),
    }


def ahead_part(row: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """One figure's forecast for a report: chart and sentences."""
    return {
        "title": title(words, row),
        "unknown": unknown_why(words, row) if row["unknown"] else "",
        "chart": _chart(row, words),
        "lines": [*ahead_lines(words, row), quality(words, row)],
    }


def _chart(row: Mapping[str, Any], words: Words) -> Markup | str:
    history, forecast = row["history"], row["forecast"]
    if not history or not forecast:
        return ""
    low, high = value_range(history, forecast, None)
    y_text = {"low": amount(words, round(low, 2), row["unit"]), "high": amount(words, round(high, 2), row["unit"])}
    ticks = day_ticks(words, [*history, *forecast])
    return Markup(forecast_chart(history, forecast, LIGHT, limit=None, x_ticks=ticks, y_text=y_text))  # noqa: S704
