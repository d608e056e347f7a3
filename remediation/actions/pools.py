"""Groups that somebody else keeps at a size: the size wanted is told, and whoever else tells one is a rival."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import holds, options_of, state_hash, untouched
from .cloud_api import CloudOptions

MOST = 100_000
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A scaling group as its cloud tells it."""

    identity: str  #: differs when the group was made anew
    count: int  #: instances wanted
    low: int  #: the group's own bounds
    high: int
    healthy: int  #: instances in service
    protected: int = 0  #: instances that a scale-in may not take
    rival: str = ""  #: who else sets the size by itself
    halted: str = ""  #: why the group would not follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From what the group is now to ``count`` instances, for this intent."""

    group: Group
    count: int
    intent: Intent


@checked(frozen=True, kw_only=True, config=STRICT)
class GroupOptions(CloudOptions):
    """``floor`` and ``ceiling`` bind beside the group's own minimum and maximum; the narrower ones count."""

    group: Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,255}$")]  #: its name (AWS) or id
    floor: Annotated[int, Field(ge=1)] = 1
    ceiling: Annotated[int, Field(ge=1)] = MOST
    ready_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0  #: until the group tells the size that was set


class ScalingGroup(ABC):
    """Desired state: ``{"count": 4}``. Its clouds have no compare-and-set: it is read right before it is set."""

    risk = RiskClass.A2
    capabilities: ClassVar[tuple[str, ...]] = ("scale",)
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = GroupOptions
    name: ClassVar[str]  #: of the kind

    @abstractmethod
    def describe(self, options: Any) -> Group:
        """The group now. Raises ActionError; KeyError, TypeError, ValueError for an answer of another form."""

    @abstractmethod
    def resize(self, options: Any, change: Change) -> None:
        """Tell the cloud the size wanted. Raises ActionError."""

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        group = self._group(options_of(self.options, settings, self.name), target.name)
        state: dict[str, object] = {
            "count": group.count,
            "min": group.low,
            "max": group.high,
            "rival": group.rival,
            "halted": group.halted,
        }
        by_hand = [group.identity, group.count, group.low, group.high]
        capacity = {"healthy": float(group.healthy), "total": float(group.count), "protected": float(group.protected)}
        return Reading(state=state, epoch=state_hash(by_hand), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``count: n``."""
        if not parameters:
            return {}, {}
        word, value = said.exactly_one(parameters, ("count",))
        return {"count": said.whole_number(word, value, 1, MOST)}, {"count": reading.state["count"]}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options: GroupOptions = options_of(self.options, settings, self.name)
        state, now = reading.state, _number(reading.state["count"])
        wanted = _number(desired.get("count", now))
        return scaling_impact(
            options.group,
            now=now,
            wanted=wanted,
            healthy=reading.capacity["healthy"],
            floor=max(options.floor, _number(state["min"])),
            ceiling=min(options.ceiling, _number(state["max"])),
            problem=_problem(options.group, now, wanted, reading) if wanted != now else "",
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        options: GroupOptions = options_of(self.options, settings, self.name)
        target = Target(kind=self.name, name=str(settings.get("name", "")))
        reading, wanted = self.read(target, settings), _number(desired["count"])
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        low = max(options.floor, _number(reading.state["min"]))
        high = min(options.ceiling, _number(reading.state["max"]))
        if not low <= wanted <= high:  # the cloud may take what is outside
            raise said.refused(options.group, "scale", f"{wanted} is outside of {low} to {high}")
        if problem := _problem(options.group, _number(reading.state["count"]), wanted, reading):
            raise said.refused(options.group, "scale", problem)
        self.resize(options, Change(group=self._group(options, target.name), count=wanted, intent=intent))
        ends = time.monotonic() + options.ready_seconds
        while not self.reached(reading := self.read(target, settings), desired):
            if time.monotonic() > ends:
                raise said.not_reached(options.group, reading.state["count"])
            time.sleep(POLL_SECONDS)
        return {"count": wanted, "epoch": reading.epoch, "token": intent.token}

    def _group(self, options: Any, name: str) -> Group:
        try:
            return self.describe(options)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise said.unreadable(name, f"{type(error).__name__}:{error}") from None


def scaling_impact(
    name: str, *, now: int, wanted: int, healthy: float, floor: float, ceiling: float, problem: str
) -> Impact:
    """Of a pool whose size goes from ``now`` to ``wanted``: scale-out is class A2, scale-in A3."""
    growing = wanted > now
    return Impact(
        touched=tuple(f"{name}/{place}" for place in range(min(now, wanted), max(now, wanted))),
        healthy_after=healthy if growing else max(healthy - (now - wanted), 0.0),
        total=float(max(wanted, now)),
        floor=float(floor),
        ceiling=float(ceiling),
        direction="same" if wanted == now else "out" if growing else "in",
        risk=RiskClass.A2 if growing else RiskClass.A3,
        scaling=wanted != now,
        problem=problem,
    )


def governed(what: str, rival: str) -> str:
    """Why a pool is not scaled beside another controller."""
    return f"{what} is governed by {rival}: two controllers of one size would fight"


def _problem(name: str, now: int, wanted: int, reading: Reading) -> str:
    if rival := str(reading.state["rival"]):
        return governed(name, rival)
    if halted := str(reading.state["halted"]):
        return f"{name} would not follow: {halted}"
    spare = now - int(reading.capacity["protected"])
    return f"{name}: all but {spare} of {now} instances are protected" if now - wanted > spare else ""


def _number(value: object) -> int:
    return int(str(value))
