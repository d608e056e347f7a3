"""Files that rotation leaves beside a log."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

#: What rotation adds to a name: a number, a date, a word.
_ADDED = r"[.\-_](?:\d[\d.\-_T:]*|old|bak|prev)"


def is_rotated(name: str, base: str) -> bool:
    """True when ``name`` is what rotation makes of ``base``: app.log.1, app.log-20261122, app-20261122.log."""
    stem, dot, suffix = base.rpartition(".")
    forms = [re.escape(base) + _ADDED]
    if dot and stem:
        forms.append(re.escape(stem) + _ADDED + re.escape(dot + suffix))
    return any(re.fullmatch(form, name) for form in forms)


@dataclass(slots=True)
class Sibling:
    """A file under a rotation name, opened to look at it."""

    fd: int
    key: tuple[int, int]
    size: int
    head: bytes
    final: bool = False  #: the text of a compressed file: nobody will write to it
    taken: bool = False  #: the descriptor now belongs to a tail


def open_regular(path: Path, *, unreadable_is_absent: bool = False) -> tuple[int, os.stat_result] | None:
    """Descriptor and state of a plain file; None when there is none under this name."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        if unreadable_is_absent:
            return None
        raise
    state = os.fstat(fd)
    if stat.S_ISREG(state.st_mode):
        return fd, state
    os.close(fd)
    return None
