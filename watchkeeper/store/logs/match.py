"""Which lines of a part match the terms: words by search in the whole text, fields and patterns on what is left."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import IntArray
from watchkeeper.store.logs.piece import Piece
from watchkeeper.store.logs.query import Term

Flags = NDArray[np.bool_]
_WORDY = frozenset(b"0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DECODER = json.JSONDecoder()
#: Cheap terms first: each leaves less to the next.
_ORDER = {"text": 0, "field": 1, "regex": 2, "field_regex": 3}


def matching(piece: Piece, terms: Sequence[Term], left: Flags) -> Flags:
    """Of the lines ``left``, those that match every term; shape [lines]."""
    lower = piece.data.lower() if any(term.kind in ("text", "field") for term in terms) else b""
    for term in sorted(terms, key=lambda term: _ORDER[term.kind]):
        if not left.any():
            break
        found = _found(piece, term, lower, left)
        left = left & ~found if term.negated else left & found
    return left


def _found(piece: Piece, term: Term, lower: bytes, left: Flags) -> Flags:
    if term.kind == "text":
        return _with_text(lower, piece.columns.ends, term.text)
    if term.kind == "regex":
        rows = np.flatnonzero(left)
        return _flags(len(left), rows[_regex([piece.text(row) for row in rows.tolist()], term.text)])
    by_label = np.array([_label_matches(dict(labels), term) for labels in piece.streams], bool)
    found: Flags = by_label[piece.columns.stream]
    rows = np.flatnonzero(left & ~found & _may_have(piece, term, lower))
    values = [field(piece.text(row), term.name) for row in rows.tolist()]
    if term.kind == "field":
        same = np.array([value == term.text for value in values], bool)
    else:
        same = _regex([value or "" for value in values], f"^(?:{term.text})$")
        same &= np.array([value is not None for value in values], bool)
    return found | _flags(len(left), rows[same])


def _may_have(piece: Piece, term: Term, lower: bytes) -> Flags:
    if term.tokens() or (term.kind == "field" and term.negated and term.text.isascii() and term.text.isalnum()):
        return _with_text(lower, piece.columns.ends, term.text)
    return np.ones(len(piece.columns), bool)


def _label_matches(labels: dict[str, str], term: Term) -> bool:
    value = labels.get(term.name)
    if value is None:
        return False
    return value == term.text if term.kind == "field" else bool(_regex([value], f"^(?:{term.text})$")[0])


def _with_text(lower: bytes, ends: IntArray, text: str) -> Flags:
    """Lines that hold the text as whole words; letters A to Z in any case."""
    found, places, needle = np.zeros(len(ends), bool), ends.tolist(), text.encode("utf-8", "replace").lower()
    if not needle:
        return ~found
    begins_word, ends_word = needle[0] in _WORDY, needle[-1] in _WORDY
    at = lower.find(needle)
    while at >= 0:
        end = at + len(needle)
        if (begins_word and at and lower[at - 1] in _WORDY) or (ends_word and lower[end] in _WORDY):
            at = lower.find(needle, at + 1)
            continue
        line = bisect_left(places, at)
        found[line] = True
        at = lower.find(needle, places[line])
    return found


def _regex(texts: list[str], pattern: str) -> Flags:
    import pyarrow as pa  # RE2 is heavy, and only patterns need it
    import pyarrow.compute as pc

    found: Flags = pc.match_substring_regex(pa.array(texts, pa.string()), pattern).to_numpy(zero_copy_only=False)
    return found.astype(bool)


def _flags(size: int, rows: IntArray) -> Flags:
    found = np.zeros(size, bool)
    found[rows] = True
    return found


# --- fields of a line ------------------------------------------------------------------------------------------------


def field(text: str, name: str) -> str | None:
    """What a JSON or key=value line says under ``name``; dots lead into objects. None: nothing."""
    at = text.find("{")
    if at >= 0 and f'"{name.rpartition(".")[2]}"' in text:
        try:
            value = dig(_DECODER.raw_decode(text, at)[0], name)
        except (ValueError, RecursionError):
            value = None
        if value is not None:
            return value
    matched = _pair(name)(text) if f"{name}=" in text else None
    if matched is None:
        return None
    return matched[2] if matched[1] is None else re.sub(r'\\(["\\])', r"\1", matched[1])


_patterns: dict[str, Callable[[str], re.Match[str] | None]] = {}


def _pair(name: str) -> Callable[[str], re.Match[str] | None]:
    """Finds name=value; the name is made of harmless characters."""
    found = _patterns.get(name)
    if found is None:
        if len(_patterns) > 100:
            _patterns.clear()
        pattern = rf'(?<![\w.@\-]){re.escape(name)}=(?:"((?:[^"\\]|\\.)*)"|([^\s,;|&"{{}}\[\]()]*))'
        found = _patterns[name] = re.compile(pattern).search
    return found


def dig(value: Any, name: str) -> str | None:
    """A value of an object as text: under the whole name, or along its dots."""
    if isinstance(value, dict) and name in value:
        return _word(value[name])
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return _word(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def spans(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """(begin, end) in characters of what terms found in a line, for people to see."""
    found: list[tuple[int, int]] = []
    lower = text.lower() if len(text.lower()) == len(text) else text
    for term in terms:
        if term.negated or term.kind not in ("text", "field") or not term.text:
            continue
        needle = term.text.lower()
        at = lower.find(needle)
        while at >= 0 and len(found) < 100:
            found.append((at, at + len(needle)))
            at = lower.find(needle, at + len(needle))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
