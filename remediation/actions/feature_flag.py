"""Switches of an application as one JSON document: behind a URL with ETags, or in a file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import holds, mapping, options_of, state_hash, untouched
from .web import ACCEPTED, ask, document, told, trust_of

PRECONDITION_FAILED = (409, 412)
MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FeatureFlagOptions:
    """``url`` answers GET with the document and an ETag and takes PUT with If-Match; or ``file`` holds the document."""

    url: str = ""
    token: SecretStr = SecretStr("")  #: sent as a bearer
    ca_file: str = ""
    allow_private: bool = True  #: the URL may be on this machine or in a private network
    file: str = ""
    switches: Annotated[dict[str, list[Any]], Field(min_length=1)]  #: name -> values it may have; others are refused
    risk: Literal["A1", "A2", "A3", "A4"] = "A2"
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.file):
            raise ValueError("write url or file, one of the two")


class FeatureFlag:
    """Desired state: ``{"mode": "cached"}``; every other switch of the document stays as it is."""

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("set",)
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = FeatureFlagOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(FeatureFlagOptions, settings, "feature_flag")
        whole, _ = _whole(options, target.name)
        missing = sorted(set(options.switches) - set(whole))
        if missing:
            raise said.nobody(target.name, missing[0], whole)
        state = {name: whole[name] for name in sorted(options.switches)}
        return Reading(state=state, epoch=state_hash(state))

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """``state``: the switches wanted."""
        said.check_words(parameters, ("state",))
        wanted = dict(mapping(parameters.get("state", {}), "state"))
        for name in wanted:
            if name not in reading.state:
                raise said.nobody("state", name, reading.state)
        return wanted, {name: reading.state[name] for name in wanted}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        """One service is touched, however many of its switches: they change together."""
        options = options_of(FeatureFlagOptions, settings, "feature_flag")
        changes = not holds(reading.state, desired)
        return Impact(
            touched=(str(settings.get("name", "")),) if changes else (),
            healthy_after=1.0,
            total=1.0,
            floor=0.0,
            ceiling=1.0,
            direction="same",
            risk=RiskClass(options.risk),
            problem=_problem(options, desired),
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Compare-and-set: a document that somebody wrote since it was read is left alone."""
        options = options_of(FeatureFlagOptions, settings, "feature_flag")
        name = str(settings.get("name", ""))
        if problem := _problem(options, desired):
            raise said.refused(name, "set", problem)
        if options.file:
            return {**_set_in_file(options, name, desired), "token": intent.token}
        whole, tag = _whole(options, name)
        if holds(whole, desired):
            return {"already": True, "token": intent.token}
        if not tag:
            raise said.refused(name, "set", "it gives no ETag")
        headers = {"content-type": "application/json", "if-match": tag, "idempotency-key": intent.idempotency_key}
        content = json.dumps({**whole, **desired}, ensure_ascii=False).encode()
        response = _ask(options, name, "PUT", content, headers)
        if response.status in PRECONDITION_FAILED:
            raise said.changed(name, tag)
        if response.status not in ACCEPTED:
            raise said.refused(name, "PUT", told(response), unknown=response.status >= 500)
        now, _ = _whole(options, name)
        if not holds(now, desired):
            raise said.not_reached(name, {key: now.get(key) for key in desired})
        return {"status": response.status, "token": intent.token}


def _problem(options: FeatureFlagOptions, desired: Mapping[str, object]) -> str:
    for name, value in desired.items():
        if value not in options.switches.get(name, []):
            return f"{name} may not be {value}"
    return ""


def _whole(options: FeatureFlagOptions, name: str) -> tuple[dict[str, Any], str]:
    """The document, and what compares it."""
    if options.file:
        try:
            data = Path(options.file).read_bytes()[: MAX_BYTES + 1]
            found = json.loads(data)
        except OSError as error:
            raise said.unreachable(options.file, error.strerror or error) from None
        except (ValueError, RecursionError) as error:
            raise said.unreadable(options.file, error) from None
        return dict(mapping(found, name)), hashlib.sha256(data).hexdigest()
    response = _ask(options, name, "GET", b"", {})
    if response.status not in ACCEPTED:
        raise said.refused(name, "GET", told(response))
    return dict(mapping(document(response, name), name)), str(response.headers.get("etag", ""))


def _ask(options: FeatureFlagOptions, name: str, method: str, content: bytes, headers: Mapping[str, str]) -> Any:
    token = options.token.get_secret_value()
    return ask(
        method,
        options.url,
        what=name,
        headers={**headers, **({"authorization": "Bearer " + token} if token else {})},
        content=content,
        timeout=options.timeout_seconds,
        allow_private=options.allow_private,
        trust=trust_of(options.ca_file),
    )


def _set_in_file(options: FeatureFlagOptions, name: str, desired: Mapping[str, object]) -> dict[str, object]:
    """Whole or not at all, one writer at a time."""
    path = Path(options.file)
    with _locked(path):
        whole, _ = _whole(options, name)
        if holds(whole, desired):
            return {"already": True}
        handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump({**whole, **desired}, out, ensure_ascii=False, indent=1)
                out.flush()
                os.fchmod(out.fileno(), path.stat().st_mode & 0o777)
                os.fsync(out.fileno())
            Path(fresh).replace(path)
        except OSError as error:
            Path(fresh).unlink(missing_ok=True)
            raise said.unreachable(options.file, error.strerror or error) from None
    return {"file": options.file}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise said.unreachable(str(path), error.strerror or error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
