"""Asks web addresses the way a user's browser or a health check would, and says how it went."""

from __future__ import annotations

import asyncio
import time
from dataclasses import field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import OutboundError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound, Response
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels

DAY = 86_400.0
#: httpcore's events that end each phase; connect includes resolving the name.
PHASES = {
    "connect_tcp": "connect",
    "start_tls": "tls",
    "receive_response_headers": "processing",
    "receive_response_body": "transfer",
}


@dataclass(kw_only=True, config=STRICT)
class Step:
    """One request of a chain, and what makes it good."""

    name: str
    url: str
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    expect_status: list[int] = field(default_factory=lambda: [200])  #: any of these is good
    expect_body: str = ""  #: RE2 pattern that must be found in the body; empty accepts any
    max_seconds: float | None = Field(default=None, gt=0)  #: slower than this is a failure

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host/path or https://...")
        if self.expect_body:
            try:
                _found(self.expect_body, b"")
            except ValueError as error:  # pyarrow's ArrowInvalid is one
                raise ValueError(f"expect_body is no RE2 pattern: {error}") from None


@dataclass(kw_only=True, config=STRICT)
class HttpProbe:
    """Whether a chain of requests succeeds, how long each phase takes, and how long the certificate lasts.

    Good for: health endpoints, log-in paths, certificates. Not for: measuring load. Series have
    blackbox_exporter's names where it has them. A failing target is a result (``probe_success`` 0), no error.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    steps: list[Step] = Field(min_length=1)  #: asked in order; the first failure ends the chain
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one attempt at the whole chain
    attempts: int = Field(default=1, ge=1, le=100)  #: tries until the chain counts as failed
    attempt_interval: float = Field(default=10.0, ge=0, le=300)  #: seconds between tries
    max_bytes: int = Field(default=1 << 20, gt=0)  #: largest body
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; URL of the first step, without query, when empty

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError("steps must have different names")
        where = self.steps[0].url.split("?", 1)[0].split("#", 1)[0]
        host = urlsplit(where).netloc
        where = where.replace(host, host.rpartition("@")[2], 1)  # a password in the address is nobody's label
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self._sheet = Sheet(f"http_probe/{self.name}", self.target_labels)

    @property
    def bound(self) -> float:
        """Seconds that all attempts may take together."""
        return self.attempts * (self.timeout + self.attempt_interval)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        attempt, good, readings = 0, False, list[Reading]()
        while not good and attempt < self.attempts:
            if attempt:
                await asyncio.sleep(self.attempt_interval)
            attempt += 1
            good, readings = await self._chain(now, outbound)
        readings += [("probe_success", (), float(good)), ("probe_attempts", (), float(attempt))]
        return Collected(ticks=[self._sheet.tick(now, readings)])

    def stale_tick(self, now: datetime) -> Tick | None:
        """When the probe itself could not run: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing is held between collections."""

    async def _chain(self, now: datetime, outbound: Outbound) -> tuple[bool, list[Reading]]:
        began, readings, expiries, good = time.monotonic(), list[Reading](), list[float](), True
        for step in self.steps:
            left = self.timeout - (time.monotonic() - began)
            result = await self._step(step, outbound, left)
            readings.extend(result.readings(step.name))
            if result.response is not None and result.response.certificate_expires is not None:
                expiries.append(result.response.certificate_expires)
            if result.reason:
                good = False
                break
        readings.append(("probe_duration_seconds", (), time.monotonic() - began))
        if expiries:
            readings.append(("probe_ssl_earliest_cert_expiry", (), min(expiries)))
            readings.append(("probe_tls_days_left", (), (min(expiries) - now.timestamp()) / DAY))
        return good, readings

    async def _step(self, step: Step, outbound: Outbound, left: float) -> _Result:
        watch = _Stopwatch()
        if left <= 0:
            return _Result(None, watch, "timeout")
        try:
            response = await outbound.request(
                step.method,
                step.url,
                headers={"connection": "close", **step.headers},  # each time the whole way, as a new user goes it
                content=step.body.encode(),
                timeout=left,
                max_bytes=self.max_bytes,
                trace=watch,
            )
        except OutboundError as error:
            watch.stop()
            return _Result(None, watch, error.reason)
        watch.stop()
        return _Result(response, watch, _verdict(step, response, watch.seconds))


class _Stopwatch:
    """Seconds of each phase of one request, from httpcore's events."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self.phases: dict[str, float] = {}
        self.seconds = 0.0

    async def __call__(self, event: str, info: dict[str, Any]) -> None:  # noqa: ARG002  # httpcore's signature
        _, name, state = event.split(".")
        moment = time.monotonic()
        if state == "started" and name == "receive_response_headers":
            return  # processing runs from the end of the connection to the first line of the answer
        if state == "complete" and name in PHASES:
            self.phases[PHASES[name]] = moment - self._last
        if name in PHASES:
            self._last = moment

    def stop(self) -> None:
        self.seconds = time.monotonic() - self._began


class _Result:
    """What one step gave. ``reason`` is empty when it was good, else one bounded word."""

    def __init__(self, response: Response | None, watch: _Stopwatch, reason: str) -> None:
        self.response, self.reason, self._watch = response, reason, watch

    def readings(self, step: str) -> list[Reading]:
        own = (("step", step),)
        found: list[Reading] = [
            ("probe_step_success", own, float(not self.reason)),
            ("probe_step_duration_seconds", own, self._watch.seconds),
        ]
        found += [
            ("probe_http_duration_seconds", (("phase", phase), *own), seconds)
            for phase, seconds in self._watch.phases.items()
        ]
        if self.response is not None:
            found.append(("probe_http_status_code", own, float(self.response.status)))
            found.append(("probe_http_uncompressed_body_length", own, float(len(self.response.body))))
        if self.reason:
            found.append(("probe_failure_info", (("reason", self.reason), *own), 1.0))
        return found


def _verdict(step: Step, response: Response, seconds: float) -> str:
    if response.status not in step.expect_status:
        return "status"
    if step.expect_body and not _found(step.expect_body, response.body):
        return "body"
    if step.max_seconds is not None and seconds > step.max_seconds:
        return "slow"
    return ""


def _found(pattern: str, body: bytes) -> bool:
    import pyarrow as pa  # the RE2 engine is heavy, and only patterns need it
    import pyarrow.compute as pc

    text = pa.array([body.decode(errors="replace")], pa.string())
    return bool(pc.match_substring_regex(text, pattern)[0].as_py())
