"""Many messages of one channel as one, in order, P0 first, nothing resolved left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from watchkeeper.model import Message, Severity
from watchkeeper.store.state import Delivery

from .catalogue import say
from .text import clip

#: Lines of a digest; P0 and what resolved come before the rest is cut.
MOST_LINES = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a message, or a firing one with the message that resolved it."""

    delivery: Delivery
    resolved: Delivery | None = None


def paired(deliveries: Sequence[Delivery]) -> list[Entry]:
    """In order of queueing; a firing message and the resolved one of the same subject become one entry."""
    entries: list[Entry] = []
    open_at: dict[tuple[str, str], int] = {}
    for delivery in sorted(deliveries, key=lambda one: one.id):
        message = delivery.message
        key = (message.subject_id, _bare(message.title))
        if message.kind == "resolved" and message.subject_id and key in open_at:
            place = open_at.pop(key)
            entries[place] = Entry(entries[place].delivery, delivery)
            continue
        if message.kind == "firing" and message.subject_id:
            open_at[key] = len(entries)
        entries.append(Entry(delivery))
    return entries


def digest(deliveries: Sequence[Delivery], now: datetime, zone: ZoneInfo) -> Message:
    """One message for all of them. It is as urgent as the most urgent among them."""
    first = deliveries[0].message
    entries = sorted(paired(deliveries), key=_weight)  # stable: order is kept within each weight
    shown = entries[:MOST_LINES]
    lines = [_line(entry, first.language, zone) for entry in shown]
    if len(entries) > len(shown):
        lines.append(say(first.language, "digest.more", left=len(entries) - len(shown)))
    severities = [one.message.severity for one in deliveries if one.message.severity is not None]
    kinds = [one.message.kind for one in deliveries]
    title = say(
        first.language,
        "digest.title",
        total=len(deliveries),
        p0=severities.count(Severity.P0),
        firing=kinds.count("firing"),
        resolved=kinds.count("resolved"),
    )
    return Message(
        kind="digest",
        title=title,
        lines=tuple(lines),
        severity=min(severities, key=lambda one: one.rank, default=None),
        at=now,
        language=first.language,
        links=next((one.message.links for one in deliveries if one.message.links), {}),
        mention_all=any(one.message.mention_all for one in deliveries),
    )


def _weight(entry: Entry) -> int:
    message = entry.delivery.message
    if entry.resolved is None and message.kind != "resolved" and message.severity is Severity.P0:
        return 0
    return 1 if message.kind == "resolved" else 2


def _line(entry: Entry, language: str, zone: ZoneInfo) -> str:
    message = entry.delivery.message
    values = {"at": _clock(message.at, zone), "title": clip(message.title, 160)}
    if entry.resolved is not None:
        return say(language, "digest.pair", until=_clock(entry.resolved.message.at, zone), **values)
    kind = message.kind if message.kind in ("firing", "resolved") else "other"
    return say(language, f"digest.{kind}", **values)


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%m-%d %H:%M:%S")


def _bare(title: str) -> str:
    """The title without the word in brackets that tells firing from resolved."""
    return title.partition("] ")[2] or title
