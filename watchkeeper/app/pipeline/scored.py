"""What the scoring remembers, kept over restarts: a file of plain arrays for each target, without pickle."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors import State, episodes, state_from_arrays, state_to_arrays
from watchkeeper import __version__
from watchkeeper.clock import to_ms
from watchkeeper.model import Labels
from watchkeeper.model.series import FloatArray
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.lanes import Override

log = logger(__name__)

#: How often memories are written down; what a kill costs at most.
EVERY = timedelta(minutes=5)
#: Older memories are of another time.
OLDEST = timedelta(days=7)
DETECTOR, EPISODES = "detector.", "episodes."


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one target: what the detector, the names of alarms and the rates of counters need to go on."""

    target: str
    series: tuple[Labels, ...]
    state: State
    episodes: State
    previous: FloatArray
    previous_ms: int
    raised: Mapping[int, int] = field(default_factory=dict)


def signature(detector: object, overrides: Sequence[Override] = ()) -> str:
    """Memories of another kind, of other options or of another version are not taken up."""
    others = [[{key: one.pattern for key, one in own.match.items()}, _said(own.detector)] for own in overrides]
    return json.dumps([*_said(detector), others, __version__, episodes.FORM], sort_keys=True, default=str)


def _said(detector: object) -> list[Any]:
    options = {name: getattr(detector, name) for name in getattr(detector, "__dataclass_fields__", {})}
    return [type(detector).__name__, options]


@dataclass(slots=True)
class Memories:
    """A folder of them."""

    folder: Path
    signature: str

    def save(self, memories: Sequence[Memory]) -> int:
        """Write all down; a target whose file cannot be written is told, and the others are kept. Answers how many."""
        kept = 0
        for one in memories:
            try:
                self._write(one)
                kept += 1
            except OSError as error:
                log.warning("what was learned of a target is not kept", target=one.target, error=str(error))
        return kept

    def load(self, target: str, now: datetime) -> Memory | None:
        """The memory of a target; None where there is none that fits, which is told when there is one."""
        file = self._file(target)
        try:
            with file.open("rb") as opened:
                if not zipfile.is_zipfile(opened):
                    raise ValueError("it was cut short")
                opened.seek(0)
                with np.load(opened, allow_pickle=False) as found:
                    arrays = {name: found[name] for name in found.files}
            return self._read(target, arrays, now)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("what was learned of a target cannot be read; it is learned anew", file=str(file),
                        error=str(error))  # fmt: skip
            return None

    def prune(self, now: datetime) -> int:
        """Drop what is too old to be taken up."""
        limit, dropped = (now - OLDEST).timestamp(), 0
        for file in self.folder.glob("*.npz"):
            if file.stat().st_mtime < limit:
                file.unlink(missing_ok=True)
                dropped += 1
        return dropped

    def _file(self, target: str) -> Path:
        return self.folder / f"{hashlib.sha256(target.encode()).hexdigest()[:32]}.npz"

    def _write(self, one: Memory) -> None:
        about = {"signature": self.signature, "target": one.target, "series": one.series, "ms": one.previous_ms}
        arrays: dict[str, Any] = {DETECTOR + name: array for name, array in state_to_arrays(one.state).items()}
        arrays |= {EPISODES + name: array for name, array in state_to_arrays(one.episodes).items()}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        arrays["previous"] = one.previous
        arrays["raised"] = np.array(list(one.raised.items()), np.int64).reshape(-1, 2)
        file = self._file(one.target)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = file.with_suffix(".new")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            np.savez(out, **arrays)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)

    def _read(self, target: str, arrays: Mapping[str, Any], now: datetime) -> Memory | None:
        about = json.loads(arrays["about"].tobytes())
        fits = about["signature"] == self.signature and about["target"] == target
        if not fits or to_ms(now) - about["ms"] > OLDEST.total_seconds() * 1000:
            log.info("what was learned of a target is of another detector or too old", target=target)
            return None
        return Memory(
            target=target,
            series=tuple(tuple((key, value) for key, value in one) for one in about["series"]),
            state=state_from_arrays(_part(arrays, DETECTOR)),
            episodes=state_from_arrays(_part(arrays, EPISODES)),
            previous=arrays["previous"],
            previous_ms=int(about["ms"]),
            raised={int(row): int(at) for row, at in arrays["raised"].tolist()},
        )


def _part(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
