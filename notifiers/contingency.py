"""What is told about a run of a contingency plan: its own notices, and to those on call every turn it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.config.plans import Notice, Plan, Step, Vendor
from watchkeeper.model import Message, PlanRun, Severity
from watchkeeper.wording import in_language

from .render import Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One turn of a run. ``word``: start, step, blocked, overdue, late, back, recovered, end or aborted."""

    word: str
    run: PlanRun
    plan: Plan
    now: datetime
    severity: Severity | None = None
    service: str = ""
    step: Step | None = None
    reason: str = ""
    vendors: Mapping[str, Vendor] = field(default_factory=dict)


#: Occasions at which somebody should look now.
URGENT = ("start", "blocked", "overdue", "late", "back")


def titled(thing: Plan | Step | Vendor, language: str) -> str:
    """Its title in the reader's language, else its name."""
    texts = {"title": thing.title, "title_en": getattr(thing, "title_en", "")}
    return in_language(texts, "title", language) or thing.name


def turn(renderer: Renderer, occasion: Occasion) -> Message:
    """For those on call."""
    say, plan, step = renderer.say, occasion.plan, occasion.step
    named = titled(step, renderer.language) if step else ""
    title = say(f"plan.{occasion.word}", plan=titled(plan, renderer.language), step=named)
    lines = [*_of_run(renderer, occasion), *(_of_step(renderer, step, occasion) if step else [])]
    if occasion.reason:
        lines.append(say("reason", text=renderer.reason(occasion.reason)))
    severity = occasion.severity if occasion.word in URGENT else None
    return _message(renderer, occasion, title, lines, severity)


def notice(renderer: Renderer, occasion: Occasion, wanted: Notice) -> Message:
    """A plan's own words for one audience."""
    texts = {name: getattr(wanted, name) for name in ("title", "title_en", "text", "text_en")}
    values = _holes(renderer, occasion)
    title = in_language(texts, "title", renderer.language).format_map(values)
    text = in_language(texts, "text", renderer.language).format_map(values)
    for_whom = renderer.say("plan.for", text=wanted.audience)
    return _message(renderer, occasion, title, [*text.splitlines(), for_whom], None)


def _message(
    renderer: Renderer, occasion: Occasion, title: str, lines: Sequence[str], severity: Severity | None
) -> Message:
    run = occasion.run
    address = renderer.public_url.rstrip("/")
    found = Message(
        kind="plan",
        title=title,
        lines=tuple(lines),
        severity=severity,
        at=occasion.now,
        language=renderer.language,
        links={renderer.say("link.page"): f"{address}/plans?run={run.id}"} if address else {},
        subject_id=run.incident_id or run.id,
    )
    if not run.drill:
        return found
    return replace(
        found,
        title=renderer.say("plan.drill", title=title),
        lines=(renderer.say("plan.drill_line"), *lines),
        severity=None,
        subject_id=run.id,
    )


def _of_run(renderer: Renderer, occasion: Occasion) -> list[str]:
    run, say = occasion.run, renderer.say
    lines = [say("since", text=renderer.time(run.clock_at))]
    if run.recovered_at is None:
        lines.append(say("plan.due", text=renderer.time(run.due_at)))
    else:
        took, target = renderer.span(run.recovered_at - run.clock_at), renderer.span(run.due_at - run.clock_at)
        lines.append(say("plan.took", text=took, target=target))
    return lines


def _of_step(renderer: Renderer, step: Step, occasion: Occasion) -> list[str]:
    say = renderer.say
    text = in_language({"text": step.text, "text_en": step.text_en}, "text", renderer.language)
    facts = {"plan.do": text, "plan.owner": step.owner, "plan.rule": step.rule}
    lines = [say(key, text=value) for key, value in facts.items() if value]
    if step.limit is not None:
        lines.append(say("plan.limit", text=renderer.span(step.limit)))
    if vendor := occasion.vendors.get(step.vendor):
        lines.append(say("plan.vendor", text=card(vendor)))
    return lines


def card(vendor: Vendor) -> str:
    """Whom to call, on one line."""
    names = ("contact", "phone", "email", "chat", "portal", "hours", "contract", "note")
    parts = [vendor.title or vendor.name, *(getattr(vendor, name) for name in names)]
    return " · ".join(part for part in parts if part)


def _holes(renderer: Renderer, occasion: Occasion) -> dict[str, str]:
    run = occasion.run
    return {
        "plan": titled(occasion.plan, renderer.language),
        "incident": run.incident_id or run.id,
        "service": occasion.service or renderer.say("unknown"),
        "severity": occasion.severity or renderer.say("unknown"),
        "started": renderer.time(run.clock_at),
        "due": renderer.time(run.due_at),
        "elapsed": renderer.span((run.recovered_at or occasion.now) - run.clock_at),
    }
