"""The capacity report: one self-contained HTML page and one CSV, from the JSON of GET /api/wk/capacity.

Pure functions: no clock, disk (but for the texts) or network, so that the engine can send them by mail.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

from dashboard.i18n import Words, known_language, zone_of

from .csv_text import csv_bytes
from .frame import day_ticks, html_page
from .svg import LIGHT, forecast_chart, value_range

#: Share of free room below which a row is marked.
TIGHT, SHORT = 0.2, 0.1
#: Columns of the CSV: the API's own names, raw values, so that a machine can read them too.
COLUMNS = (
    "pool", "resource", "unit", "now", "limit", "headroom_ratio", "in_7d", "in_30d", "in_90d", "earliest", "expected",
    "latest", "backtest_mase", "coverage80", "better_than_last_value", "data_age_seconds", "unknown", "proposal",
)  # fmt: skip

_STYLE = """h2{font-size:1.1rem;margin:2rem 0 .25rem}
.meta{color:#64748b;margin:.25rem 0 1.5rem}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.45rem .6rem;border-bottom:1px solid #e2e8f0;text-align:left;vertical-align:top}
.n{text-align:right;white-space:nowrap}th{color:#475569;font-weight:600}.short{color:#b91c1c;font-weight:600}
.tight{color:#b45309;font-weight:600}.unknown{color:#64748b;font-style:italic}svg{max-width:100%;height:auto}
figure{margin:.5rem 0}.note{color:#475569;margin:.25rem 0}@media print{body{margin:0}figure{break-inside:avoid}}
"""

_BODY = """
<p class="meta">{{ made }}</p>
{% if not rows %}<p>{{ t("capacity.empty") }}. {{ t("capacity.empty_hint") }}</p>{% else %}
<table><thead><tr><th>{{ t("capacity.pool") }}</th><th>{{ t("capacity.resource") }}</th>
<th class="n">{{ t("capacity.now") }}</th><th class="n">{{ t("capacity.limit") }}</th>
<th class="n">{{ t("capacity.headroom") }}</th><th>{{ t("capacity.exhaustion") }}</th>
<th class="n">{{ t("capacity.data_age") }}</th></tr></thead><tbody>
{% for row in rows %}<tr><td>{{ row.pool }}</td><td>{{ row.resource }}</td><td class="n">{{ row.now }}</td>
<td class="n">{{ row.limit }}</td><td class="n {{ row.mark }}">{{ row.headroom }}</td><td>{{ row.exhaustion }}</td>
<td class="n">{{ row.age }}</td></tr>{% endfor %}
</tbody></table>
{% for row in rows %}<h2>{{ row.pool }} · {{ row.resource }}</h2>
{% if row.unknown %}<p class="unknown">{{ t("capacity.no_forecast", reason=row.unknown) }}</p>{% endif %}
{% if row.chart %}<figure>{{ row.chart }}</figure>{% endif %}
<p class="note">{{ row.ahead }}</p><p class="note">{{ row.quality }}</p>
{% if row.proposal %}<p>{{ row.proposal }}</p>{% endif %}{% endfor %}{% endif %}
"""


def capacity_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network."""
    words = Words(known_language(language), zone_of(zone))
    rows = [_row(row, words) for row in data.get("rows", ())]
    made = words("capacity.report_made", at=words.moment(now), zone=words.zone.key)
    title = words("capacity.report_title")
    return html_page(words, _BODY, title=title, width=60, style=_STYLE, made=made, t=words, rows=rows)


def capacity_csv(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """One line a pool: names in the reader's language, values raw, times in the reader's zone."""
    words = Words(known_language(language), zone_of(zone))
    head = [words(f"capacity.column.{name}") for name in COLUMNS] + [words("capacity.column.made_at")]
    made = words.moment(now)
    rows = [[*(_raw(row.get(name), name, words) for name in COLUMNS), made] for row in data.get("rows", ())]
    return csv_bytes(head, rows)


def _raw(value: Any, name: str, words: Words) -> object:
    if name == "proposal":
        return advice(value, words)
    return words.moment(value) if name in ("earliest", "expected", "latest") and value else value


def exhaustion(row: Mapping[str, Any], words: Words) -> str:
    """When the pool runs out, as a range: a single date would promise too much."""
    if row.get("unknown"):
        return words("capacity.unknown")
    days = [words.day(row.get(name)) if row.get(name) else "" for name in ("earliest", "expected", "latest")]
    if not any(days):
        return words("capacity.not_within")
    later = words("capacity.later")
    return words("capacity.range", earliest=days[0] or later, expected=days[1] or later, latest=days[2] or later)


def advice(key: Any, words: Words) -> str:
    """What to do, in the reader's language: the engine answers with a message key."""
    return words.word("capacity.proposal", str(key).removeprefix("capacity.proposal.")) if key else ""


def mark(headroom: float | None) -> str:
    """How tight the room is: "short", "tight" or nothing."""
    if headroom is None:
        return "unknown"
    return "short" if headroom < SHORT else "tight" if headroom < TIGHT else ""


def quality(row: Mapping[str, Any], words: Words) -> str:
    """What the back-test says of this forecast."""
    if row.get("backtest_mase") is None:
        return words("capacity.no_backtest")
    key = "capacity.backtest_better" if row.get("better_than_last_value") else "capacity.backtest_worse"
    return words(key, mase=words.number(row["backtest_mase"]), coverage=words.ratio(row.get("coverage80"), 0))


def _row(row: Mapping[str, Any], words: Words) -> dict[str, Any]:
    unit = str(row.get("unit", ""))
    ahead = {f"in_{days}": words.quantity(row.get(f"in_{days}"), unit) for days in ("7d", "30d", "90d")}
    return {
        "pool": row.get("pool", ""),
        "resource": row.get("resource", ""),
        "now": words.quantity(row.get("now"), unit),
        "limit": words.quantity(row.get("limit"), unit),
        "headroom": words.ratio(row.get("headroom_ratio")),
        "mark": mark(row.get("headroom_ratio")),
        "exhaustion": exhaustion(row, words),
        "age": words.seconds(row.get("data_age_seconds")),
        "unknown": words.why(row.get("unknown") or ""),
        "chart": _chart(row, unit, words),
        "ahead": words("capacity.ahead", **ahead),
        "quality": quality(row, words),
        "proposal": advice(row.get("proposal"), words),
    }


def _chart(row: Mapping[str, Any], unit: str, words: Words) -> Markup | str:
    history, forecast = row.get("history") or [], row.get("forecast") or []
    if not history:
        return ""
    limit = row.get("limit")
    low, high = value_range(history, forecast, limit)
    y_text = {"low": words.quantity(low, unit), "high": words.quantity(high, unit), "limit": words("capacity.limit")}
    ticks = day_ticks(words, [*history, *forecast])
    svg = forecast_chart(history, forecast, LIGHT, limit=limit, x_ticks=ticks, y_text=y_text)
    return Markup(svg)  # noqa: S704 - built from numbers; its texts are escaped by svg.py
