"""What the actuator was told and did: one line a fact, checked by crc, on disk before the effect."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watchkeeper.errors import ActionError

#: A longer journal is rewritten at start, with the newest outcomes only.
COMPACT_BYTES = 8 << 20
KEEP_OUTCOMES = 10_000


class Journal:
    """Replayed when opened. A torn last line was never acted upon and is cut; other damage stops the actuator."""

    def __init__(self, path: Path, *, compact_bytes: int = COMPACT_BYTES) -> None:
        self.path = path
        self.highest: dict[str, int] = {}  #: target -> highest token that was let through
        self.outcomes: dict[str, dict[str, Any]] = {}  #: idempotency key -> what became of it
        self.begun: dict[str, int] = {}  #: key -> token: begun, and no end written yet
        self.options: dict[str, tuple[str, int]] = {}  #: target -> (digest of its options, how often they changed)
        self.torn_bytes = 0
        self._broken = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._replay()
        if path.stat().st_size > compact_bytes:
            self._compact()
        self._sync_folder()

    def begin(self, key: str, token: int, target: str, operation: str) -> None:
        """On disk before the effect: from here on nobody may think that nothing happened."""
        self._append({"e": "begin", "key": key, "token": token, "target": target, "operation": operation})

    def end(self, key: str, token: int, outcome: Mapping[str, Any]) -> None:
        self._append({"e": "end", "key": key, "token": token, "outcome": dict(outcome)})

    def configured(self, target: str, digest: str) -> int:
        """How often the options of a target have changed so far; ``digest`` is that of the ones that hold now."""
        known, changes = self.options.get(target, (digest, 0))
        if target not in self.options or known != digest:
            changes += known != digest
            self._append({"e": "options", "target": target, "digest": digest, "changes": changes})
        return changes

    def outcome(self, key: str) -> dict[str, Any] | None:
        """What became of a key; begun without an end is unknown: read the target."""
        if key in self.outcomes:
            return self.outcomes[key]
        if key in self.begun:
            return {"state": "unknown", "token": self.begun[key], "detail": "the actuator stopped during the effect"}
        return None

    def close(self) -> None:
        os.close(self._file)

    def _append(self, fact: dict[str, Any]) -> None:
        if self._broken:
            raise ActionError(f"the journal {self.path} cannot be written: {self._broken}; restart the actuator")
        line = _line(fact)
        try:
            written = os.write(self._file, line)
            os.fdatasync(self._file)
        except OSError as error:  # what is on disk now is not known: nothing is done until a replay says so
            self._broken = str(error)
            raise ActionError(f"the journal {self.path} cannot be written: {error}") from error
        if written != len(line):
            self._broken = "no space left"
            raise ActionError(f"the journal {self.path} cannot be written: no space left")
        self._take(fact)

    def _take(self, fact: Mapping[str, Any]) -> None:
        if fact["e"] == "tokens":
            self.highest.update({str(target): int(token) for target, token in fact["highest"].items()})
        elif fact["e"] == "options":
            self.options[str(fact["target"])] = str(fact["digest"]), int(fact["changes"])
        elif fact["e"] == "begin":
            self.begun[str(fact["key"])] = int(fact["token"])
            self.highest[fact["target"]] = max(self.highest.get(fact["target"], 0), int(fact["token"]))
        else:
            self.begun.pop(str(fact["key"]), None)
            self.outcomes[str(fact["key"])] = dict(fact["outcome"])

    def _replay(self) -> None:
        data = self.path.read_bytes()
        lines = data.split(b"\n")
        good = 0
        for number, line in enumerate(lines[:-1]):
            fact = _fact(line)
            if fact is None:
                if number == len(lines) - 2:  # the last whole line, half of it never reached the disk
                    break
                raise ActionError(
                    f"the journal {self.path} is damaged at byte {good}; look at the targets, move it aside, restart"
                )
            self._take(fact)
            good += len(line) + 1
        self.torn_bytes = len(data) - good
        if self.torn_bytes:
            os.ftruncate(self._file, good)
            os.fsync(self._file)

    def _compact(self) -> None:
        kept = list(self.outcomes.items())[-KEEP_OUTCOMES:]
        facts: Sequence[dict[str, Any]] = [
            {"e": "tokens", "highest": self.highest},
            *(
                {"e": "options", "target": target, "digest": digest, "changes": changes}
                for target, (digest, changes) in self.options.items()
            ),
            *(
                {"e": "begin", "key": key, "token": token, "target": "", "operation": ""}
                for key, token in self.begun.items()
            ),
            *({"e": "end", "key": key, "token": outcome.get("token", 0), "outcome": outcome} for key, outcome in kept),
        ]
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        with os.fdopen(os.dup(descriptor), "wb") as out:
            out.writelines(_line(fact) for fact in facts)
        os.fsync(descriptor)
        fresh.replace(self.path)
        os.close(self._file)
        self._file, self.outcomes = descriptor, dict(kept)

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _line(fact: Mapping[str, Any]) -> bytes:
    body = json.dumps(fact, sort_keys=True, separators=(",", ":"), default=str).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _fact(line: bytes) -> dict[str, Any] | None:
    mark, _, body = line.partition(b" ")
    if mark != b"%08x" % zlib.crc32(body):
        return None
    fact: dict[str, Any] = json.loads(body)
    return fact
