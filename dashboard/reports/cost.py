"""The cost report: month to date, its end, budgets, what changed, and how old the bills are.

Pure functions over the JSON of GET /api/wk/cost: no clock, disk or network. Amounts stay decimal text until shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency

from dashboard.i18n import LANGUAGES, UNKNOWN, Words, known_language, zone_of

from .csv_text import csv_bytes
from .frame import html_page

#: Days of the longest month.
LONGEST_MONTH = 31
#: Columns of the CSV after the kind of line.
COLUMNS = (
    "name",
    "currency",
    "cost",
    "before",
    "change",
    "share",
    "status",
    "forecast",
    "warn_at",
    "breach_at",
    "note",
)

_STYLE = """h2{font-size:1.15rem;margin:2rem 0 .5rem}
.meta{color:#64748b;margin:.25rem 0 1.5rem}table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{padding:.4rem .5rem;border-bottom:1px solid #e2e8f0;text-align:left;vertical-align:top}
.n{text-align:right;white-space:nowrap}th{color:#475569;font-weight:600}.good{color:#0f766e;font-weight:600}
.warn{color:#b45309;font-weight:600}.breach,.error{color:#b91c1c;font-weight:600}.unknown{color:#64748b;font-style:italic}
@media print{body{margin:0}}
"""

_BODY = """<p class="meta">{{ made }}</p>
{% for line in lines %}<p>{{ line }}</p>{% endfor %}
{% for error in errors %}<p class="error">{{ error }}</p>{% endfor %}
{% for table in tables %}<h2>{{ table.title }}</h2><table><thead><tr>
{% for head in table.head %}<th{% if loop.index0 in table.numeric %} class="n"{% endif %}>{{ head }}</th>{% endfor %}
</tr></thead><tbody>{% for row in table.rows %}<tr>
{% for cell in row %}<td{% if loop.index0 in table.numeric %} class="n"{% endif %}>{{ cell }}</td>{% endfor %}
</tr>
{% endfor %}</tbody></table>{% endfor %}
"""


# --- words and numbers, shared with the page -------------------------------------------------------------------------


def amount(words: Words, value: str | None, currency: str) -> str:
    """Money in the reader's way, to the coin; what is less than a coin and not nothing says so."""
    if value is None:
        return UNKNOWN
    exact = Decimal(value)
    text = str(format_currency(exact, currency, locale=LANGUAGES[words.language]))
    return f"≈{text}" if exact and abs(exact) < Decimal("0.005") else text


def signed(words: Words, value: float | None) -> str:
    return UNKNOWN if value is None else f"{'+' if value > 0 else ''}{words.ratio(value)}"


def name_of(words: Words, name: str) -> str:
    """A service or tag value; what has none is called so, for it is cost as well."""
    return name or words("cost.untagged")


def outlook(words: Words, row: Mapping[str, Any]) -> str:
    """What the month costs in the end, how that is known, or why it is not."""
    ahead = row["forecast"]
    if ahead is None:
        return words("cost.closed")
    if ahead["expected"] is None:
        return words("cost.no_forecast", reason=words.word("cost.unknown", ahead["unknown"]))
    expected = amount(words, ahead["expected"], row["currency"])
    if ahead["method"] == "run_rate":
        return words("cost.run_rate", expected=expected, days=ahead["days_known"])
    low, high = (amount(words, ahead[edge], row["currency"]) for edge in ("low80", "high80"))
    return words("cost.forecast_line", expected=expected, low=low, high=high, days=ahead["days_known"])


def budget_scope(words: Words, row: Mapping[str, Any]) -> str:
    parts = [row["service"], *(f"{tag}={value}" for tag, value in sorted(row["tags"].items()))]
    return ", ".join(part for part in parts if part) or words("cost.everything")


def span(first: str, last: str) -> str:
    """A whole month by its name, anything else by its two days."""
    start, after = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    month = start.day == after.day == 1 and (after - start).days <= LONGEST_MONTH
    return first[:7] if month else f"{first} – {last}"


def budget_note(words: Words, row: Mapping[str, Any]) -> str:
    if not row["reason"]:
        return ""
    return words(f"cost.reason.{row['reason']}", currencies=", ".join(row["missing_rates"]), to=row["currency"])


def gap_kind(row: Mapping[str, Any]) -> str:
    """none, over, under, or refused when parts cannot be held against their whole."""
    if row["gap"] is None:
        return "refused"
    gap = Decimal(row["gap"])
    return "none" if not gap else "over" if gap > 0 else "under"


def gap_line(words: Words, row: Mapping[str, Any]) -> str:
    """A whole beside its parts: the difference is said, never added away."""
    stated = amount(words, row["stated"], row["currency"])
    if row["gap"] is None:
        refused = ", ".join(f"{name} ({kind})" for name, kind in sorted(row["refused"].items()))
        return words("cost.gap.refused", name=row["name"], stated=stated, refused=refused)
    gap, total = Decimal(row["gap"]), amount(words, row["total"], row["currency"])
    said = amount(words, str(abs(gap)), row["currency"])
    return words(
        f"cost.gap.{gap_kind(row)}", name=row["name"], parts=len(row["parts"]), total=total, stated=stated, gap=said
    )


def converted_line(words: Words, found: Mapping[str, Any]) -> str:
    """The sum of several currencies, by which rates, or which rates it lacks."""
    if found["cost"] is None:
        return words("cost.no_rate", currencies=", ".join(found["missing"]), to=found["currency"])
    rates = ", ".join(f"1 {name} = {rate} {found['currency']}" for name, rate in sorted(found["rates"].items()))
    return words("cost.converted", total=amount(words, found["cost"], found["currency"]), rates=rates or UNKNOWN)


def data_line(words: Words, data: Mapping[str, Any]) -> str:
    """Which days all this is about."""
    if data["through"] is None:
        return words("cost.no_data_month", month=data["month"])
    return words("cost.through", month=data["month"], day=data["through"], basis=words(f"cost.basis.{data['basis']}"))


def source_line(words: Words, row: Mapping[str, Any]) -> str:
    rows, bad = (sum(file[name] for file in row["files"]) for name in ("rows", "bad_rows"))
    key = "cost.source_line" if row["age_seconds"] else "cost.source_line_whole"  # no whole day is missing
    return words(
        key, name=row["name"], day=row["through"] or UNKNOWN, rows=rows, bad=bad,
        age=words.seconds(row["age_seconds"]), files=len(row["files"]),
    )  # fmt: skip


def problems(words: Words, data: Mapping[str, Any]) -> list[str]:
    """Every file that cannot be read and every kept bad row, with its place."""
    found = []
    for source in data["sources"]:
        found += [words("cost.file_error", source=source["name"], error=each["error"]) for each in source["errors"]]
        for file in source["files"]:
            name = file["file"].rpartition("/")[2]
            found += [
                words(
                    "cost.bad_row", file=name, line=bad["line"], column=bad["column"] or UNKNOWN, detail=bad["detail"]
                )
                for bad in file["bad"]
            ]
            if file["superseded_by"]:
                newer = sorted({each.rpartition("/")[2] for each in file["superseded_by"].values()})
                found.append(words("cost.superseded", file=name, newer=", ".join(newer)))
    return found


# --- tables: (title key, heads, rows, numeric columns), shared with the page -----------------------------------------


def cost_rows(words: Words, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [name_of(words, row["name"]), amount(words, row["cost"], row["currency"]), words.ratio(row["share"]),
         amount(words, row["before"], row["currency"]), signed(words, row["change"])]
        for row in rows
    ]  # fmt: skip


def driver_rows(words: Words, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    money = ("before", "after", "change", "quantity_effect", "price_effect")
    return [
        [name_of(words, row["name"]), words(f"cost.kind.{row['kind']}"),
         *(amount(words, row[name], row["currency"]) for name in money)]
        for row in rows
    ]  # fmt: skip


def budget_rows(words: Words, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [row["title"], budget_scope(words, row), span(row["first"], row["last"]),
         *(amount(words, row[name], row["currency"]) for name in ("amount", "used")), words.ratio(row["used_ratio"]),
         words(f"cost.status.{row['status']}"),
         *(amount(words, row[name], row["currency"]) for name in ("warn_at", "breach_at", "forecast")),
         budget_note(words, row)]
        for row in rows
    ]  # fmt: skip


def anomaly_rows(words: Words, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [row["day"], row["service"],
         *(amount(words, str(round(row[name], 2)), row["currency"]) for name in ("cost", "expected", "lower", "upper")),
         words.number(row["score"])]
        for row in rows
    ]  # fmt: skip


COST_HEAD = ("name", "cost", "share", "before", "change")
DRIVER_HEAD = ("name", "kind", "before", "after", "change", "quantity_effect", "price_effect")
BUDGET_HEAD = (
    "budget", "scope", "period", "amount", "used", "used_ratio", "status", "warn_at", "breach_at", "forecast", "note",
)  # fmt: skip
ANOMALY_HEAD = ("day", "service", "cost", "expected", "lower", "upper", "score")


def tables(words: Words, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every table of page and report, in order; the empty ones are left out."""
    found = [
        ("budgets", BUDGET_HEAD, budget_rows(words, data["budgets"]), (3, 4, 5, 7, 8, 9)),
        ("services", COST_HEAD, cost_rows(words, data["services"]), (1, 2, 3, 4)),
        ("by_tag", COST_HEAD, cost_rows(words, data["by_tag"]), (1, 2, 3, 4)),
        ("categories", COST_HEAD, category_rows(words, data["categories"]), (1, 2, 3, 4)),
        *((f"drivers.{by}", DRIVER_HEAD, driver_rows(words, data["drivers"][by]), (2, 3, 4, 5, 6))
          for by in ("service", "sku", "tag")),
        ("anomalies", ANOMALY_HEAD, anomaly_rows(words, data["anomalies"]), (2, 3, 4, 5, 6)),
    ]  # fmt: skip
    return [
        {"key": key, "title": words(f"cost.table.{key}", tag=data["tag"]), "numeric": numeric, "rows": rows,
         "head": [words(f"cost.head.{name}") for name in head]}
        for key, head, rows, numeric in found if rows
    ]  # fmt: skip


def category_rows(words: Words, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return cost_rows(words, [{**row, "name": words.word("cost.category", row["name"])} for row in rows])


def summary(words: Words, data: Mapping[str, Any]) -> list[str]:
    """The figures in sentences, for those who read only these."""
    found = [data_line(words, data)]
    for row in data["totals"]:
        cost, before = (amount(words, row[name], row["currency"]) for name in ("cost", "before"))
        found.append(words("cost.total_line", cost=cost, before=before, change=signed(words, row["change"])))
        found.append(outlook(words, row))
    if data["converted"]:
        found.append(converted_line(words, data["converted"]))
    found += [gap_line(words, row) for row in data["reconciliation"]]
    return found + [source_line(words, row) for row in data["sources"]]


# --- the report ------------------------------------------------------------------------------------------------------


def cost_html(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """A page that needs no script, no style sheet and no network."""
    words = Words(known_language(language), zone_of(zone))
    return html_page(
        words,
        _BODY,
        title=words("cost.report_title", month=data["month"]),
        width=64,
        style=_STYLE,
        made=words("cost.report_made", at=words.moment(now), zone=words.zone.key),
        lines=summary(words, data),
        errors=problems(words, data),
        tables=tables(words, data),
    )


def cost_csv(data: Mapping[str, Any], language: str, zone: str, now: datetime) -> bytes:
    """One line a figure: heads in the reader's language, amounts exact."""
    words = Words(known_language(language), zone_of(zone))
    head = [words(f"cost.column.{name}") for name in ("kind", *COLUMNS, "month", "through", "made_at")]
    tail = [data["month"], data["through"], words.moment(now)]
    lines = [[words(f"cost.line.{kind}"), *(_cell(row, name) for name in COLUMNS), *tail]
             for kind, row in _lines(words, data)]  # fmt: skip
    return csv_bytes(head, lines)


def _lines(words: Words, data: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for row in data["totals"]:
        ahead = row["forecast"] or {}
        found.append(("total", {**row, "name": "", "forecast": ahead.get("expected"), "note": ahead.get("method")}))
    found += [(kind, {**row, "name": name_of(words, row["name"])})
              for kind, key in (("service", "services"), ("tag", "by_tag"), ("category", "categories"))
              for row in data[key]]  # fmt: skip
    for row in data["budgets"]:
        status, note = words(f"cost.status.{row['status']}"), budget_note(words, row)
        found.append(
            ("budget", {**row, "cost": row["used"], "share": row["used_ratio"], "status": status, "note": note})
        )
    for row in data["drivers"]["sku"]:
        found.append(("driver", {**row, "cost": row["after"], "note": words(f"cost.kind.{row['kind']}")}))
    return found


def _cell(row: Mapping[str, Any], name: str) -> object:
    value = row.get(name)
    money = ("cost", "before", "forecast", "warn_at", "breach_at")
    return Decimal(value) if isinstance(value, str) and (name in money or name == "change") else value
