"""The SLA report: every promise in every window, with what is allowed, used, left and unknown.

Pure functions over the JSON of GET /api/wk/slo: no clock, disk or network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from markupsafe import Markup

from dashboard.i18n import UNKNOWN, Words, known_language, zone_of
from watchkeeper.clock import from_ms

from .csv_text import csv_bytes
from .frame import day_ticks, html_page
from .svg import LIGHT, forecast_chart, value_range

#: The worst first.
STATUSES = ("broken", "at_risk", "unknown", "so_far", "met")
#: A share is never rounded up to what was not reached.
FINEST = Decimal("0.0001")
#: Columns of the CSV: the API's own names and raw values, minutes and shares.
ABOUT = ("name", "title", "service", "tier", "owner", "kind", "target")
OF_WINDOW = (
    "window", "start", "end", "status", "attained", "attained_at_worst", "computed", "contract", "allowed", "used",
    "left", "left_ratio", "unknown_minutes", "unknown_ratio", "unwatched_minutes", "excluded_minutes", "events",
    "bad_events",
)  # fmt: skip
BURNS = ("5m", "30m", "1h", "6h", "3d")

_STYLE = """h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}.meta{color:#64748b;margin:.25rem 0 1.5rem}
table{border-collapse:collapse;width:100%;font-size:.85rem}th,td{padding:.4rem .5rem;border-bottom:1px solid #e2e8f0;
text-align:left;vertical-align:top}.n{text-align:right;white-space:nowrap}th{color:#475569;font-weight:600}
.met,.so_far{color:#0f766e;font-weight:600}.at_risk{color:#b45309;font-weight:600}.broken{color:#b91c1c;font-weight:600}
.unknown{color:#64748b;font-style:italic}.small{color:#64748b;font-size:.8rem}svg{max-width:100%;height:auto}
figure{margin:.5rem 0}.note{color:#475569;margin:.25rem 0}.warn{color:#b45309}
@media print{body{margin:0}figure{break-inside:avoid}}
"""

_BODY = """<p class="meta">{{ made }}</p>
{% if not rows %}<p>{{ t.empty }}. {{ t.empty_hint }}</p>{% else %}<p>{{ summary }}</p>
<table><thead><tr><th>{{ t.objective }}</th><th>{{ t.window }}</th><th class="n">{{ t.target }}</th>
<th class="n">{{ t.attained }}</th><th>{{ t.standing }}</th><th class="n">{{ t.computed }}</th>
<th class="n">{{ t.contract }}</th><th class="n">{{ t.used }}</th><th class="n">{{ t.left }}</th>
<th class="n">{{ t.unknown }}</th><th class="n">{{ t.data_age }}</th></tr></thead><tbody>
{% for row in rows %}<tr><td>{{ row.title }}<div class="small">{{ row.about }}</div></td><td>{{ row.window }}
<div class="small">{{ row.days }}</div></td><td class="n">{{ row.target }}</td><td class="n">{{ row.attained }}</td>
<td class="{{ row.status }}">{{ row.standing }}<div class="small">{{ row.began }}</div></td>
<td class="n">{{ row.computed }}</td>
<td class="n">{{ row.contract }}</td><td class="n">{{ row.used }}</td><td class="n">{{ row.left }}</td>
<td class="n">{{ row.unknown }}</td><td class="n">{{ row.age }}</td></tr>
{% endfor %}</tbody></table><p class="note">{{ t.how }}</p>
{% for one in details %}<h3>{{ one.title }}</h3>{% for line in one.lines %}<p class="note">{{ line }}</p>{% endfor %}
{% if one.chart %}<figure>{{ one.chart }}</figure>{% endif %}{% endfor %}{% endif %}
{% if chains %}<h2>{{ t.composites }}</h2>{% for chain in chains %}<p class="{{ chain.kind }}">{{ chain.text }}</p>
{% endfor %}{% endif %}
<h2>{{ t.response }}</h2>{% if response %}<table><thead><tr><th>{{ t.severity }}</th><th class="n">{{ t.in_time }}</th>
<th class="n">{{ t.late }}</th><th class="n">{{ t.running }}</th><th class="n">{{ t.share }}</th></tr></thead><tbody>
{% for cells in response %}<tr><td>{{ cells[0] }}</td>{% for cell in cells[1:] %}<td class="n">{{ cell }}</td>
{% endfor %}</tr>{% endfor %}</tbody></table>{% else %}<p class="unknown">{{ t.no_incidents }}</p>{% endif %}
"""


# --- words and numbers, shared with the page -------------------------------------------------------------------------


def percent(value: float | None) -> str:
    """A share as per cent, rounded down: 99.99996 % is not 100 %."""
    if value is None:
        return UNKNOWN
    exact = (Decimal(repr(value)) * 100 + Decimal("1e-9")).quantize(FINEST, rounding=ROUND_FLOOR)
    text = f"{exact:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def minutes(words: Words, value: float | str | None) -> str:
    """Minutes as a person says them: seconds when few, hours when many."""
    if value is None:
        return UNKNOWN
    found = float(value)
    for limit, divisor, unit in ((1.0, 1 / 60, "s"), (120.0, 1.0, "min")):
        if abs(found) < limit:
            return words(f"unit.{unit}", value=words.number(found / divisor, 2))
    return words("unit.h", value=words.number(found / 60, 2))


def tier(words: Words, row: Mapping[str, Any]) -> str:
    return words.word("sla.tier_name", row["tier"])


def title(words: Words, row: Mapping[str, Any]) -> str:
    """Our own objective has a name in every language; others are called what their owner calls them."""
    return words.word("sla.own", row["title"])


def left(words: Words, found: Mapping[str, Any]) -> str:
    if found["left"] is None:
        return UNKNOWN
    return words("sla.left_of", time=minutes(words, found["left"]), share=words.ratio(found["left_ratio"]))


def unknown(words: Words, found: Mapping[str, Any]) -> str:
    if found["unknown_ratio"] is None:
        return UNKNOWN
    share = words.ratio(found["unknown_ratio"])
    return words("sla.unknown_of", time=minutes(words, found["unknown_minutes"]), share=share)


def attained(words: Words, found: Mapping[str, Any]) -> str:
    """The share of the known time, and what it were if the unknown had been bad."""
    if found["attained"] is None:
        return UNKNOWN
    if percent(found["attained"]) == percent(found["attained_at_worst"]):
        return percent(found["attained"])
    return words("sla.at_worst", share=percent(found["attained"]), worst=percent(found["attained_at_worst"]))


def began(words: Words, found: Mapping[str, Any]) -> str:
    """When measuring began, where that was in the window."""
    if not found["unwatched_minutes"] or found["status"] == "unknown":
        return ""
    start = datetime.fromisoformat(found["start"]) + timedelta(minutes=found["unwatched_minutes"])
    return words("sla.since", at=words.moment(start))


def days(words: Words, found: Mapping[str, Any]) -> str:
    """First and last day of the window."""
    last = datetime.fromisoformat(found["end"]).timestamp() - 1
    return words("sla.days", first=words.day(found["start"]), last=words.day(from_ms(last * 1000)))


def burns(words: Words, row: Mapping[str, Any]) -> str:
    """How fast the budget goes in each window; a dash where less than half of it is known."""
    told = [f"{name} {words.number(row['burns'].get(name), 1)}" for name in BURNS]
    return words("sla.burns", rates=" · ".join(told))


def notes(words: Words, row: Mapping[str, Any]) -> list[str]:
    """What else is to say about an objective."""
    told = [row["description"], burns(words, row)]
    if row["baseline"] is not None:
        told.append(
            words(
                "sla.progress", baseline=f"{row['baseline']}%", target=f"{row['target']}%",
                share=words.ratio(row["progress"]), due=row["due"] or UNKNOWN,
            )
        )  # fmt: skip
    if row["since"] is not None:
        told.append(words("sla.counted", since=words.moment(row["since"]), until=words.moment(row["until"])))
    if row["kind"] == "ratio":
        told.append(words("sla.events_note"))
    if row["error"]:
        told.append(words("sla.error", error=row["error"]))
    return [line for line in told if line]


def chain(words: Words, found: Mapping[str, Any]) -> str:
    """What services in a row can give against what the whole promises."""
    key = "sla.contradicts" if found["contradicts"] else "sla.fits"
    numbers = {name: percent(float(found[name]) / 100) for name in ("attainable", "target")}
    return words(key, needed=f"{found['needed']}%", **numbers)


def summary(words: Words, rows: Sequence[Mapping[str, Any]]) -> str:
    """How many promises stand how, over all windows, the worst first."""
    found = [one["status"] for row in rows for one in row["windows"]]
    told = [f"{words(f'sla.status.{name}')} {found.count(name)}" for name in STATUSES if name in found]
    return " · ".join(told)


def answered(words: Words, data: Mapping[str, Any]) -> list[list[str]]:
    """Response clocks by severity."""
    return [
        [
            words.word("severity", one["severity"]),
            *(words.number(one[name], 0) for name in ("in_time", "late", "running")),
            words.ratio(one["ratio"]),
        ]
        for one in data["response"]["rows"]
    ]


# --- the report ------------------------------------------------------------------------------------------------------


def sla_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network. ``data``: the JSON of GET /api/wk/slo."""
    words = Words(known_language(language), zone_of(zone))
    names = ("empty", "empty_hint", "objective", "window", "target", "attained", "standing", "computed",
             "contract", "used", "left", "unknown", "data_age", "how", "composites", "response", "severity", "in_time",
             "late", "running", "share", "no_incidents")  # fmt: skip
    rows = data["rows"]
    return html_page(
        words,
        _BODY,
        title=words("sla.report_title"),
        width=70,
        style=_STYLE,
        t={name: words(f"sla.{name}") for name in names},
        made=words("sla.report_made", at=words.moment(now), zone=words.zone.key),
        summary=summary(words, rows),
        rows=[_row(words, row, found) for row in rows for found in row["windows"]],
        details=[{"title": title(words, row), "lines": notes(words, row), "chart": _chart(words, row)} for row in rows],
        chains=[
            {"text": f"{one['name']}: {chain(words, one)}", "kind": "warn" if one["contradicts"] else "note"}
            for one in data["composites"]
        ],
        response=answered(words, data),
    )


def sla_csv(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A line for each objective and window; shares 0 to 1, times in minutes, unknown empty."""
    words = Words(known_language(language), zone_of(zone))
    head = [words(f"sla.column.{name}") for name in (*ABOUT, *OF_WINDOW)]
    head += [words("sla.column.burn", window=name) for name in BURNS]
    head += [words(f"sla.column.{name}") for name in ("age_seconds", "error", "made_at")]
    lines = [
        [
            *(title(words, row) if name == "title" else row[name] for name in ABOUT),
            *(_value(words, name, found[name]) for name in OF_WINDOW),
            *(row["burns"].get(name) for name in BURNS),
            row["age_seconds"],
            row["error"],
            words.moment(now),
        ]
        for row in data["rows"]
        for found in row["windows"]
    ]
    return csv_bytes(head, lines)


def _value(words: Words, name: str, value: Any) -> Any:
    if name == "window":
        return words(f"sla.window.{value}")
    if name == "status":
        return words(f"sla.status.{value}")
    return words.moment(value) if name in ("start", "end") else value


def _row(words: Words, row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    about = [row["name"], tier(words, row), row["owner"]]
    return {
        "title": title(words, row),
        "about": " · ".join(part for part in about if part),
        "window": words(f"sla.window.{found['window']}"),
        "days": days(words, found),
        "target": f"{row['target']}%",
        "attained": attained(words, found),
        "status": found["status"],
        "standing": words(f"sla.status.{found['status']}"),
        "began": began(words, found),
        "computed": minutes(words, found["computed"]),
        "contract": minutes(words, found["contract"]),
        "used": minutes(words, found["used"]),
        "left": left(words, found),
        "unknown": unknown(words, found),
        "age": words.seconds(row["age_seconds"]),
    }


def _chart(words: Words, row: Mapping[str, Any]) -> Markup | str:
    """What was left of the budget over its window."""
    points = [point for point in row["budget_points"] if point[1] is not None]
    if len(points) < 2:
        return ""
    low, high = value_range(points, [], 0.0)
    y_text = {"low": words.ratio(low, 0), "high": words.ratio(high, 0), "limit": words("sla.spent")}
    ticks = day_ticks(words, points)
    return Markup(forecast_chart(points, [], LIGHT, limit=0.0, x_ticks=ticks, y_text=y_text))  # noqa: S704
