"""Secrets that stand on command lines, as audit logs, sudo and shells write them: where no = and no : tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: The next word behind an option such as --db-password.
_OPTION = re.compile(
    rb"[\w-]{0,40}(?:password|passwd|passphrase|token|secret|api-key|secret-key|access-key)[ \t]+"
    rb"(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"'-][^\s\"']*))",
    re.IGNORECASE,
)
#: Programs -> what stands in the text where one of them is told a secret, and what follows its name up to that.
_PROGRAMS = (
    ((b"curl",), b" -u", rb"(?:[ \t]+\S+){0,12}?[ \t]+-u[ \t]*[^\s:]{1,100}:(?!//)(\S+)"),
    ((b"curl",), b" --user ", rb"(?:[ \t]+\S+){0,12}?[ \t]+--user[ \t]+[^\s:]{1,100}:(?!//)(\S+)"),
    ((b"sshpass",), b" -p", rb"[ \t]+-p[ \t]*(\S+)"),
    ((b"mysql", b"mariadb"), b" -p", rb"[a-z-]*(?:[ \t]+\S+){0,12}?[ \t]+-p([^\s-]\S*)"),
    ((b"redis-cli",), b" -a ", rb"(?:[ \t]+\S+){0,12}?[ \t]+-a[ \t]+(\S+)"),
)
_FOLLOWS = tuple((programs, sign, re.compile(pattern)) for programs, sign, pattern in _PROGRAMS)


def arguments(text: bytes, lower: bytes) -> Iterator[tuple[int, int]]:
    """(begin, end) of every secret on a command line."""
    at = text.find(b" --")
    while at >= 0:
        matched, end = _OPTION.match(text, at + 3), at + 3
        if matched is not None and matched.lastindex:
            yield matched.span(matched.lastindex)
            end = matched.end()
        at = text.find(b" --", end)
    for programs, sign, pattern in _FOLLOWS:
        if sign in text:
            for program in programs:
                yield from _told(text, lower, program, pattern)


def _told(text: bytes, lower: bytes, program: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    at = lower.find(program)
    while at >= 0:
        end = at + len(program)
        stop = text.find(b"\n", end)
        matched = pattern.match(text, end, len(text) if stop < 0 else stop)
        if matched is not None:
            yield matched.span(1)
            end = matched.end()
        at = lower.find(program, end)
