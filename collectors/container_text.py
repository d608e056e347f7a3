"""Lines of container runtimes: Docker's json-file and CRI, and what a path says about the container."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from watchkeeper.clock import to_ms

#: Time, stream, F or P (a part: the rest follows), text.
_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT\S+) (?:stdout|stderr) ([FP])(?::\S*)? ?(.*)", re.DOTALL)
_POD = re.compile(r"/pods/([^/_]+)_([^/_]+)_[^/]+/([^/]+)/[^/]+$")
_DOCKER = re.compile(r"/containers/([0-9a-f]{12})[0-9a-f]*/[^/]+$")


def unwrapped(lines: list[bytes], now_ms: int) -> Iterator[tuple[int, bytes]]:
    """(ms, text) of each line that a container wrote; parts of a long one are joined. What is neither form stays."""
    parts: list[bytes] = []
    began = now_ms
    for line in lines:
        at, text, whole = _docker(line, now_ms) if line.startswith(b"{") else _cri(line, now_ms)
        began = began if parts else at
        parts.append(text)
        if whole:
            yield began, b"".join(parts)
            parts = []
    if parts:  # its rest comes with a later look, as a line of its own: nothing waits unsaved
        yield began, b"".join(parts)


def _docker(line: bytes, now_ms: int) -> tuple[int, bytes, bool]:
    try:
        said = json.loads(line)
        text, at = str(said["log"]), str(said.get("time", ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        return now_ms, line, True
    return _ms(at, now_ms), text.rstrip("\n").encode("utf-8", "replace"), text.endswith("\n")


def _cri(line: bytes, now_ms: int) -> tuple[int, bytes, bool]:
    matched = _CRI.fullmatch(line)
    if matched is None:
        return now_ms, line, True
    return _ms(matched[1].decode("ascii", "replace"), now_ms), matched[3], matched[2] == b"F"


def _ms(text: str, now_ms: int) -> int:
    """RFC 3339 with any number of decimals."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return now_ms
    return to_ms(found) if found.tzinfo else now_ms


def path_labels(path: str) -> dict[str, str]:
    """Namespace, pod and container of Kubernetes; id and name of Docker."""
    pod = _POD.search(path)
    if pod is not None:
        return {"namespace": pod[1], "pod": pod[2], "container": pod[3]}
    docker = _DOCKER.search(path)
    if docker is None:
        return {}
    return {"container_id": docker[1], **_docker_names(Path(path).parent / "config.v2.json")}


def _docker_names(config: Path) -> dict[str, str]:
    try:
        said = json.loads(config.read_bytes())
        name, own = str(said.get("Name", "")).lstrip("/"), (said.get("Config") or {}).get("Labels") or {}
        compose = str(own.get("com.docker.compose.service", ""))
    except (OSError, ValueError, AttributeError):
        return {}
    return {key: value for key, value in (("container", name), ("compose_service", compose)) if value}
