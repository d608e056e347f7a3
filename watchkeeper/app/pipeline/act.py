"""Act: look at the remediation rules, let the remediator decide, tell people what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incidents import mitigate
from remediation import book
from remediation.change import Change
from remediation.engine import Remediator
from remediation.situation import Facts, Watched
from rules.observe import observe
from watchkeeper.app.api import shapes
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.freezes import freezes_now
from watchkeeper.app.pipeline.news import Feeds, Pulse
from watchkeeper.clock import Clock
from watchkeeper.errors import AccessError, StoreError
from watchkeeper.model import ActionRecord, ActionState, AlertState, IncidentState, Mode, Observation, RemedyRule, Tick
from watchkeeper.store.state import State, Unit
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: Approvals a class needs when it needs any (RELIABILITY 2.2).
TWO_PEOPLE = ("A4",)
#: Ends of actions that had an effect.
JUDGED = ("succeeded", "rolled_back")
#: Kinds of sources that stand for a target which can be up or down.
TARGETS = ("openmetrics", "prometheus_api")
PROBES = "_probe"


@dataclass(slots=True, eq=False)
class Acting:
    """The remediator with everything the roof knows and it needs."""

    remediator: Remediator
    state: State
    ask: Ask
    clock: Clock
    telemetry: Telemetry
    executor: Executor
    rules: Callable[[], Sequence[RemedyRule]]
    sources: Callable[[], Sequence[Source]]
    tell: Callable[[datetime, Unit, Sequence[Change]], int]
    wake: Callable[[], None]
    soon: Callable[[datetime], None] = lambda _when: None  #: look again at that moment
    leads: Callable[[], bool] = lambda: True  #: this engine is the one that acts
    quality: Callable[[], Mapping[str, Mapping[str, object]]] = dict  #: link -> its providers, rated
    pulses: dict[str, Pulse] = field(default_factory=dict)
    feeds: Feeds = field(default_factory=Feeds)
    services: dict[str, str] = field(default_factory=dict)  #: source -> service of the rules that it feeds
    counted: dict[str, int] = field(default_factory=dict)
    _link_counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    _untold: list[Change] = field(default_factory=list)  #: changes for which no message could be written yet
    _busy: bool = False
    _asleep: float = 0.0  #: seconds of the longest pause of the loop since the last step

    async def step(self, now: datetime) -> None:
        """One evaluation of the rules that are due, and one step of every action under way. One at a time."""
        if self._busy:  # whatever is due now is due a moment later too
            return
        self._busy = True
        try:
            await self._step(now, self.clock.monotonic())
        finally:
            self._busy = False

    async def _step(self, now: datetime, monotonic: float) -> None:
        """``monotonic`` belongs to ``now``: the pair tells a pause of ours from a jump of the clock."""
        if not self.leads():
            return
        rules = list(self.rules())
        if not rules and not await asyncio.to_thread(self._active):
            return
        due = [rule for rule in rules if self._pulse(rule).due(rule.interval, now)]
        for rule in due:
            self._pulse(rule).look(now)
        loop = asyncio.get_running_loop()
        observations = await loop.run_in_executor(self.executor, self._observe, due, now)
        facts = await loop.run_in_executor(self.executor, self._facts, now)
        asleep, self._asleep = self._asleep, 0.0
        self._untold += await self.remediator.step(now, monotonic, observations, facts, asleep=asleep)
        self._count()
        if self._untold:
            await asyncio.to_thread(self._tell, now, self._untold)
            self._untold = []

    async def request(
        self,
        rule: str,
        who: str,
        reason: str,
        *,
        waive: Sequence[str] = (),
        incident_id: str = "",
        also: Callable[[Unit, str], None] | None = None,
    ) -> str:
        """Ask for a rule's action on somebody's behalf: the same gates and approvals. Returns the action's id.

        ``also``: what is written with it, in one transaction. Raises ActionError and AccessError.
        """
        now = self.clock.now()
        facts = await asyncio.get_running_loop().run_in_executor(self.executor, self._facts, now)
        return await self.remediator.request(
            now, rule, who, reason, facts, waive=waive, incident_id=incident_id, also=also
        )

    def on_gap(self, seconds: float) -> None:
        """The loop woke late: the remediator only observes for a while."""
        self._asleep = max(self._asleep, seconds)
        self.telemetry.clock_gaps.inc()
        log.warning("woke late: observing only for a while", seconds=round(seconds, 1))

    def _active(self) -> bool:
        with self.state.read() as unit:
            return bool(unit.actions.active())

    def _pulse(self, rule: RemedyRule) -> Pulse:
        return self.pulses.setdefault(rule.name, Pulse())

    def news(self, source: Source, ticks: Sequence[Tick]) -> None:
        """Samples came: rules that look at them are evaluated in a moment, not at the next beat of a clock."""
        fed = frozenset().union(*(self.feeds.of(tick) for tick in ticks))
        if not fed:
            return
        now = self.clock.now()
        for rule in self.rules():
            if rule.name in fed:
                self.services[source.name] = rule.service
                when = self._pulse(rule).feed(rule.interval, source.interval, now)
                if when is not None:
                    self.soon(when)

    def _observe(self, rules: Sequence[RemedyRule], now: datetime) -> list[Observation]:
        return [observe(rule, now, self.ask, self.ask.newest) for rule in rules]

    def _facts(self, now: datetime) -> Facts:
        """Open incidents, the estate as it is scraped, and which services are bad since when."""
        with self.state.read() as unit:
            incidents = unit.incidents.open()
            alerts = unit.alerts.open()
            freezes = freezes_now(unit, now)
        bad: dict[str, datetime] = {}
        for alert in alerts:
            service = alert.labels.get("service", "")
            if service and alert.state is AlertState.FIRING:
                bad[service] = min(bad.get(service, now), alert.fired_at or alert.active_at)
        watched = [self._watched(one) for one in self.sources() if one.kind in TARGETS or one.kind.endswith(PROBES)]
        named = self.remediator.settings.canaries
        canaries = {one.name: one.up for one in watched if one.name in named}
        asked = {one.name: one.last_at for one in self.sources() if one.name in named and one.last_at is not None}
        return Facts(
            query=self.ask,
            newest=self.ask.newest_of,
            incidents=incidents,
            watched=watched,
            bad_services=bad,
            canaries=canaries,
            asked=asked,
            leader=self.leads(),
            freezes=freezes,
            quality=self.quality(),
        )

    def _watched(self, source: Source) -> Watched:
        """A probe is up when its target answered well; a source without a service is of the service it is asked for."""
        service = source.health_labels.get("service") or self.services.get(source.name) or source.name
        return Watched(name=source.name, service=service, up=source.reached, bad_since=source.bad_since)

    def _tell(self, now: datetime, changes: Sequence[Change]) -> None:
        with self.state.begin() as unit:
            for change in changes:
                if change.state is ActionState.SUCCEEDED:
                    _mitigated(unit, change, now)
                if change.kind in JUDGED:
                    self._judge(unit, change)
            messages = self.tell(now, unit, changes)
        if messages:
            self.wake()

    def _judge(self, unit: Unit, change: Change) -> None:
        """What a plan said beside what happened, as series."""
        record = unit.actions.get(change.action_id)
        progress = record.progress if record else {}
        if "as_predicted" in progress:
            kept = "true" if progress["as_predicted"] is True else "false"
            self.telemetry.predictions.labels(change.rule, kept).inc()
        error = progress.get("prediction_error")
        if isinstance(error, float):
            self.telemetry.prediction_error.labels(change.rule).set(error)

    def _count(self) -> None:
        """The remediator's own counters as metrics."""
        for name, count in self.remediator.counts.items():
            kind, _, what = name.partition(":")
            fresh = count - self.counted.get(name, 0)
            if fresh and kind == "refused":
                self.telemetry.remediation.labels(what, "false").inc(fresh)
            self.counted[name] = count

    # --- declarations ----------------------------------------------------------------------------------------------

    def take_rules(self, rules: Sequence[RemedyRule], now: datetime) -> None:
        """Use these rules; an owner's ``mode: auto`` in a file is a declaration, once a version."""
        self.remediator.use(rules)
        links = {rule.name: self.remediator.settings.link(rule.link) for rule in rules}
        probes = {name: (link.primary_probe, link.backup_probe) for name, link in links.items() if link is not None}
        self.feeds = Feeds(rules, probes)
        for rule in rules:
            if rule.mode is Mode.AUTO and rule.owner:
                self._declare(rule, now)

    def _declare(self, rule: RemedyRule, now: datetime) -> None:
        mark = f"version {rule.version}"
        with self.state.read() as unit:
            known = unit.actions.declaration(rule.name)
        if known is not None and known.owner == rule.owner and known.reason.endswith(mark):
            return  # expired or fallen declarations are renewed by a person, never by a restart
        reason = f"mode: auto in {rule.file}:{rule.line}, {mark}"
        try:
            self.remediator.people.declare(rule.name, rule.owner, reason, now)
        except (AccessError, StoreError) as error:
            log.error("declaration not taken", rule=rule.name, error=str(error))

    def link_counts(self, link: str) -> tuple[int, int]:
        """(changes of side ever, flaps among them), for the series."""
        try:
            with self.state.read() as unit:
                self._link_counts[link] = book.link_counts(unit, link)
        except StoreError as error:  # providers are rated all the same
            log.warning("switches of a link are as they were last known", link=link, error=str(error))
        return self._link_counts.get(link, (0, 0))

    # --- views -----------------------------------------------------------------------------------------------------

    def shape(self, unit: Unit, row: ActionRecord) -> dict[str, Any]:
        words = [
            {"user": one.user, "verdict": one.verdict, "reason": one.reason, "at": shapes.moment(one.at)}
            for one in unit.actions.approvals(row.id)
        ]
        needs = 0
        if row.state is ActionState.AWAITING_APPROVAL:
            needs = 2 if row.plan.risk in TWO_PEOPLE else 1
        return shapes.action(row, approvals=words, needs=needs)

    def declarations(self, unit: Unit) -> list[dict[str, Any]]:
        found = []
        for rule in self.rules():
            row = unit.actions.declaration(rule.name)
            if row is not None:
                found.append(
                    {
                        "rule": row.rule,
                        "owner": row.owner,
                        "declared_at": shapes.moment(row.declared_at),
                        "expires_at": shapes.moment(row.expires_at),
                        "fallen_at": shapes.moment(row.fallen_at),
                        "reason": row.reason,
                    }
                )
        return found

    def kill_switch(self) -> dict[str, Any]:
        """{"on", "by", "at", "reason"}; what cannot be read counts as set."""
        reason = self.remediator.kill_switch.reason()
        try:
            with self.state.read() as unit:
                row = unit.documents.get("remediation/kill_switch") or {}
        except StoreError:
            row = {}
        return {
            "on": bool(reason),
            "by": row.get("by", ""),
            "at": row.get("at"),
            "reason": reason or row.get("reason", ""),
        }


def _mitigated(unit: Unit, change: Change, now: datetime) -> None:
    """The first verified action of an incident is when its harm stopped."""
    incident = unit.incidents.get(change.incident_id) if change.incident_id else None
    if incident is None or incident.mitigated_at is not None or incident.state is IncidentState.RESOLVED:
        return
    evidence = {"action": change.action_id, "rule": change.rule}
    mitigate(unit, incident.id, f"action {change.action_id} is verified", now, evidence=evidence)
