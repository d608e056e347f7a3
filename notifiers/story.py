"""What is told about an incident: the worst alert in full, the others by name, and why it is told now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from watchkeeper.model import Alert, AlertState, Event, Incident, IncidentState, Message
from watchkeeper.wording import in_language, title_of

from .render import Renderer

#: Names of further alerts that are spelled out.
NAMED = 8
#: Changes that are told.
CHANGES = 3
#: Why a message about a known incident comes now.
REASONS = ("grew", "severity", "reopened", "repeat")
#: Which clock, and whether it is about to run out or has.
CLOCKS = ("respond_soon", "respond_late", "start_soon", "start_late")


def story(
    renderer: Renderer, kind: str, reason: str, incident: Incident, alerts: Sequence[Alert], now: datetime,
    changes: Sequence[Event] = (),
) -> Message:  # fmt: skip
    """``kind``: firing, resolved or escalation. P0 mentions everybody when it begins.

    ``changes``: what was changed just before, newest first.
    """
    message = _told(renderer, kind, reason, incident, alerts, now)
    if kind != "firing" or not changes:
        return message
    lines = [renderer.change(one, incident.opened_at) for one in changes[:CHANGES]]
    links = {renderer.say("link.change", title=one.title): one.link for one in changes[:CHANGES] if web(one.link)}
    return replace(message, lines=(*lines, *message.lines), links={**message.links, **links})


def web(link: str) -> bool:
    """Only addresses of the web become links."""
    return link.startswith(("https://", "http://"))


def _told(
    renderer: Renderer, kind: str, reason: str, incident: Incident, alerts: Sequence[Alert], now: datetime
) -> Message:
    if kind == "escalation":
        return _escalation(renderer, reason, incident, now)
    mention = kind == "firing" and incident.severity.rank == 0
    if not alerts:
        state = IncidentState.RESOLVED if kind == "resolved" else incident.state
        return replace(renderer.incident(replace(incident, state=state), now, mention_all=mention), kind=kind)
    first, *others = sorted(alerts, key=lambda alert: (alert.severity.rank, alert.fired_at or alert.active_at))
    shown = replace(
        first,
        state=AlertState.RESOLVED if kind == "resolved" else first.state,
        incident_id=incident.id,
        severity=incident.severity if kind == "firing" else first.severity,
    )
    message = renderer.alert(shown, now, mention_all=mention)
    return replace(message, kind=kind, lines=(*_why(renderer, reason), *message.lines, *_others(renderer, others)))


def _why(renderer: Renderer, reason: str) -> list[str]:
    return [renderer.say(f"story.{reason}")] if reason in REASONS else []


def _others(renderer: Renderer, others: Sequence[Alert]) -> list[str]:
    if not others:
        return []
    language = renderer.language
    names = list(dict.fromkeys(in_language(alert.annotations, "summary", language) or alert.rule for alert in others))
    return [renderer.say("story.others", count=len(others), names="; ".join(names[:NAMED]))]


def _escalation(renderer: Renderer, reason: str, incident: Incident, now: datetime) -> Message:
    message = renderer.incident(incident, now, mention_all=incident.severity.rank == 0)
    word = reason if reason in CLOCKS else "respond_late"
    named = title_of(incident.title, incident.details, renderer.language)
    title = renderer.say(f"story.{word}", severity=incident.severity, title=named)
    return replace(message, kind="escalation", title=title)
