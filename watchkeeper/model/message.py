"""A message on its way to people, independent of the channel that carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.model.alert import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``kind``: firing, resolved, action, digest, report, test, escalation. Text is in the reader's language."""

    kind: str
    title: str
    lines: Sequence[str]  #: plain text lines; a sender escapes them for its own markup
    severity: Severity | None
    at: datetime
    language: str = "zh-CN"
    links: Mapping[str, str] = field(default_factory=dict)  #: text -> URL
    mention_all: bool = False
    subject_id: str = ""  #: incident, action or report this is about
    attachments: Sequence[tuple[str, str, bytes]] = ()  #: (file name, MIME type, content)
