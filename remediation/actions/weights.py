"""Servers of a cloud's balancer, whose shares are whole numbers: 0 takes no new connection."""

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

from . import members, said
from .base import each_holds, each_untouched, mapping, options_of, state_hash
from .cloud_api import CloudOptions

MOST = 100
#: Words for a server, as a dual link puts them; a weight says the same.
WORDS = ("ready", "drain")
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server as its balancer tells it."""

    weight: int
    healthy: bool  #: by the balancer's own check; one that is not checked is not known to be


@checked(frozen=True, kw_only=True, config=STRICT)
class WeightOptions(CloudOptions):
    balancer: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]  #: id of the load balancer
    full: Annotated[int, Field(ge=1, le=MOST)] = 100  #: weight of a server that is made ready again
    floor: Annotated[float, Field(ge=1)] = 1  #: healthy servers that must always be left
    ready_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0  #: until the balancer tells the weights that were set


class Weights(ABC):
    """Desired state: ``{"i-1": {"weight": 0}, "i-2": {"weight": 100}}``; others untouched.

    These balancers have no compare-and-set: they are read right before they are set.
    """

    risk = RiskClass.A1
    capabilities: ClassVar[tuple[str, ...]] = ("switch", "drain", "weight")
    link: ClassVar[str] = "servers"
    options: ClassVar[type[Any]] = WeightOptions
    name: ClassVar[str]  #: of the kind

    @abstractmethod
    def servers(self, options: Any) -> dict[str, Server]:
        """Every server now. Raises ActionError; KeyError, TypeError, ValueError for an answer of another form."""

    @abstractmethod
    def weigh(self, options: Any, wanted: Mapping[str, int]) -> None:
        """Tell the balancer these weights, in one request. Raises ActionError."""

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options: WeightOptions = options_of(self.options, settings, self.name)
        try:
            found = self.servers(options)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise said.unreadable(target.name, f"{type(error).__name__}:{error}") from None
        if not found:
            raise said.nobody("servers", options.balancer, ())
        state = {name: {"weight": each.weight} for name, each in sorted(found.items())}
        capacity = {f"up.{name}": float(each.healthy) for name, each in found.items()}
        serving = sum(each.healthy and each.weight > 0 for each in found.values())
        capacity |= {"healthy": float(serving), "total": float(len(found)), "full": float(options.full)}
        return Reading(state=state, epoch=state_hash(state), capacity=capacity)

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From ``servers: {name: {weight: 50}}`` or ``{state: drain}``, and the short forms ``ready`` and ``drain``."""

        def meant(name: str, change: Mapping[str, object]) -> dict[str, object]:
            return {"weight": _weight(reading, name, change)}

        return members.desired_of(parameters, _members(reading), WORDS, (0, MOST), meant)

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options: WeightOptions = options_of(self.options, settings, self.name)
        return members.impact_of(
            _members(reading),
            desired,
            share=lambda each: int(each["weight"]),
            up=members.known_up(reading),
            floor=options.floor,
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return each_holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return each_untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        options: WeightOptions = options_of(self.options, settings, self.name)
        target = Target(kind=self.name, name=str(settings.get("name", "")))
        reading = self.read(target, settings)
        if self.reached(reading, desired):
            return {"already": True, "epoch": reading.epoch, "token": intent.token}
        wanted = {name: int(mapping(change, name)["weight"]) for name, change in desired.items()}
        now = {name: int(each["weight"]) for name, each in _members(reading).items()}
        for name in wanted:
            if name not in now:
                raise said.nobody("servers", name, now)
        if sum(weight > 0 for weight in {**now, **wanted}.values()) < options.floor:
            raise said.refused(options.balancer, "weight", "fewer than the floor would take traffic")
        self.weigh(options, wanted)
        ends = time.monotonic() + options.ready_seconds
        while not self.reached(reading := self.read(target, settings), desired):
            if time.monotonic() > ends:
                raise said.not_reached(options.balancer, {name: reading.state.get(name) for name in wanted})
            time.sleep(POLL_SECONDS)
        return {"weights": wanted, "epoch": reading.epoch, "token": intent.token}


def _members(reading: Reading) -> members.Members:
    return {name: mapping(each, name) for name, each in reading.state.items()}


def _weight(reading: Reading, name: str, change: Mapping[str, Any]) -> int:
    """A state is a weight: drained is 0; made ready is what it has, or all of it when it has none."""
    if change.get("state") == "drain":
        return 0
    if "weight" in change:
        return int(change["weight"])
    return int(_members(reading)[name]["weight"]) or int(reading.capacity["full"])
