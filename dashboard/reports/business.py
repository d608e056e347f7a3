"""The business report: figures against their targets, the order funnel, and forecasts with what became of them.

Pure functions over the JSON of GET /api/wk/business and /api/wk/predictions: no clock, disk or network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency
from jinja2 import Environment
from markupsafe import Markup

from dashboard.i18n import LANGUAGES, UNKNOWN, Words, known_language, zone_of
from watchkeeper.clock import from_ms

from .csv_text import csv_bytes
from .svg import LIGHT, Tick, forecast_chart, sparkline, value_range

#: A unit of three capitals is a currency.
CURRENCY = re.compile(r"[A-Z]{3}")
#: The engine's words for a history that is too short.
TOO_SHORT = re.compile(r"not enough history: (\d+) of (\d+) points")
#: Columns of the CSV: the API's own names and raw values.
COLUMNS = (
    "name", "title", "owner", "period", "start", "end", "exact", "unit", "status", "reasons", "low", "high", "expected",
    "lower", "upper", "score", "change_previous", "change_last_week", "change_last_year", "unfinished", "restated",
    "age_seconds", "error",
)  # fmt: skip
#: Columns of the forecast of a figure that has one: for each horizon, then how good such forecasts were.
HORIZONS = (7, 30, 90)
AHEAD = ("low80", "expected", "high80")
ACCURACY = ("scored", "coverage80", "mape", "mase", "against_naive")

_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;color:#0f172a;
margin:2rem auto;max-width:64rem;padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}.meta{color:#64748b;margin:.25rem 0 1.5rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}th,td{padding:.4rem .5rem;border-bottom:1px solid #e2e8f0;
text-align:left;vertical-align:top}.n{text-align:right}.n,.p{white-space:nowrap}th{color:#475569;font-weight:600}
.good{color:#0f766e;font-weight:600}.warn{color:#b45309;font-weight:600}.bad{color:#b91c1c;font-weight:600}
.unknown,.learning{color:#64748b;font-style:italic}.small{color:#64748b;font-size:.8rem}svg{max-width:100%;height:auto}
figure{margin:.5rem 0}.note{color:#475569;margin:.25rem 0}@media print{body{margin:0}figure{break-inside:avoid}}
"""

_PAGE = """<!doctype html>
<html lang="{{ language }}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ t.report_title }}</title><style>{{ style }}</style></head><body>
<h1>{{ t.report_title }}</h1><p class="meta">{{ made }}</p>
{% if not rows %}<p>{{ t.empty }}. {{ t.empty_hint }}</p>{% else %}<p>{{ summary }}</p>
<table><thead><tr><th>{{ t.figure }}</th><th>{{ t.period }}</th><th class="n">{{ t.value }}</th>
<th>{{ t.standing }}</th><th class="n">{{ t.target }}</th><th class="n">{{ t.usual }}</th>
<th class="n">{{ t.change_last }}</th><th></th><th class="n">{{ t.data_age }}</th></tr></thead><tbody>
{% for row in rows %}<tr><td>{{ row.title }}<div class="small">{{ row.name }}
{% if row.owner %} · {{ row.owner }}{% endif %}</div></td><td class="p">{{ row.period }}</td><td class="n">{{ row.value }}</td>
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
</body></html>
"""


# --- words and numbers, shared with the pages ------------------------------------------------------------------------


def amount(words: Words, value: float | str | None, unit: str) -> str:
    """A figure in its unit: money to the coin in the reader's way, shares in per cent."""
    if value is None:
        return UNKNOWN
    if CURRENCY.fullmatch(unit):
        return str(format_currency(Decimal(str(value)), unit, locale=LANGUAGES[words.language]))
    number = float(value)
    return words.ratio(number, 2) if unit == "ratio" else words.quantity(number, unit)


def title(words: Words, row: Mapping[str, Any]) -> str:
    """The figures of a shop have names in every language; others are called what their owner calls them."""
    return words.word("business.kpi", row["title"])


def period(words: Words, row: Mapping[str, Any], start: str | None = None) -> str:
    """Which day, hour, week or month this is about, on the reader's clock."""
    local = words.local(start or row["start"])
    if local is None:
        return UNKNOWN
    if row["period"] == "hour":
        return f"{local:%Y-%m-%d %H:%M}"
    if row["period"] == "month":
        return f"{local:%Y-%m}"
    return words("business.week_of", day=f"{local:%Y-%m-%d}") if row["period"] == "week" else f"{local:%Y-%m-%d}"


def target(words: Words, row: Mapping[str, Any]) -> str:
    """What is wanted: at least, at most or between; nothing when there is no target."""
    low, high = (None if row[edge] is None else amount(words, row[edge], row["unit"]) for edge in ("low", "high"))
    if low is not None and high is not None:
        return words("business.between", low=low, high=high)
    if low is not None:
        return words("business.at_least", value=low)
    return UNKNOWN if high is None else words("business.at_most", value=high)


def usual(words: Words, row: Mapping[str, Any]) -> str:
    """The band that the figure's own past leads to expect, or how much past is still missing."""
    if row["lower"] is None or row["upper"] is None:
        return words("business.learning_since", have=row["periods"], need=row["periods_needed"])
    low, high = (amount(words, row[edge], row["unit"]) for edge in ("lower", "upper"))
    return words("business.between", low=low, high=high)


def change(words: Words, row: Mapping[str, Any], against: str) -> str:
    value = row["change"].get(against)
    return UNKNOWN if value is None else f"{'+' if value > 0 else ''}{words.ratio(value)}"


def reasons(words: Words, row: Mapping[str, Any]) -> str:
    """Why it stands as it does, with the source's own words where it fails."""
    told = [words.word("business.reason", reason) for reason in row["reasons"]]
    return " ".join([*told, *([row["error"]] if row["error"] else [])])


def summary(words: Words, rows: Sequence[Mapping[str, Any]]) -> str:
    """How many figures stand how, the worst first."""
    counts = [
        (name, sum(row["status"] == name for row in rows)) for name in ("bad", "warn", "unknown", "learning", "good")
    ]
    return " · ".join(f"{words(f'business.status.{name}')} {count}" for name, count in counts if count)


def funnels(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Mapping[str, Any], float | None]]]:
    """The steps of each shop's funnel with their share of all; a share is not known while any step is not."""
    shops: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["group"] == "funnel":
            shops.setdefault(row["name"].rpartition(".")[0], []).append(row)
    found = {}
    for shop, steps in shops.items():
        values = [row["value"] for row in steps]
        whole = None if None in values else sum(values)
        found[shop] = [(row, row["value"] / whole if whole else None) for row in steps]
    return found


def shown(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Figures that stand for themselves: those that only make up others are left out."""
    return [row for row in rows if row["group"] not in ("funnel", "parts")]


def unknown_why(words: Words, row: Mapping[str, Any]) -> str:
    """Why there is no forecast, in the reader's language."""
    found = TOO_SHORT.fullmatch(row["unknown"])
    if found:
        return words(
            "predictions.too_short", have=found[1], need=found[2], period=words(f"business.period.{row['period']}")
        )
    return words.word("predictions.reason", row["unknown"])


def ahead_lines(words: Words, row: Mapping[str, Any]) -> list[str]:
    """What is expected at each horizon."""
    return [
        words(
            "predictions.ahead",
            days=each["days"],
            period=period(words, row, from_ms(each["at_ms"]).isoformat()),
            **{name: amount(words, _money(each[name], row["unit"]), row["unit"]) for name in AHEAD},
        )
        for each in row["ahead"]
        if each["expected"] is not None
    ]


def _money(value: float, unit: str) -> float:
    return round(value, 2) if CURRENCY.fullmatch(unit) else value


def quality(words: Words, row: Mapping[str, Any]) -> str:
    """What became of earlier forecasts; before any is over, what the back-test says."""
    scored = [each for each in row["accuracy"] if each["scored"]]
    if not scored:
        tested = row.get("backtest") or {}
        if tested.get("mase") is None:
            return words("predictions.not_scored")
        return words("predictions.backtest", mase=words.number(tested["mase"]),
                     coverage=words.ratio(tested["coverage80"], 0))  # fmt: skip
    best = scored[-1]
    better = best["against_naive"] is not None and best["against_naive"] < 1
    key = "better" if better else "unclear" if best["against_naive"] is None else "worse"
    said = words("predictions.scored", scored=best["scored"], days=best["days"], mape=words.ratio(best["mape"]),
                 coverage=words.ratio(best["coverage80"], 0), naive=words.number(best["against_naive"]))  # fmt: skip
    return f"{said} {words(f'predictions.{key}')}"


# --- the report ------------------------------------------------------------------------------------------------------


def business_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network. ``data``: rows and predictions."""
    words = Words(known_language(language), zone_of(zone))
    names = ("report_title", "empty", "empty_hint", "figure", "period", "value", "standing", "target", "usual",
             "change_last", "data_age", "funnel", "predictions")  # fmt: skip
    rows = data.get("rows", ())
    html = (
        Environment(autoescape=True)
        .from_string(_PAGE)
        .render(
            t={name: words(f"business.{name}") for name in names},
            language=words.language,
            made=words("business.report_made", at=words.moment(now), zone=words.zone.key),
            style=Markup(_STYLE),  # noqa: S704 - ours
            summary=summary(words, rows),
            rows=[_row(row, words) for row in shown(rows)],
            funnels=[(shop, [_step(words, *step) for step in steps]) for shop, steps in funnels(rows).items()],
            ahead=[_ahead(row, words) for row in data.get("predictions", ())],
        )
    )
    return html.encode()


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


def _ahead(row: Mapping[str, Any], words: Words) -> dict[str, Any]:
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
    times = [float(point[0]) for point in [*history, *forecast]]
    first, last = min(times), max(times)
    places = [first + (last - first) * share for share in (0.04, 0.5, 0.96)]
    ticks = [Tick(at, words.day(from_ms(at))) for at in places]
    return Markup(forecast_chart(history, forecast, LIGHT, limit=None, x_ticks=ticks, y_text=y_text))  # noqa: S704
