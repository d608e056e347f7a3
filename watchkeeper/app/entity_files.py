"""The highest risk that each entity had, learned from whole log files as an engine would have learned it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from detectors.entities import KINDS, Act, Entities
from watchkeeper.app.pipeline.entities import Checked
from watchkeeper.app.pipeline.entity_acts import Reading
from watchkeeper.clock import from_ms
from watchkeeper.config import Loaded
from watchkeeper.model import LogBatch, labels

#: Lines read at a time.
LINES = 10_000


def highest(files: Sequence[Path], loaded: Loaded) -> tuple[int, list[dict[str, Any]]]:
    """(acts, rows by risk). Acts of all files are taken in the order of their times. Raises OSError, ConfigError."""
    entities = loaded.config.security.entities.model_copy(update={"enabled": True})
    security = loaded.config.security.model_copy(update={"entities": entities})
    checked = Checked.of(dataclasses.replace(loaded, config=loaded.config.model_copy(update={"security": security})))
    reading = Reading(checked.rules, checked.places)
    acts = [act for file in files for batch in _batches(file) for act in reading.acts(batch)]
    known, rows = Entities(checked.zone, checked.options.most), dict[tuple[str, str], dict[str, Any]]()
    for act in sorted(acts, key=lambda one: one.at):
        known.take([act])
        for kind in KINDS:
            name = act.name(kind)
            found = known.standing(kind, name, act.at) if name else None
            if found is not None and found.risk > rows.get((kind, name), {"risk": 0.0})["risk"]:
                rows[kind, name] = {"kind": kind, "entity": name, "risk": found.risk, **_told(act, found.reasons)}
    return len(acts), sorted(rows.values(), key=lambda row: -row["risk"])


def _told(act: Act, reasons: Sequence[tuple[Any, float]]) -> dict[str, Any]:
    why = [{"reason": one.name, "points": left, "detail": dict(one.detail)} for one, left in reasons]
    return {"at": from_ms(round(act.at * 1000)).isoformat(timespec="seconds").replace("+00:00", "Z"), "reasons": why}


def _batches(file: Path) -> Iterator[LogBatch]:
    read = round(file.stat().st_mtime * 1000)
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        while texts := [line.rstrip("\r\n") for line in islice(lines, LINES)]:
            yield LogBatch.of(labels(None, file=str(file)), texts, read)
