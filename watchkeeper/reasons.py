"""What the engine gave as a reason, in the reader's language.

Rows keep the engine's own English: they are the record. ``reasons.json`` has a template for every such sentence, and
``{hole}``s in it find the parts: ``{why}`` is a reason itself, ``{x:raw}`` stays as it is, ``{x:span}`` is a duration,
``{x:time}`` a moment, ``{x:gate}`` the name of a gate, ``{x:scope}`` what a breaker covers, ``{x:list}`` names with
commas. A text that no template knows, such as what a person wrote, is shown as it came.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.resources import files

#: Longer texts are no sentences of ours; they are not searched.
LONGEST = 2000
#: A duration as Python writes it: ``0:00:20``, ``1 day, 2:00:00``.
_SPAN = r"(?:\d+ days?, )?\d+:\d\d:\d\d(?:\.\d+)?"
_UNITS = {
    "en": ((86_400, "d", "d"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s")),
    "zh-CN": ((86_400, "天", "天"), (3600, "小时", "小时"), (60, "分", "分钟"), (1, "秒", "秒")),
}
#: Between a sentence and its reason; left over at the end when there was no reason.
_LOOSE_END = " :："


def told(reason: str, language: str, zone: tzinfo = UTC) -> str:
    """The reason as this reader should read it."""
    return _told(reason, language, zone)


def gate_name(gate: str, language: str) -> str:
    """The name of a gate; one that is not known is shown as it came."""
    return _names()["gates"].get(gate, {}).get(language, gate)


def span(duration: timedelta, language: str) -> str:
    """``20 s``, ``1 min 30 s``, ``20 秒``: whole seconds, zero units left out."""
    left, parts = round(abs(duration.total_seconds())), []
    for size, inner, last in _UNITS.get(language, _UNITS["en"]):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {inner if left else last}")
    return " ".join(parts) or f"0 {_UNITS.get(language, _UNITS['en'])[-1][2]}"


# --- the catalogue ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Template:
    """One sentence: how it is found, and how it reads. ``kinds``: hole -> kind."""

    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    texts: Mapping[str, str]


@cache
def _raw() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(files("watchkeeper").joinpath("reasons.json").read_text("utf-8"))
    return found


@cache
def _names() -> dict[str, dict[str, dict[str, str]]]:
    """Gates, words and scopes: name -> language -> text."""
    raw: dict[str, dict[str, dict[str, str]]] = json.loads(json.dumps({**_raw(), "templates": {}}))
    return raw


@cache
def _templates() -> tuple[_Template, ...]:
    """What names its gate first, then those with the most text of their own: they say the most."""

    def order(item: tuple[str, object]) -> tuple[bool, int]:
        return not item[0].startswith("{gate:gate}"), -len(re.sub(r"\{[^}]*\}", "", item[0]))

    parsed = sorted(_raw()["templates"].items(), key=order)
    return tuple(_parsed(text, str(chinese)) for text, chinese in parsed)


def _parsed(text: str, chinese: str) -> _Template:
    pattern, english, kinds = "", "", {}
    for literal, hole, kind, _ in string.Formatter().parse(text):
        pattern, english = pattern + re.escape(literal), english + literal
        if hole:
            kinds[hole] = kind or "why"
            pattern, english = f"{pattern}(?P<{hole}>{_shape(kind or '')})", f"{english}{{{hole}}}"
    return _Template(re.compile(pattern, re.DOTALL), kinds, {"en": english, "zh-CN": chinese})


def _shape(kind: str) -> str:
    if kind == "span":
        return _SPAN
    if kind == "gate":
        return "|".join(map(re.escape, _names()["gates"]))
    if kind == "scope":
        return "|".join(re.escape(name).replace(r"\{name\}", ".+?") for name in _names()["scopes"])
    return ".*?"


# --- reading ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _told(reason: str, language: str, zone: tzinfo) -> str:
    if word := _names()["words"].get(reason):
        return word.get(language, reason)
    if not reason or len(reason) > LONGEST:
        return reason
    for template in _templates():
        text = template.texts.get(language)
        if text and (found := template.pattern.fullmatch(reason)):
            parts = {
                name: _PARTS[template.kinds[name]](part, language, zone) for name, part in found.groupdict().items()
            }
            return text.format_map(parts).rstrip(_LOOSE_END)
    return reason


def _same(part: str, _language: str, _zone: tzinfo) -> str:
    return part


def _span_part(part: str, language: str, _zone: tzinfo) -> str:
    days, _, clock = part.rpartition(", ")
    hours, minutes, seconds = clock.split(":")
    whole = int(days.split()[0]) if days else 0
    return span(timedelta(days=whole, hours=int(hours), minutes=int(minutes), seconds=float(seconds)), language)


def _time_part(part: str, _language: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(part).astimezone(zone).strftime("%Y-%m-%d %H:%M %z")
    except ValueError:  # the sentence is ours, the moment in it is not: shown as it came
        return part


def _gate_part(part: str, language: str, _zone: tzinfo) -> str:
    return gate_name(part, language)


def _scope_part(part: str, language: str, _zone: tzinfo) -> str:
    scopes = _names()["scopes"]
    if part in scopes:
        return scopes[part][language]
    kind, _, name = part.partition(" ")
    return scopes[f"{kind} {{name}}"][language].format(name=name)


def _list_part(part: str, language: str, _zone: tzinfo) -> str:
    return part.replace(", ", "、") if language == "zh-CN" else part


_PARTS: dict[str, Callable[[str, str, tzinfo], str]] = {
    "why": _told,
    "raw": _same,
    "span": _span_part,
    "time": _time_part,
    "gate": _gate_part,
    "scope": _scope_part,
    "list": _list_part,
}
