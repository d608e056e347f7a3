"""Raw log lines as text: decoding, severity words, joining of lines that belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Characters at the start of a line in which a severity is looked for.
LOOK = 512
#: Written severities, by the word they are counted under. Chinese words need no word boundary.
WORDS = {
    "critical": (("fatal", "critical", "crit", "emerg", "emergency", "panic", "alert"), ("致命", "严重", "紧急")),
    "error": (("error", "err", "severe", "exception", "failure"), ("错误", "异常", "失败")),
    "warning": (("warning", "warn"), ("警告", "告警")),
    "info": (("info", "information", "notice"), ("信息", "提示")),
    "debug": (("debug", "trace", "verbose"), ("调试",)),
}
_SEVERITY = {word: severity for severity, (plain, chinese) in WORDS.items() for word in (*plain, *chinese)}
_PLAIN = "|".join(sorted((word for plain, _ in WORDS.values() for word in plain), key=len, reverse=True))
_CHINESE = "|".join(word for _, chinese in WORDS.values() for word in chinese)
#: A field that states the severity: level=error, "severity": "WARN", lvl=info.
_FIELD = re.compile(rf'(?i)\b(?:level|severity|lvl|loglevel)"?\s*[=:]\s*"?({_PLAIN}|{_CHINESE})(?![A-Za-z])')
_WORD = re.compile(rf"(?i)(?<![A-Za-z0-9_])({_PLAIN})(?![A-Za-z0-9_])|({_CHINESE})")


def decode(raw: bytes, encoding: str) -> str:
    """The line as text. What is no character, NUL included, becomes U+FFFD; NULs before the text are left out.

    A sparse file begins so after its writer, who did not open it for appending, saw it emptied.
    """
    return raw.lstrip(b"\0").decode(encoding, errors="replace").replace("\0", "\ufffd")


def severity(text: str) -> str:
    """The severity a line states, or its first severity word; empty when it has none."""
    start = text[:LOOK]
    found = _FIELD.search(start) or _WORD.search(start)
    if found is None:
        return ""
    return _SEVERITY[(found.group(found.lastindex or 1)).lower()]


def join(texts: Sequence[str], begins: str) -> list[str]:
    """Lines that do not begin a record (RE2 pattern) are joined to the one before."""
    import pyarrow as pa  # the RE2 engine is heavy, and only patterns need it
    import pyarrow.compute as pc

    if not texts:
        return []
    starts = pc.match_substring_regex(pa.array(texts, pa.string()), f"^(?:{begins})").to_pylist()
    records: list[list[str]] = []
    for text, start in zip(texts, starts, strict=True):
        if start or not records:
            records.append([])
        records[-1].append(text)
    return ["\n".join(lines) for lines in records]
