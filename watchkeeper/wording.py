"""Small things that messages and pages word alike: texts of a rule in the reader's language, and wanted states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def in_language(texts: Mapping[str, object], name: str, language: str) -> str:
    """``name`` in the reader's language where the rule has it (``summary_en``, ``summary_zh``), else as it stands."""
    short = language.partition("-")[0]
    for key in (f"{name}_{language}", f"{name}_{language.replace('-', '_')}", f"{name}_{short}", name):
        if texts.get(key):
            return str(texts[key])
    return ""


def title_of(title: str, details: Mapping[str, object], language: str) -> str:
    """An incident's title in the reader's language where its alert had one."""
    return in_language({**details, "title": title}, "title", language)


def state_text(state: Mapping[str, object]) -> str:
    """``primary: drain, backup: ready``; a server with a weight too is ``web1: ready (weight 50)``."""
    return ", ".join(f"{name}: {_value(value)}" for name, value in state.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        rest = " ".join(f"{name} {_value(one)}" for name, one in value.items() if name != "state")
        main = _value(value["state"]) if "state" in value else ""
        return f"{main} ({rest})" if main and rest else main or rest or "-"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(_value, value)) or "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(value)
