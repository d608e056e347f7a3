"""label_replace, label_join and the sorts: functions that read label text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cmp_to_key

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, label
from watchkeeper.promql.block import Block
from watchkeeper.promql.matching import fullmatch
from watchkeeper.promql.merge import SAME_LABELSET, unite

#: A reference to a capture group in a replacement, in Go's notation.
REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
#: One unit of a pattern: an escape, a character class, a named or plain opening bracket, anything else.
UNIT = re.compile(
    r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]|\(\?P?<(?P<name>\w+)>|\((?P<plain>(?!\?))|.", re.DOTALL
)
DIGITS = re.compile(r"\d+|\D+")
#: Characters of one label value that a query may make: nested calls that double it would end with the memory.
LONGEST = 65_536
#: Characters of all values that one call may make.
MOST = 64 << 20


def _set(series: Labels, name: str, value: str) -> Labels:
    kept = [pair for pair in series if pair[0] != name]
    return tuple(sorted([*kept, (name, value)])) if value else tuple(kept)


def _relabelled(block: Block, name: str, values: Sequence[str | None]) -> Block:
    """The block with label ``name`` set to each row's value; None leaves the row as it is."""
    series = [old if value is None else _set(old, name, value) for old, value in zip(block.series, values, strict=True)]
    drop = block.drop.copy()
    if name == "__name__":  # the name now has a meaning of its own
        for i, value in enumerate(values):
            drop[i] &= value is None
    return unite(block.named(series, drop), SAME_LABELSET)


def label_join(block: Block, target: str, separator: str, sources: Sequence[str]) -> Block:
    """Label ``target`` becomes the sources' values joined."""
    _check_name(target, "label_join")
    between = len(separator) * (len(sources) - 1)
    _check_sizes([between + sum(len(label(one, source)) for source in sources) for one in block.series], "label_join")
    return _relabelled(
        block, target, [separator.join(label(one, source) for source in sources) for one in block.series]
    )


def label_replace(block: Block, target: str, replacement: str, source: str, pattern: str) -> Block:
    """Where ``source`` matches the whole pattern, label ``target`` becomes the replacement with groups filled in."""
    _check_name(target, "label_replace")
    texts = sorted({label(series, source) for series in block.series})
    replaced = dict(zip(texts, replace(texts, pattern, replacement), strict=True))
    return _relabelled(block, target, [replaced[label(series, source)] for series in block.series])


def valid_label_name(name: str) -> bool:
    """Any text but the empty one and what is no UTF-8 (kept as lone surrogates by the parser)."""
    return bool(name) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _check_name(name: str, function: str) -> None:
    if not valid_label_name(name):
        raise QueryError(f"invalid destination label name in {function}(): {name}", kind="execution")


def _check_sizes(sizes: Sequence[int], function: str) -> None:
    if max(sizes, default=0) > LONGEST:
        raise QueryError(f"{function}(): a label value would be longer than {LONGEST} characters", kind="execution")
    if sum(sizes) > MOST:
        raise QueryError(f"{function}(): its label values would take more than {MOST >> 20} MiB", kind="execution")


def replace(texts: Sequence[str], pattern: str, replacement: str) -> list[str | None]:
    """The replacement for each text that matches, None for the others. Patterns are RE2."""
    hits = fullmatch(pattern, texts)
    found = [text for text, hit in zip(texts, hits, strict=True) if hit]
    names = _groups(pattern)
    captures: dict[str, list[str]] = {}
    for reference in REFERENCE.finditer(replacement):
        key = reference[2] or reference[3]
        if key and key not in captures:
            captures[key] = _capture(pattern, names, key, found)
    keys = [reference[2] or reference[3] for reference in REFERENCE.finditer(replacement) if not reference[1]]
    sizes = [len(replacement) + sum(len(captures[key][i]) for key in keys) for i in range(len(found))]
    _check_sizes(sizes, "label_replace")
    expanded = iter([_expand(replacement, captures, i) for i in range(len(found))])
    return [next(expanded) if hit else None for hit in hits]


def _expand(replacement: str, captures: Mapping[str, Sequence[str]], i: int) -> str:
    return REFERENCE.sub(lambda one: "$" if one[1] else captures[one[2] or one[3]][i], replacement)


def _groups(pattern: str) -> list[str]:
    """Names of the capture groups in order, empty for unnamed ones."""
    return [unit["name"] or "" for unit in UNIT.finditer(pattern) if unit["name"] or unit["plain"] is not None]


def _capture(pattern: str, names: Sequence[str], key: str, texts: Sequence[str]) -> list[str]:
    """What one group caught in each text; empty for a group that does not exist."""
    import pyarrow as pa  # heavy, and only regexes need it
    import pyarrow.compute as pc

    if key == "0" or not texts:
        return list(texts)
    number = int(key) if key.isdigit() else (names.index(key) + 1 if key in names else 0)
    if not 1 <= number <= len(names):
        return [""] * len(texts)
    alone = f"^(?s:{_isolate(pattern, number)})$"  # RE2 rewriting knows nine groups: leave only the wanted one
    caught: list[str] = pc.replace_substring_regex(pa.array(texts, pa.string()), alone, r"\1").to_pylist()
    return caught


def _isolate(pattern: str, number: int) -> str:
    """The pattern with every other capture group made non-capturing."""
    seen = 0

    def unit(found: re.Match[str]) -> str:
        nonlocal seen
        if found["name"] is None and found["plain"] is None:
            return found.group()
        seen += 1
        return "(" if seen == number else "(?:"

    return UNIT.sub(unit, pattern)


def _natural(left: str, right: str) -> int:
    """Digits compare as numbers, the rest as text."""
    for a, b in zip(DIGITS.findall(left), DIGITS.findall(right), strict=False):
        if a == b:
            continue
        if a[0].isdecimal() and b[0].isdecimal() and _figure(a) != _figure(b):
            return -1 if _figure(a) < _figure(b) else 1
        return -1 if a < b else 1
    return (left > right) - (left < right)


def _figure(digits: str) -> tuple[int, str]:
    """Orders as the number does, however many digits it has."""
    figures = "".join(str(int(digit)) for digit in digits).lstrip("0")
    return len(figures), figures


def order_by_label(series: Sequence[Labels], names: Sequence[str], *, descending: bool) -> list[int]:
    """Row order by the named labels, then by all labels."""

    def compare(left: int, right: int) -> int:
        a, b = series[left], series[right]
        for name in names:
            found = _natural(label(a, name), label(b, name))
            if found:
                return found
        return (a > b) - (a < b)

    return sorted(range(len(series)), key=cmp_to_key(compare), reverse=descending)
