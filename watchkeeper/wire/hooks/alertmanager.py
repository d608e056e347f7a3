"""Alertmanager's webhook, version 4: alerts of others, one event when each begins and one when it ends.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.errors import WireError
from watchkeeper.wire.hooks.read import Hook, Told, at, first, kept, moment, rows, text, title
from watchkeeper.wire.hooks.signature import ours_or_secret

#: Alerts of one notification.
MOST = 1000
#: Labels that are kept of each.
LABELS = 30


def read(told: Told) -> list[Event]:
    if text(told.data, "version") != "4":
        raise WireError("version 4 of Alertmanager's webhook is understood; this body says another")
    alerts = [one for one in rows(told.data, "alerts") if isinstance(one, Mapping)]
    if len(alerts) > MOST:
        raise WireError(f"more than {MOST} alerts at once; set max_alerts of the webhook")
    return [_event(told, one) for one in alerts]


def _event(told: Told, alert: Mapping[str, Any]) -> Event:
    found = at(alert, "labels")
    labels = {str(k): str(v)[:500] for k, v in list(found.items())[:LABELS]} if isinstance(found, Mapping) else {}
    resolved = text(alert, "status") == "resolved"
    start = moment(at(alert, "startsAt")) or told.now
    summary = first(text(alert, "annotations", "summary"), text(alert, "annotations", "description"))
    fingerprint = first(text(alert, "fingerprint"), told.digest)
    return Event(
        kind=EventKind.ALERT,
        title=title(first(summary, labels.get("alertname", ""), "alert")),
        status=EventStatus.OK if resolved else EventStatus.RUNNING,
        service=first(labels.get("service", ""), labels.get("job", "")),
        environment=labels.get("environment", ""),
        start=start,
        end=max(start, moment(at(alert, "endsAt")) or told.now) if resolved else None,
        link=text(alert, "generatorURL"),
        labels={**labels, "fingerprint": fingerprint},
        delivery=f"{fingerprint}/{start.isoformat()}/{'resolved' if resolved else 'firing'}",
        payload=kept(alert),
    )


HOOK = Hook(ours_or_secret, read)
