"""Every alarm that a person can judge: alerts of rules, and what the detector found, each with an id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.app.pipeline.groups import NAMED, SHARE
from watchkeeper.app.pipeline.score import ALARM
from watchkeeper.app.pipeline.taught import service_of
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import METRIC_NAME, Alert, Labels, fingerprint, format_series
from watchkeeper.model import labels as as_labels

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine
    from watchkeeper.store.state import Unit

#: Rules over series of this name tell what the detector says.
DETECTED = "watchkeeper_anomaly_"
#: An anomaly can be judged for so long.
DAY = timedelta(days=1)
#: The moment at which an alarm was raised, as a window.
MOMENT = timedelta(milliseconds=1)

#: Metric -> share.
Contributors = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. ``mark`` is the same for the same series and kind, or the same rule and labels."""

    id: str
    incident: str
    mark: str
    detector: str
    service: str
    title: str
    labels: Mapping[str, str]
    severity: str  #: empty for an anomaly
    began_at: datetime
    raised_at: datetime
    ended_at: datetime | None  #: none: still open, or not known
    is_open: bool
    change: float | None = None
    baseline: float | None = None  #: what it is compared with; of most kinds in the unit of the series
    factor: float | None = None  #: how many times too far
    contributors: Contributors = ()  #: of several metrics at once those that count most, with shares

    @property
    def metric(self) -> str:
        return self.labels.get("metric", "")

    @property
    def length(self) -> timedelta:
        return (self.ended_at - self.raised_at) if self.ended_at else timedelta()


def alarms(engine: Engine, unit: Unit, since: datetime) -> list[Alarm]:
    """Newest first: alerts that fired since then, and anomalies of the last day."""
    alerts = [of_alert(engine, one) for one in unit.alerts.recent(since) if one.fired_at is not None]
    found = [*alerts, *anomalies(engine)]
    return sorted(found, key=lambda one: one.raised_at, reverse=True)


def find(engine: Engine, unit: Unit, alarm_id: str) -> list[Alarm]:
    """The alarm of this id, or all alarms of an incident; empty when there is none."""
    if alarm_id.startswith("inc-"):
        rows = unit.alerts.of_incident(alarm_id)
        return [of_alert(engine, one) for one in rows if one.fired_at is not None]
    if alarm_id.startswith("anomaly-"):
        return [one for one in anomalies(engine) if one.id == alarm_id]
    alert = unit.alerts.get(alarm_id)
    return [of_alert(engine, alert)] if alert is not None and alert.fired_at is not None else []


def of_alert(engine: Engine, alert: Alert) -> Alarm:
    return Alarm(
        id=alert.id,
        incident=alert.incident_id,
        mark=alert.fingerprint,
        detector=engine.config.scoring.detector if DETECTED in alert.expr else alert.rule,
        service=service_of(alert.labels),
        title=alert.rule,
        labels=alert.labels,
        severity=alert.severity,
        began_at=alert.active_at,
        raised_at=alert.fired_at or alert.active_at,
        ended_at=alert.resolved_at,
        is_open=alert.resolved_at is None,
    )


def anomalies(engine: Engine) -> list[Alarm]:
    """What the detector told in the last day, each series and kind once."""
    now, window = engine.clock.now(), round(DAY.total_seconds())
    _, since, change, raised, baseline, factor = ALARM

    def of(name: str) -> dict[Labels, float]:
        rows = engine.judging.ask(f"last_over_time({name}[{window}s])", now)
        return {own(series): value for series, value in rows}

    told, open_now = of(raised), {own(series) for series, _ in engine.judging.ask(ALARM[0], now)}
    sizes = [of(name) for name in (change, baseline, factor)]
    return [
        _anomaly(
            engine.scoring.kind_for(series),
            series,
            (at, told.get(series, at)),
            [size.get(series) for size in sizes],
            is_open=series in open_now,
            contributors=contributors(engine, dict(series), from_ms(told.get(series, at) * 1000.0)),
        )
        for series, at in of(since).items()
    ]


def contributors(engine: Engine, thing: Mapping[str, str], at: datetime, window: timedelta = MOMENT) -> Contributors:
    """The metrics that counted most for a host, service or pool then, the largest share first."""
    scope = thing.get("scope", "")
    if not scope:
        return ()
    name = thing.get(scope, "").replace("\\", "\\\\").replace('"', '\\"')
    query = f'max_over_time({SHARE}{{scope="{scope}",{scope}="{name}"}}[{round(window.total_seconds() * 1000)}ms])'
    rows = [(_metric(dict(series), scope), share) for series, share in engine.judging.ask(query, at)]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:NAMED]


def _metric(labels: Mapping[str, str], scope: str) -> str:
    """The metric with the labels that are its own, as it is written."""
    rest = {key: value for key, value in labels.items() if key not in ("metric", "scope", scope, METRIC_NAME)}
    return format_series(as_labels(labels.get("metric", ""), rest))


def own(series: Iterable[tuple[str, str]]) -> Labels:
    """Labels without the name, sorted: what marks are made of."""
    return tuple(sorted(pair for pair in series if pair[0] != METRIC_NAME))


def _anomaly(
    detector: str,
    series: Labels,
    times: tuple[float, float],
    sizes: Sequence[float | None],
    *,
    is_open: bool,
    contributors: Contributors,
) -> Alarm:
    """``times``: since when, and when it was raised; ``sizes``: change, baseline, factor."""
    since, raised = times
    change, baseline, factor = sizes
    labels, began = dict(series), from_ms(since * 1000.0)
    mark = fingerprint(series)
    return Alarm(
        id=f"anomaly-{mark}-{to_ms(began)}",
        incident="",
        mark=mark,
        detector=detector,
        service=service_of(labels),
        title=f"{scope} {labels.get(scope, '')}" if (scope := labels.get("scope")) else labels.get("metric", ""),
        labels=labels,
        severity="",
        began_at=began,
        raised_at=max(began, from_ms(raised * 1000.0)),
        ended_at=None,
        is_open=is_open,
        change=change,
        baseline=baseline,
        factor=factor,
        contributors=contributors,
    )
