"""A release: its six gates as events told of them, and what its first minutes in production say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from analytics.changes import Deployment, caused
from watchkeeper.model import Event, EventStatus, Incident

#: In their order; an event with the label ``gate`` and the release's version tells how one went.
GATES = ("review", "tests", "staging", "grey", "full", "verification")


def gates(events: Iterable[Event], release: Deployment) -> dict[str, str]:
    """Gate -> status of the newest event about it; a gate of which nobody told is ``unknown``, not passed."""
    found: dict[str, tuple[datetime, str]] = {}
    for one in events:
        gate = one.labels.get("gate", "")
        if gate in GATES and (one.service, one.version) == (release.service, release.version):
            at = one.end or one.start
            if gate not in found or at >= found[gate][0]:
                found[gate] = (at, one.status)
    return {gate: found[gate][1] if gate in found else "unknown" for gate in GATES}


def soak(one: Deployment, incidents: Iterable[Incident], now: datetime, length: timedelta) -> str:
    """``watching``, ``good`` or ``roll_back`` after a good deploy; empty for any other."""
    if one.status is not EventStatus.OK or one.end is None:
        return ""
    if caused(one, incidents, length):
        return "roll_back"
    return "watching" if now - one.end < length else "good"
