"""One line of a log, as read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.model.series import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    source: str  #: name of the collector that read it
    time: datetime  #: when it was read, or the time the line itself states
    text: str  #: without the line end; undecodable bytes replaced by U+FFFD
    severity: str = ""  #: lower-case word found in the line: error, warning, info, ...; empty when none
    labels: Labels = field(default=())
