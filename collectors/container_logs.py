"""Reads what containers write: Docker's json-file logs and those of CRI runtimes under Kubernetes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.model import LogBatch, labels

from .base import STRICT
from .container_text import path_labels, unwrapped
from .log_file import LogFile
from .log_severity import severities
from .log_tail import Raw
from .log_text import decode
from .log_traces import begins, joined
from .log_words import Buffer


@dataclass(kw_only=True, config=STRICT)
class ContainerLogs(LogFile):
    """New lines of containers with their own times, labelled by namespace, pod and container, or by Docker's name.

    Good for: a node of Kubernetes, a host with Docker. Not for: other log drivers (journald, syslog have their own
    kinds). Options are those of ``log_file`` but ``line_times`` and ``time_zone``.
    """

    paths: list[str] = Field(
        default=["/var/log/pods/*/*/*.log", "/var/lib/docker/containers/*/*-json.log"], min_length=1
    )  #: the real files, not links to them: rotation happens beside these

    kind = "container_logs"

    def __post_init__(self) -> None:
        if self.time_zone or not self.line_times:
            raise ValueError("line_times and time_zone are options of log_file: the runtime states every line's time")
        super().__post_init__()

    def _batches(self, path: str, raw: Raw, now: datetime, *, live: bool) -> list[LogBatch]:  # noqa: ARG002
        time_ms = to_ms(now)
        lines = [line for piece in raw.pieces for line in piece.split(b"\n")[:-1]]
        pairs = list(unwrapped(lines, time_ms))
        texts = [decode(text, self.encoding) for _, text in pairs]
        first = begins(texts) if self.stack_traces else [True] * len(texts)
        own = labels(None, {**path_labels(path), **self.target_labels, "file": path})
        times = [at for (at, _), one in zip(pairs, first, strict=True) if one]
        made = LogBatch.of(own, [text.decode() for text in joined(texts, first)], times)
        return [replace(made, severity=severities(Buffer.of(made.data), made.ends))]
