"""Text from labels and logs made harmless, and cut to a limit in bytes without breaking a character."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: Control and direction-changing characters, and halves of surrogate pairs.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_BREAKS = re.compile("[\r\n\t\u2028\u2029\x0b\x0c\x85]+")
#: Markup of all three robots, by look-alikes of full width: their parsers share no way of escaping.
_MARKUP = str.maketrans(
    {"<": "＜", ">": "＞", "[": "［", "]": "］", "`": "ˋ", "*": "＊", "#": "＃", "|": "｜", "\\": "＼"}
)
#: Stands between the parts of an address so that no client makes it a link or a mention.
_GAP = "\u200b"
NOTICE = {"zh-CN": "…（内容过长已截断，另有 {left} 行，请到页面查看）", "en": "… (cut, {left} more lines on the page)"}


def clean(text: str) -> str:
    """One line without control characters."""
    return _UNSEEN.sub("", _BREAKS.sub(" ", text)).strip()


def inert(text: str) -> str:
    """One line that no robot reads as a link, a mention, a colour or a heading."""
    plain = clean(text).translate(_MARKUP)
    return plain.replace("@", f"@{_GAP}").replace("://", f":{_GAP}//")


def safe_url(url: str) -> str | None:
    """The address as it may stand inside markup; None for anything but http and https."""
    if not re.fullmatch(r"https?://[^\s/]\S*", url) or _UNSEEN.search(url) or len(url.encode()) > 300:
        return None
    for char, code in (
        ("(", "%28"),
        (")", "%29"),
        ("<", "%3C"),
        (">", "%3E"),
        ('"', "%22"),
        ("[", "%5B"),
        ("]", "%5D"),
    ):
        url = url.replace(char, code)
    return url


def clip(text: str, limit: int) -> str:
    """At most ``limit`` bytes of UTF-8, cut between characters and marked with an ellipsis."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: max(limit - 3, 0)].decode(errors="ignore") + "…"


def fit(lines: Sequence[str], size: Callable[[Sequence[str]], int], limit: int, language: str) -> list[str]:
    """The lines, or as many as stay within ``limit`` bytes by ``size`` together with the notice of the cut."""
    if size(lines) <= limit:
        return list(lines)
    notice = NOTICE[language]

    def cut(keep: int) -> list[str]:
        return [*lines[:keep], notice.format(left=len(lines) - keep)]

    keep = _most(len(lines) - 1, lambda count: size(cut(count)) <= limit)
    whole = cut(keep)

    def with_part(count: int) -> list[str]:
        return [*whole[:-1], lines[keep][:count] + "…", whole[-1]]

    part = _most(len(lines[keep]), lambda count: size(with_part(count)) <= limit)
    return with_part(part) if part else whole


def _most(top: int, fits: Callable[[int], bool]) -> int:
    """The largest count in 0..top that fits, taking it for granted that 0 does."""
    low, high = 0, max(top, 0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
