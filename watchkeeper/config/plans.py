"""``plans:`` contingency plans: what starts them, their steps, who is told what, and what is kept as evidence."""

from __future__ import annotations

import string
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration

#: Names become values of the label ``plan`` and parts of ids.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Line = Annotated[str, Field(max_length=300)]
Text = Annotated[str, Field(max_length=4000)]
#: What a text of a plan may name in braces.
HOLES = frozenset({"plan", "incident", "service", "severity", "started", "due", "elapsed"})
#: Moments of a run at which people are told, beside the beginning of each of its steps.
MOMENTS = ("start", "recovered", "end")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _holes(text: str, place: str) -> None:
    try:
        found = {hole for _, hole, spec, conversion in string.Formatter().parse(text) if hole is not None}
        plain = all(not spec and not conversion for _, _, spec, conversion in string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{place}: {error}; write {{{{ and }}}} for braces") from None
    if unknown := sorted(found - HOLES):
        raise ValueError(f"{place}: there is no {{{unknown[0]}}}; there are {', '.join(sorted(HOLES))}")
    if not plain:
        raise ValueError(f"{place}: a name in braces takes no format")


class Trigger(Section):
    """An open incident starts the plan when all that is written fits; nothing written: by hand only."""

    alerts: list[str] = []  #: one of these alerts of it fires; empty: any
    labels: dict[str, str] = {}  #: its firing alert has these labels
    service: str = ""  #: its firing alert is of this service
    severity: Literal["P0", "P1", "P2", "P3", ""] = ""  #: it is at least this severe
    lasting: Duration = timedelta(0)  #: the alert has fired for so long

    @property
    def by_hand(self) -> bool:
        return not (self.alerts or self.labels or self.service or self.severity)


class Step(Section):
    """Taken in order. A step of kind ``rule`` asks a remediation rule, which passes its own gates and approvals."""

    name: Name
    title: Line = ""  #: for people; empty: the name
    title_en: Line = ""
    kind: Literal["person", "rule", "notice"] = "person"
    rule: str = ""  #: kind rule: the remediation rule that is asked for
    wait: bool = False  #: kind rule: asked for once the rule's own expression holds, not at once
    owner: str = ""  #: who does it, or answers for it
    vendor: str = ""  #: name of a vendor whose card is shown
    text: Text = ""  #: what to do
    text_en: Text = ""
    when: str = ""  #: PromQL; the step is left out when this is known not to hold
    limit: Duration | None = None  #: it takes no longer; none: no limit
    on_timeout: Literal["escalate", "continue"] = "escalate"  #: tell people and go on waiting, or take the next step
    on_failure: Literal["escalate", "continue"] = "escalate"  #: kind rule: the same when it was refused or failed

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Step:
        if (self.kind == "rule") != bool(self.rule):
            raise ValueError("a step of kind rule names a rule, and no other step does")
        if self.wait and self.kind != "rule":
            raise ValueError("only a step of kind rule waits for its rule")
        return self


class Notice(Section):
    """What one audience is told at one moment."""

    audience: Name
    at: Name  #: start, recovered, end, or the name of a step: when that begins
    title: Line
    title_en: Line = ""
    text: Text
    text_en: Text = ""

    @model_validator(mode="after")
    def _holes_exist(self) -> Notice:
        for place in ("title", "title_en", "text", "text_en"):
            _holes(getattr(self, place), place)
        return self


class Recovery(Section):
    """The recovery clock: from the trigger until the symptom has stayed away."""

    target: Duration = timedelta(minutes=30)  #: recovered within this
    symptom: str = ""  #: PromQL, bad while it returns series or a value other than 0; empty: the alerts that triggered
    hold: Duration = timedelta(minutes=1)  #: how long it must stay away


class EvidenceQuery(Section):
    title: Line
    query: str  #: PromQL


class EvidenceLogs(Section):
    query: str = ""  #: words and fields, as on the page Logs
    service: str = ""  #: empty: every service
    lines: int = Field(default=200, ge=1, le=1000)  #: newest ones that are kept


class EvidenceLink(Section):
    title: Line
    url: str = Field(pattern=r"^https?://\S{1,500}$")


class Evidence(Section):
    """What the pack holds beside timeline, decisions and alerts; collected at the start and at the end."""

    before: Duration = timedelta(minutes=15)  #: so long before the trigger it begins
    queries: list[EvidenceQuery] = []
    logs: list[EvidenceLogs] = []
    links: list[EvidenceLink] = []


class Plan(Section):
    name: Name
    title: Line = ""  #: for people; empty: the name
    title_en: Line = ""
    owner: str = ""  #: who answers for it
    trigger: Trigger = Trigger()
    recovery: Recovery = Recovery()
    steps: Annotated[list[Step], Field(min_length=1, max_length=50)]
    notices: list[Notice] = []
    evidence: Evidence = Evidence()
    drill_every: Duration | None = None  #: the newest drill is no older; none: nothing is expected

    @model_validator(mode="after")
    def _parts_fit(self) -> Plan:
        names = [step.name for step in self.steps]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two steps share the name {twice[0]!r}; names must differ")
        if taken := sorted(set(names) & set(MOMENTS)):
            raise ValueError(f"a step may not be called {taken[0]!r}: notices know that word already")
        for notice in self.notices:
            if notice.at not in (*MOMENTS, *names):
                raise ValueError(f"a notice is at {notice.at!r}: write {', '.join(MOMENTS)} or the name of a step")
        for step in self.steps:
            if step.kind == "notice" and step.name not in {notice.at for notice in self.notices}:
                raise ValueError(f"step {step.name!r} is a notice, and no notice is at {step.name!r}")
        return self

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


class Vendor(Section):
    """Whom to call, and what they will ask for."""

    name: Name
    title: Line = ""  #: for people; empty: the name
    contact: Line = ""  #: who answers there
    phone: Line = ""
    email: Line = ""
    chat: Line = ""  #: group or address of a chat
    portal: Line = ""  #: address where tickets are opened
    hours: Line = ""  #: when they answer
    contract: Line = ""  #: what they ask for: customer number, level of service
    note: Text = ""


class Audience(Section):
    name: Name
    channels: list[str] = []  #: channels of notify.channels


class Plans(Section):
    packs: list[Literal["provider_down", "payment_failing"]] = []  #: shipped plans
    directories: list[Path] = [Path("plans")]  #: folders with *.yaml files of plans, relative to this file
    items: list[Plan] = []
    audiences: list[Audience] = []  #: who hears notices; `oncall` hears of every turn of a run
    drill_audience: str = ""  #: the one audience that hears of drills; empty: nobody does
    vendors: list[Vendor] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Plans:
        for what, rows in (("plans", self.items), ("audiences", self.audiences), ("vendors", self.vendors)):
            names = [row.name for row in rows]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what} share the name {twice[0]!r}; names must differ")
        if self.drill_audience and self.drill_audience not in {one.name for one in self.audiences}:
            raise ValueError(f"drill_audience: there is no audience {self.drill_audience!r}")
        return self
