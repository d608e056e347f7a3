"""Messages from facts: alerts, incidents, actions, the daily sign of life, reports and tests, in the reader's words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watchkeeper.model import (
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Event,
    Incident,
    IncidentState,
    Message,
    Severity,
)
from watchkeeper.reasons import span, told
from watchkeeper.wording import in_language, state_text, title_of

from .catalogue import say

#: States of an action that people are told about.
TOLD = (
    ActionState.SUGGESTED,
    ActionState.DRY_RUN,
    ActionState.PROPOSED,
    ActionState.AWAITING_APPROVAL,
    ActionState.EXECUTING,
    ActionState.VERIFYING,
    ActionState.SUCCEEDED,
    ActionState.FAILED,
    ActionState.ROLLED_BACK,
    ActionState.ESCALATED,
    ActionState.REJECTED,
    ActionState.EXPIRED,
    ActionState.SUPPRESSED,
    ActionState.ABORTED,
)
_LABELS = ("service", "instance", "team", "environment")
#: Annotations with the action an operator should take, as rule files name it.
_ADVICE = ("action", "remedy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """One reader: language, time zone, and the address of the pages."""

    language: str = "zh-CN"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    public_url: str = ""

    def alert(self, alert: Alert, now: datetime, *, mention_all: bool = False) -> Message:
        """Firing or resolved, with what a person needs at three in the morning."""
        over = alert.state is AlertState.RESOLVED
        summary = self._said(alert.annotations, "summary") or alert.rule
        title = self.say("resolved.title" if over else "firing.title", severity=alert.severity, summary=summary)
        lines = [self.say("expr", text=alert.expr), self.say("value", text=self.number(alert.value))]
        lines += [self.say(name, text=alert.labels[name]) for name in _LABELS if alert.labels.get(name)]
        started = alert.fired_at or alert.active_at
        lines.append(self.say("since", text=self.time(started)))
        if over:
            ended = alert.resolved_at or now
            lines.append(self.say("resolved.at", text=self.time(ended)))
            lines.append(self.say("lasted", text=self.span(ended - started)))
        lines += self._annotations(alert.annotations)
        links = self._page(f"/incidents/{alert.incident_id}" if alert.incident_id else "/")
        links |= self._page(f"/detection/{alert.id}", "link.judge")
        if alert.annotations.get("runbook_url"):
            links[self.say("link.runbook")] = alert.annotations["runbook_url"]
        return self._message(
            "resolved" if over else "firing",
            title,
            lines,
            alert.severity,
            now,
            links,
            alert.incident_id or alert.id,
            mention_all,
        )

    def incident(self, incident: Incident, now: datetime, *, mention_all: bool = False) -> Message:
        over = incident.state is IncidentState.RESOLVED
        values = {"severity": incident.severity, "title": self._title(incident), "alerts": len(incident.alert_ids)}
        title = self.say("incident.resolved" if over else "incident.opened", **values)
        lines = [self.say(name, text=incident.labels[name]) for name in _LABELS if incident.labels.get(name)]
        lines.append(self.say("since", text=self.time(incident.opened_at)))
        if incident.respond_by is not None and not over:
            lines.append(self.say("incident.respond_by", text=self.time(incident.respond_by)))
        kind = "resolved" if over else "firing"
        links = self._page(f"/incidents/{incident.id}") | self._page(f"/detection/{incident.id}", "link.judge")
        return self._message(kind, title, lines, incident.severity, now, links, incident.id, mention_all)

    def change(self, event: Event, opened_at: datetime) -> str:
        """What was done how long before, by whom and to what, as one line."""
        before = self.span(max(opened_at - (event.end or event.start), timedelta()))
        about = " · ".join(part for part in (event.service, event.version[:40], event.actor) if part)
        kind = self.say(f"event.{event.kind}")
        return self.say("story.change", before=before, kind=kind, title=event.title, about=about)

    def action(self, record: ActionRecord, now: datetime, *, reason: str = "") -> Message:
        """KeyError for a state nobody is told about; see TOLD."""
        plan = record.plan
        title = self.say(f"action.{record.state}", rule=plan.rule)
        lines = [
            self.say("reason", text=self.reason(reason or plan.reason)),
            *([self.say("targets", text=", ".join(target.name for target in plan.targets))] if plan.targets else []),
            *([self.say("desired", text=state_text(plan.desired))] if plan.desired else []),
            self.say("risk", text=plan.risk),
        ]
        urgent = Severity.P1 if record.state in (ActionState.ESCALATED, ActionState.AWAITING_APPROVAL) else None
        links = self._page(f"/actions/{record.id}")
        return self._message("action", title, lines, urgent, now, links, plan.incident_id or record.id)

    def daily(self, facts: Mapping[str, Any], now: datetime) -> Message:
        """``facts``: open, opened, healthy, total, actions, sent, queued, head (hash of the newest audit row)."""
        lines = [
            self.say(f"daily.{part}", **facts) for part in ("incidents", "collectors", "actions", "messages", "audit")
        ]
        return self._message("digest", self.say("daily.title"), lines, None, now, self._page("/"), "")

    def report(
        self,
        report_id: str,
        rows: Sequence[tuple[str, datetime | None]],
        now: datetime,
        *,
        total: int,
        attachments: Sequence[tuple[str, str, bytes]] = (),
    ) -> Message:
        """``rows``: (pool, when it runs out) of the pools with a warning."""
        title = self.say("report.title", rows=total, warnings=len(rows))
        lines = [self.say("report.line", pool=pool, when=self.time(when)) for pool, when in rows]
        links = self._page(f"/reports/{report_id}", "link.report")
        found = self._message("report", title, lines, None, now, links, report_id)
        return Message(**{**_fields(found), "attachments": tuple(attachments)})

    def test(self, channel: str, actor: str, now: datetime) -> Message:
        lines = [self.say("test.line", actor=actor, at=self.time(now))]
        return self._message("test", self.say("test.title", channel=channel), lines, None, now, self._page("/"), "")

    def channel_off(self, channel: str, reason: str, now: datetime) -> Message:
        lines = [self.say("escalation.line", reason=self.reason(reason))]
        title = self.say("escalation.title", channel=channel)
        return self._message("escalation", title, lines, Severity.P1, now, self._page("/status"), channel)

    def say(self, key: str, **values: object) -> str:
        return say(self.language, key, **values)

    def reason(self, reason: str) -> str:
        """What the engine gave as a reason, in the reader's words; a person's own words stay."""
        return told(reason, self.language, self.zone)

    def time(self, moment: datetime | None) -> str:
        """In the reader's zone, with its offset; unknown when there is none."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S %z") if moment else self.say("unknown")

    def number(self, value: float) -> str:
        return f"{value:.6g}" if math.isfinite(value) else self.say("unknown")

    def span(self, duration: timedelta) -> str:
        return span(max(duration, timedelta(0)), self.language)

    def _annotations(self, annotations: Mapping[str, str]) -> list[str]:
        description = self._said(annotations, "description")
        found = [self.say("description", text=description)] if description else []
        return found + [
            self.say("advice", text=self._said(annotations, name)) for name in _ADVICE if annotations.get(name)
        ]

    def _said(self, annotations: Mapping[str, str], name: str) -> str:
        """In the reader's language where the rule has it (``summary_en``), else as the rule has it."""
        return in_language(annotations, name, self.language)

    def _title(self, incident: Incident) -> str:
        return title_of(incident.title, incident.details, self.language)

    def _page(self, path: str, key: str = "link.page") -> dict[str, str]:
        return {self.say(key): f"{self.public_url.rstrip('/')}{path}"} if self.public_url else {}

    def _message(
        self,
        kind: str,
        title: str,
        lines: Sequence[str],
        severity: Severity | None,
        at: datetime,
        links: Mapping[str, str],
        subject_id: str,
        mention_all: bool = False,  # noqa: FBT001 - private
    ) -> Message:
        return Message(
            kind=kind,
            title=title,
            lines=tuple(lines),
            severity=severity,
            at=at,
            language=self.language,
            links=links,
            mention_all=mention_all,
            subject_id=subject_id,
        )


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in Message.__slots__}


def marked_repeat(message: Message) -> Message:
    """The same message, saying that it may have been delivered before."""
    return Message(**{**_fields(message), "title": say(message.language, "repeat", title=message.title)})
