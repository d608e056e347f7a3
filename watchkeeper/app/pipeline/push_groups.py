"""What was pushed, by grouping key: one group's metrics, how they replace each other, and as a document to keep."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from collectors.base import Reading
from collectors.exposition import Exposition
from watchkeeper.errors import CollectError
from watchkeeper.model import METRIC_NAME, metric_name
from watchkeeper.wire.errors import WireError

#: The grouping labels in the order of their names; ``job`` among them.
Key = tuple[tuple[str, str], ...]
#: Ends of a histogram's and summary's samples.
_ENDS = ("_bucket", "_sum", "_count", "_total", "_created")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
ENCODED = "@base64"


@dataclass(slots=True)
class Group:
    """Samples of one grouping key by metric family."""

    families: dict[str, list[Reading]] = field(default_factory=dict)
    pushed: float = 0.0  #: Unix seconds of the last good push; 0: never
    failed: float = 0.0  #: and of the last bad one

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.families.values())

    def readings(self, key: Key) -> Iterator[Reading]:
        """Its samples under their grouping labels, with the times of pushing."""
        for rows in self.families.values():
            yield from rows
        yield "push_time_seconds", key, self.pushed
        yield "push_failure_time_seconds", key, self.failed

    def document(self, key: Key) -> dict[str, Any]:
        rows = {
            family: [[name, [list(pair) for pair in own], repr(value)] for name, own, value in found]
            for family, found in self.families.items()
        }
        return {"key": [list(pair) for pair in key], "pushed": self.pushed, "failed": self.failed, "families": rows}


def restored(document: dict[str, Any]) -> tuple[Key, Group]:
    families: dict[str, list[Reading]] = {
        family: [(name, tuple((a, b) for a, b in own), float(value)) for name, own, value in rows]
        for family, rows in document["families"].items()
    }
    key = tuple((name, word) for name, word in document["key"])
    return key, Group(families, document["pushed"], document["failed"])


def key_of(path: str) -> Key:
    """``job/backup/instance/a`` or ``job@base64/YS9i``. Raises WireError naming what is wrong."""
    parts = path.split("/")
    if len(parts) % 2 or parts[0].removesuffix(ENCODED) != "job":
        raise WireError("the path must be /metrics/job/<job>{/<label>/<value>}")
    found: dict[str, str] = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        plain = name.removesuffix(ENCODED)
        if not _LABEL.fullmatch(plain) or plain == "__name__" or plain in found:
            raise WireError(f"grouping label {plain!r} is no label name, or is there twice")
        found[plain] = _decoded(value) if plain != name else value
    if not found["job"]:
        raise WireError("the job has no name")
    return tuple(sorted((name, value) for name, value in found.items() if value))


def families_of(body: bytes, key: Key, limit: int) -> dict[str, list[Reading]]:
    """Samples of a body by metric family, with the grouping key's labels over their own. Raises WireError."""
    page_of = Exposition({}, sample_limit=limit, honor_labels=True)
    try:
        page = page_of.read(body if body.endswith(b"\n") or not body else body + b"\n")
    except CollectError as error:
        raise WireError(str(error)) from None
    if page.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(page.rejected.items()))
        raise WireError(f"nothing was kept, as a push is kept whole or not at all; wrong are: {reasons}")
    if page.stamps:
        raise WireError("pushed metrics must not have time stamps")
    grouping = dict(key)
    found: dict[str, list[Reading]] = {}
    for series, value in zip(page.layout.series, page.values.tolist(), strict=True):
        own = {**{name: word for name, word in series if name != METRIC_NAME}, **grouping}
        name = metric_name(series)
        family = _family(name, page_of.metadata)
        if name in ("push_time_seconds", "push_failure_time_seconds"):
            raise WireError(f"{name} is said by the engine itself")
        found.setdefault(family, []).append((name, tuple(sorted(own.items())), value))
    _differ(found)
    return found


def _differ(found: dict[str, list[Reading]]) -> None:
    keys = [(name, own) for rows in found.values() for name, own, _ in rows]
    if len(set(keys)) != len(keys):
        raise WireError("two samples are one series once they have the labels of the grouping key")


def _family(name: str, known: Any) -> str:
    for end in _ENDS:
        base = name.removesuffix(end)
        if base != name and base in known:
            return base
    return name


def _decoded(value: str) -> str:
    """Base64 for URLs, its padding optional; ``=`` is the empty word."""
    try:
        return base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise WireError(f"{value[:40]!r} is not base64 of text") from None


def size_of(groups: Sequence[Group]) -> int:
    return sum(map(len, groups))
