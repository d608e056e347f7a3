"""Figures out of JSON that some HTTP address answers, by a template of paths."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from . import json_path
from .base import STRICT, Reading
from .part import HttpPart

#: Documents above this many bytes are read in a thread, so that the event loop stays free.
INLINE_BYTES = 128 << 10


@dataclass(kw_only=True, config=STRICT)
class JsonMetric:
    """One metric: a path to its values, and paths to the labels that tell them apart."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    path: str  #: such as queues[*].messages; null or missing is no sample
    labels: dict[str, str] = field(
        default_factory=dict
    )  #: label -> path beside the value's, or $1: key of its first [*]
    convert: Literal["number", "time", "count"] = "number"  #: time: ISO 8601 to Unix seconds; count: length of a list
    words: dict[str, float] = field(default_factory=dict)  #: what words stand for, such as {green: 0, red: 2}
    scale: float = 1.0  #: factor to the base unit, such as 0.001 for milliseconds

    def __post_init__(self) -> None:
        self.steps = json_path.parse(self.path)
        depth = sum(step is None for step in self.steps)
        self.label_steps: dict[str, int | tuple[json_path.Step, ...]] = {}
        for label, path in self.labels.items():
            key = json_path.KEY.fullmatch(path)
            steps = json_path.parse(path) if key is None else ()
            asked = int(key[1]) if key else sum(step is None for step in steps)
            if asked > depth:
                raise ValueError(f"label {label}: {path!r} has more [*] than the path of {self.name}")
            self.label_steps[label] = asked - 1 if key else steps


@dataclass(kw_only=True, config=STRICT)
class JsonHttp(HttpPart):
    """Samples from a JSON answer; a value that is no number is refused and counted, the others stay.

    Good for: status pages and management APIs. Not for: pages in Prometheus's text (use ``openmetrics``).
    """

    KIND: ClassVar[str] = "json_http"

    metrics: list[JsonMetric] = Field(min_length=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.absent: dict[str, str] = {}  #: metric -> why the last answer brought nothing of it

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        answer = await self.ask(outbound)
        if len(answer.body) > INLINE_BYTES:
            readings, wrong = await asyncio.to_thread(self._read, answer.body)
        else:
            readings, wrong = self._read(answer.body)
        tick = self._sheet.tick(now, readings)
        rejected = dict(self._sheet.rejected)
        if wrong:
            rejected["type"] = wrong
        return Collected(ticks=[tick] if len(tick.layout) else [], rejected=rejected, body_bytes=len(answer.body))

    def _read(self, body: bytes) -> tuple[list[Reading], int]:
        """(readings, values that are no numbers). A document without any of the metrics is the wrong document."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise CollectError("the answer is not JSON", reason="parse") from None
        readings: list[Reading] = []
        wrong = 0
        self.absent = {metric.name: f"nothing stands at {metric.path}" for metric in self.metrics}
        for metric in self.metrics:
            for place, value in json_path.values(document, metric.steps):
                number = _number(value, metric)
                if number is None:
                    wrong += 1
                    self.absent[metric.name] = f"what stands at {metric.path} is no number: {str(value)[:40]!r}"
                else:
                    readings.append((metric.name, _labels(document, metric, place), number))
        for name, _, _ in readings:
            self.absent.pop(name, None)
        if not readings and not wrong and not isinstance(document, dict | list):
            raise CollectError("the answer is JSON, but neither an object nor a list", reason="parse")
        return readings, wrong


def _labels(document: Any, metric: JsonMetric, place: json_path.Place) -> tuple[tuple[str, str], ...]:
    found = []
    for label, steps in metric.label_steps.items():
        value = place[steps] if isinstance(steps, int) else json_path.at(document, steps, place)
        if isinstance(value, bool):
            value = str(value).lower()
        if isinstance(value, str | int | float):
            found.append((label, str(value)))
    return tuple(found)


def _number(value: Any, metric: JsonMetric) -> float | None:
    """The value in base units; None for what is no number."""
    if metric.convert == "count":
        return float(len(value)) if isinstance(value, list | dict) else None
    if isinstance(value, str) and value in metric.words:
        return metric.words[value]
    if metric.convert == "time":
        return _moment(value)
    if isinstance(value, bool | int | float | str):
        try:
            number = float(value) * metric.scale
        except (ValueError, OverflowError):
            return None
        return None if isinstance(value, str) and not math.isfinite(number) else number
    return None


def _moment(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
