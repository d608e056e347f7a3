"""Asks web addresses the way a user's browser or a health check would, and says how it went."""

from __future__ import annotations

import time
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError, OutboundError
from watchkeeper.fresh import Timing
from watchkeeper.outbound import Outbound, Response

from .answers import as_expected, found, parsed
from .base import STRICT, Reading
from .http_steps import Step, check_order, plain
from .kpi_http import at_path
from .probe import Probe, Tried

DAY = 86_400.0


@dataclass(kw_only=True, config=STRICT)
class HttpProbe(Probe):
    """Whether a chain of requests succeeds, how long each phase takes, and how long the certificate lasts.

    Good for: health endpoints, log-in paths, certificates. Not for: measuring load. Series have
    blackbox_exporter's names where it has them. A failing target is a result (``probe_success`` 0), no error.
    """

    KIND: ClassVar[str] = "http_probe"
    keeps_time: ClassVar[bool] = True

    steps: list[Step] = Field(min_length=1)  #: asked in order; the first failure ends the chain
    max_bytes: int = Field(default=1 << 20, gt=0)  #: largest body

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError("steps must have different names")
        check_order(self.steps)
        super().__post_init__()

    def place(self) -> str:
        """URL of the first step, without query."""
        where = self.steps[0].url.split("?", 1)[0].split("#", 1)[0]
        host = urlsplit(where).netloc
        return where.replace(host, host.rpartition("@")[2], 1)  # a password in the address is nobody's label

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:
        began, readings, expiries, good = time.monotonic(), list[Reading](), list[float](), True
        carried: dict[str, str] = {}
        for step in self.steps:
            left = self.timeout - (time.monotonic() - began)
            result = await self._step(step, outbound, left, carried)
            readings.extend(result.readings(step.name))
            if result.response is not None and result.response.certificate_expires is not None:
                expiries.append(result.response.certificate_expires)
            if result.reason:
                good = False
                break
        if expiries:
            readings.append(("probe_ssl_earliest_cert_expiry", (), min(expiries)))
            readings.append(("probe_tls_days_left", (), (min(expiries) - now.timestamp()) / DAY))
        return good, readings

    async def _step(self, step: Step, outbound: Outbound, left: float, carried: dict[str, str]) -> _Result:
        timing, began = Timing(), time.monotonic()
        if left <= 0:
            return _Result(None, timing, 0.0, "timeout")
        try:
            ask = step.ask(carried)  # each time the whole way, as a new user goes it
            response = await outbound.fresh(ask, timeout=left, max_bytes=self.max_bytes, timing=timing)
        except OutboundError as error:
            return _Result(None, timing, time.monotonic() - began, error.reason)
        seconds = time.monotonic() - began
        return _Result(response, timing, seconds, _verdict(step, response, seconds, carried))


class _Result:
    """What one step gave. ``reason`` is empty when it was good, else one bounded word."""

    def __init__(self, response: Response | None, timing: Timing, seconds: float, reason: str) -> None:
        self.response, self.reason, self._timing, self._seconds = response, reason, timing, seconds

    def readings(self, step: str) -> list[Reading]:
        own = (("step", step),)
        rows: list[Reading] = [
            ("probe_step_success", own, float(not self.reason)),
            ("probe_step_duration_seconds", own, self._seconds),
        ]
        rows += [
            ("probe_http_duration_seconds", (("phase", phase), *own), seconds)
            for phase, seconds in self._timing.phases.items()
        ]
        if self.response is not None:
            rows.append(("probe_http_status_code", own, float(self.response.status)))
            rows.append(("probe_http_uncompressed_body_length", own, float(len(self.response.body))))
        if self.reason:
            rows.append(("probe_failure_info", (("reason", self.reason), *own), 1.0))
        return rows


def _verdict(step: Step, response: Response, seconds: float, carried: dict[str, str]) -> str:
    """One bounded word when the answer is not good. What later steps need is put into ``carried``."""
    if response.status not in step.expect_status:
        return "status"
    if step.expect_body and not found(step.expect_body, response.body.decode(errors="replace")):
        return "body"
    if step.expect_json or step.carry:
        try:
            document = parsed(response.body)
            if not as_expected(document, step.expect_json):
                return "json"
            carried.update({name: plain(at_path(document, path)) for name, path in step.carry.items()})
        except CollectError:
            return "json"
    if step.max_seconds is not None and seconds > step.max_seconds:
        return "slow"
    return ""
