"""Key figures in words: amounts, periods, targets, bands and forecasts as the reader writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency

from dashboard.i18n import LANGUAGES, UNKNOWN, Words
from watchkeeper.clock import from_ms

#: A unit of three capitals is a currency.
CURRENCY = re.compile(r"[A-Z]{3}")
#: The engine's words for a history that is too short.
TOO_SHORT = re.compile(r"not enough history: (\d+) of (\d+) points")
#: Edges of a forecast that are told: 80 % of actuals should lie between.
AHEAD = ("low80", "expected", "high80")


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
