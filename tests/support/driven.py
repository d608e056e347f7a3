"""What the contract of driven targets needs of each of them, and an actuator to drive them with."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.remedies import NOON, RULE, intent_of

from remediation.actions import Kind, kind_of
from remediation.actuator import Actuator, Journal
from remediation.plan import Planned, make_plan
from remediation.settings import Settings
from watchkeeper.model import Intent, Observation, Plan, Target
from watchkeeper.ports import Reading


@dataclass
class Driven:
    """A real thing that can be changed. ``effects``: how often it was, counted by the thing itself."""

    settings: dict[str, Any]
    parameters: Mapping[str, Any]
    effects: Callable[[], int]
    hang: Mapping[str, Any] = field(default_factory=dict)  #: options that lead to what takes a question and is silent
    settle: Callable[[], None] = lambda: None  #: waits until the thing is fit for the next change
    reset: Callable[[], None] = lambda: None  #: as it was in the beginning

    @property
    def kind(self) -> Kind:
        return kind_of(str(self.settings["kind"]))

    @property
    def target(self) -> Target:
        return Target(kind=str(self.settings["kind"]), name=str(self.settings["name"]))

    def read(self) -> Reading:
        return self.kind.read(self.target, self.settings)

    def planned(self, parameters: Mapping[str, Any] | None = None) -> Planned:
        wanted = self.parameters if parameters is None else parameters
        rule = replace(RULE, action=self.target.kind, target=self.target.name, parameters=wanted)
        seen = Observation(rule=rule.name, at=NOON, bad=True)
        return make_plan(rule, seen, self.read(), Settings(targets=[self.settings]), "inc-1")


class Desk:
    """The real actuator and its journal over one driven thing; every intent has the next token."""

    def __init__(self, folder: Path, driven: Driven) -> None:
        self.folder, self.driven, self.token = folder, driven, 0
        self.kinds: Callable[[str], Kind] = kind_of
        self.open()

    def open(self) -> None:
        """As after a restart: only what is on disk is known."""
        targets = {self.driven.target.name: self.driven.settings}
        self.actuator = Actuator(Journal(self.folder / "journal"), targets, self.folder / "stop", kinds=self.kinds)

    def intent(self, plan: Plan, operation: str = "execute") -> Intent:
        self.token += 1
        made = intent_of(plan, token=self.token, operation=operation)
        return replace(made, idempotency_key=f"{self.token}/{operation}")

    def do(self, plan: Plan, operation: str = "execute") -> dict[str, Any]:
        return self.actuator.submit(self.intent(plan, operation))


@contextmanager
def silence() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])
