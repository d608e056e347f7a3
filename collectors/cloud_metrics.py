"""What the clouds' own monitoring services have in common: metrics asked by name, the newest point of each."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .credentials import read_secret
from .fetch import fetch
from .part import Part

#: Requests under way at a time: the clouds allow 20 to 50 a second.
PARALLEL = 4
#: Statuses whose body says in the cloud's words what is wrong.
STATUSES = (200, 400, 403, 404, 429, 500, 503)
#: Words in which the clouds refuse whoever asks.
REFUSED = re.compile(
    r"(?i)signature|accesskey|authfailure|unauthorized|accessdenied|forbidden|token|credential|nopermission|expired"
)
#: Words in which they ask for patience.
BUSY = re.compile(r"(?i)throttl|limitexceeded|toomanyrequests|internalerror|serviceunavailable|internalfailure")
_BAD_LABEL = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(kw_only=True, config=STRICT)
class CloudMetric:
    """One metric of a cloud's service, for some or all of its resources."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")  #: name of our series
    namespace: str = Field(min_length=1)  #: AWS/EC2, acs_ecs_dashboard, QCE/CVM
    metric: str = Field(min_length=1)  #: CPUUtilization, as the cloud calls it
    dimensions: dict[str, str] = field(default_factory=dict)  #: which resource; what may stand here differs by cloud
    statistic: str = "Average"  #: of the points in one period
    period: int = Field(default=60, ge=1, le=86400)  #: seconds of one point
    scale: float = 1.0  #: factor to the base unit


class Point(NamedTuple):
    """The newest value of one resource."""

    metric: CloudMetric
    dimensions: Mapping[str, str]
    at: float  #: Unix seconds
    value: float


@dataclass(kw_only=True, config=STRICT)
class CloudMetrics(Part):
    """Asks each metric; one that is refused leaves the others. A point older than ``max_age`` is not known, never 0."""

    #: Address of the service, with the region's name in it.
    ENDPOINT: ClassVar[str] = ""
    #: Seconds before a question that came too often is asked again.
    WAITS: ClassVar[tuple[float, ...]] = (1.0, 3.0)

    region: str = Field(pattern=r"^[a-z0-9-]+$")  #: such as eu-central-1, cn-hangzhou, ap-guangzhou
    access_key: str = Field(min_length=1)  #: id of the key, which is no secret
    secret: SecretStr | None = None
    secret_file: str = ""  #: file with the secret, read for every reading
    metrics: list[CloudMetric] = Field(min_length=1)
    endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")  #: empty: the cloud's own; a path is a gateway's
    max_age: Duration = timedelta(minutes=15)  #: how old the newest point may be; clouds are minutes behind
    max_bytes: int = Field(default=16 << 20, gt=0)  #: largest answer
    timeout: float = Field(default=30.0, gt=0, le=300)  #: seconds for the whole reading
    sample_limit: int = Field(default=20_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        if self.secret is None and not self.secret_file:
            raise ValueError("secret or secret_file is needed")
        self.url = (self.endpoint or self.ENDPOINT.format(region=self.region)).rstrip("/")
        self.problems: dict[str, str] = {}  #: metric -> why it brought nothing, in the last reading
        super().__post_init__()

    def place(self) -> str:
        return urlsplit(self.url).netloc

    async def points(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> Iterable[Point]:
        """The newest points of one metric. Raises CollectError."""
        raise NotImplementedError

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        self._read_bytes = 0
        room = asyncio.Semaphore(PARALLEL)
        try:
            async with asyncio.timeout(self.timeout):
                answers = await asyncio.gather(*(self._one(room, one, now, outbound) for one in self.metrics))
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None
        failures = [answer for answer in answers if isinstance(answer, CollectError)]
        if len(failures) == len(answers):
            raise failures[0]
        found = [point for answer in answers if not isinstance(answer, CollectError) for point in answer]
        oldest = now.timestamp() - self.max_age.total_seconds()
        readings = [self._reading(point) for point in found if point.at >= oldest]
        self.problems = {
            metric.name: str(answer)
            for metric, answer in zip(self.metrics, answers, strict=True)
            if isinstance(answer, CollectError)
        }
        readings += [
            ("watchkeeper_query_success", (("query", metric.name),), float(metric.name not in self.problems))
            for metric in self.metrics
        ]
        tick = self._sheet.tick(now, readings)
        rejected = dict(self._sheet.rejected)
        if old := sum(point.at < oldest for point in found):
            rejected["too_old"] = old
        return Collected(ticks=[tick], rejected=rejected, body_bytes=self._read_bytes)

    async def ask(
        self, outbound: Outbound, headers: Mapping[str, str], content: bytes = b"", query: str = ""
    ) -> dict[str, Any]:
        """The JSON object of one signed request. Raises CollectError in the cloud's words."""
        answer = await fetch(
            outbound,
            "POST",
            f"{self.url}/?{query}" if query else f"{self.url}/",
            headers={name: value for name, value in headers.items() if name != "host"},
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            content=content,
            statuses=STATUSES,
        )
        self._read_bytes += len(answer.body)
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            reason = "parse" if answer.status == 200 else "status"
            raise CollectError(f"answered status {answer.status} without a JSON object", reason=reason)
        if answer.status != 200:
            code = said.get("Code") or said.get("__type") or answer.status
            raise refusal(str(code), str(said.get("Message") or said.get("message") or ""))
        return said

    def secret_key(self) -> str:
        """Raises CollectError."""
        if self.secret_file:
            return read_secret(self.secret_file, "secret_file")
        return self.secret.get_secret_value() if self.secret else ""

    async def _one(
        self, room: asyncio.Semaphore, metric: CloudMetric, now: datetime, outbound: Outbound
    ) -> Sequence[Point] | CollectError:
        async with room:
            for wait in self.WAITS:
                with suppress(_BusyError):
                    return await self._tried(metric, now, outbound)
                await asyncio.sleep(wait)
            try:
                return await self._tried(metric, now, outbound)
            except _BusyError as error:
                return error

    async def _tried(self, metric: CloudMetric, now: datetime, outbound: Outbound) -> Sequence[Point] | CollectError:
        """Raises _BusyError."""
        try:
            return list(await self.points(metric, now, outbound))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            return CollectError("the answer is not in the cloud's own form", reason="parse")
        except _BusyError:
            raise
        except CollectError as error:
            return error

    def _reading(self, point: Point) -> Reading:
        own = {_BAD_LABEL.sub("_", name): value for name, value in point.dimensions.items()} | {"region": self.region}
        return point.metric.name, tuple(sorted(own.items())), point.value * point.metric.scale


class _BusyError(CollectError):
    """It may answer the same question a moment later."""


def refusal(code: str, message: str) -> CollectError:
    """What a cloud says instead of an answer; ``token`` where it does not know or allow who asks."""
    said = f"{code.rpartition('#')[2]}: {message[:200]}"
    if BUSY.search(code):
        return _BusyError(said, reason="status")
    return CollectError(said, reason="token" if REFUSED.search(code) else "query")
