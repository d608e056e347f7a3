"""The host, service and pool of an incident: which of them were odd as a whole, and by which metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from watchkeeper.app.pipeline.alarms import contributors
from watchkeeper.app.pipeline.groups import ODD, keys_of
from watchkeeper.app.pipeline.groups import SCORE as GROUP_SCORE
from watchkeeper.model import Incident, labels

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: A score of a group counts from so long before the incident to so long after.
BEFORE, AFTER = timedelta(minutes=10), timedelta(minutes=5)


def odd_groups(engine: Engine, incident: Incident) -> list[dict[str, Any]]:
    """Those whose score was up about the beginning of the incident, the highest first."""
    end, window = min(incident.opened_at + AFTER, engine.clock.now()), BEFORE + AFTER
    things = dict(key for key, _ in keys_of(labels("", incident.labels), engine.cataloguing.pool_of))
    if not things:
        return []
    rows = engine.judging.ask(f"max_over_time({GROUP_SCORE}[{round(window.total_seconds())}s])", end)
    peaks = {(own["scope"], own[own["scope"]]): peak for own, peak in ((dict(one), peak) for one, peak in rows)}
    found = []
    for scope, name in things.items():
        score = peaks.get((scope, name), 0.0)
        if score >= ODD:
            shares = contributors(engine, {"scope": scope, scope: name}, end, window)
            metrics = [{"metric": metric, "share": share} for metric, share in shares]
            found.append({"scope": scope, "name": name, "score": score, "metrics": metrics})
    return sorted(found, key=lambda one: -float(one["score"]))
