"""One step from alerts to incidents to what must be told, in the caller's transaction and safe to repeat.

Everything is read from rows and written to rows: whatever happened while the engine was away is found here.
Call it in the transaction that saves alert changes, and every few seconds besides, for waits and clocks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.model import Alert, Incident, IncidentState
from watchkeeper.store.state import IncidentWrite, Unit

from .clocks import SECURITY, deadlines, on_security
from .expected import expected
from .group import common_labels, group_key, group_labels, likely_cause, title, worst
from .ledger import enter, move
from .lifecycle import opened, reopened
from .mute import inhibited, silenced
from .notice import escalations, firing, resolved, sort_out
from .settings import Settings
from .telling import EXPECTED, INHIBITED, SILENCED, Change, Telling


def step(now: datetime, unit: Unit, settings: Settings) -> list[Change]:
    """Keep incidents in line with alerts; answers what to tell, worst first."""
    live = [alert for alert in unit.alerts.open() if alert.fired_at is not None]
    desk = _Desk(now, unit, settings)
    desk.read()
    desk.assign(live)
    muted = _muted(live, unit, settings, now)
    for incident in list(desk.incidents.values()):
        desk.settle(incident, muted)
    unit.incidents.save_many(desk.writes)
    enter(unit, desk.moves, now)
    return sorted(desk.changes, key=lambda change: (change.incident.severity.rank, change.kind == "resolved"))


def _muted(live: Sequence[Alert], unit: Unit, settings: Settings, now: datetime) -> dict[str, str]:
    """Alert id -> the word for why it is not told."""
    quiet = dict.fromkeys(inhibited(live, settings.inhibit), INHIBITED)
    quiet |= dict.fromkeys(expected(live, unit.feedback.expectations(now), now), EXPECTED)
    return quiet | dict.fromkeys(silenced(live, unit.incidents.silences(now), now), SILENCED)


@dataclass(slots=True)
class _Desk:
    """The open incidents of one step, with their firing alerts."""

    now: datetime
    unit: Unit
    settings: Settings
    incidents: dict[str, Incident] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  #: why the state of an incident changes
    before: dict[str, Incident] = field(default_factory=dict)
    alerts: dict[str, list[Alert]] = field(default_factory=lambda: defaultdict(list))
    by_key: dict[str, str] = field(default_factory=dict)
    moves: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    writes: list[IncidentWrite] = field(default_factory=list)

    def read(self) -> None:
        for incident in self.unit.incidents.open():
            self._take(incident)

    def _take(self, incident: Incident) -> None:
        self.incidents[incident.id] = self.before[incident.id] = incident
        self.by_key[incident.group_key] = incident.id

    def assign(self, live: Iterable[Alert]) -> None:
        """Each firing alert belongs to one incident: its own, the open one of its group, a recent one, or a new one."""
        homeless: dict[str, list[Alert]] = defaultdict(list)
        for alert in live:
            if alert.incident_id in self.incidents:
                self.alerts[alert.incident_id].append(alert)
            else:
                homeless[group_key(alert.labels, self.settings.group_by)].append(alert)
        if not homeless:
            return
        recent = self._recently_resolved()
        joined: dict[str, str] = {}
        for key, alerts in homeless.items():
            incident_id = self._home(key, alerts, recent)
            self.alerts[incident_id] += [replace(alert, incident_id=incident_id) for alert in alerts]
            joined |= dict.fromkeys((alert.id for alert in alerts), incident_id)
        self.unit.alerts.join(joined)

    def _recently_resolved(self) -> dict[str, Incident]:
        ended = self.unit.documents.get(RECENT, {})
        found: dict[str, Incident] = {}
        for key, (incident_id, at) in ended.items():
            if self.now - datetime.fromisoformat(at) <= self.settings.reopen_within:
                incident = self.unit.incidents.get(incident_id)
                if incident is not None and incident.state is IncidentState.RESOLVED:
                    found[key] = incident
        return found

    def _home(self, key: str, alerts: Sequence[Alert], recent: dict[str, Incident]) -> str:
        if key in self.by_key:
            return self.by_key[key]
        if key in recent:
            incident = reopened(recent[key], self.now, self.settings)
            self._take(incident)
            self.before[incident.id], self.reasons[incident.id] = recent[key], "reopened"
            return incident.id
        incident = opened(alerts, self.now, self.unit, self.settings)
        self.incidents[incident.id], self.by_key[key] = incident, incident.id
        self.reasons[incident.id] = "opened"
        return incident.id

    def settle(self, incident: Incident, muted: dict[str, str]) -> None:
        """Severity, cause, end, messages and clocks of one incident; kept to be written when something changed."""
        live = self.alerts.get(incident.id, [])
        incident = self._grown(incident, live)
        telling = Telling.of(incident)
        told_before = dict(telling.alerts)
        tellable = sort_out(telling, live, muted)
        if tellable and not telling.due_from:
            telling.due_from = self.now.isoformat()
        found = self._ended(incident, telling) if not live else self._going_on(incident, telling, tellable)
        move(self.moves, told_before, telling.alerts)
        if not live:
            mitigated = incident.mitigated_at or self.now
            incident = replace(incident, state=IncidentState.RESOLVED, resolved_at=self.now, mitigated_at=mitigated)
            self.reasons[incident.id] = "all_alerts_resolved"
            self._remember_end(incident)
        incident = replace(incident, details=telling.details(incident))
        self.changes += [replace(change, incident=incident) for change in found]
        if incident != self.before.get(incident.id):
            reason = self.reasons.get(incident.id, "updated")
            evidence = {"alerts": [alert.id for alert in live]}
            self.writes.append(IncidentWrite(incident=incident, reason=reason, at=self.now, evidence=evidence))

    def _ended(self, incident: Incident, telling: Telling) -> list[Change]:
        change = resolved(incident, telling, self.unit.alerts.of_incident(incident.id))
        return [change] if change else []

    def _going_on(self, incident: Incident, telling: Telling, tellable: Sequence[Alert]) -> list[Change]:
        change = firing(incident, telling, tellable, self.now, self.settings)
        late = escalations(incident, telling, tellable, self.now, self.settings)
        return ([change] if change else []) + late

    def _grown(self, incident: Incident, live: Sequence[Alert]) -> Incident:
        """The incident with the alerts it has now; severity only ever rises, and with it the clocks tighten.

        They do so too when the first alert about security comes to it.
        """
        if not live:
            return incident
        ids = list(dict.fromkeys([*incident.alert_ids, *(alert.id for alert in live)]))
        group = group_labels(live[0].labels, self.settings.group_by)
        details = {**incident.details, "likely_cause": likely_cause(live, self.settings.dependencies)}
        labels = {**common_labels(live), **group}
        security = self.settings.security_clock
        begins = not on_security(incident) and security.wanted(live)
        if begins:
            details["clock"] = SECURITY
        severity = worst([incident.severity, *(alert.severity for alert in live)])
        grown = replace(incident, alert_ids=ids, labels=labels, details=details, severity=severity)
        if severity is incident.severity and not begins:
            return grown
        respond_by, start_by = deadlines(
            self.now, severity, self.settings.clocks, self.settings.calendar, security if on_security(grown) else None
        )
        if severity is not incident.severity:
            worse = next(alert for alert in live if alert.severity is severity)
            grown = replace(grown, title=title(worse), details={**details, "title_en": title(worse, "en")})
        return replace(
            grown,
            respond_by=min(respond_by, incident.respond_by or respond_by),
            start_by=min(start_by, incident.start_by or start_by),
        )

    def _remember_end(self, incident: Incident) -> None:
        ended = self.unit.documents.get(RECENT, {})
        limit = self.now - self.settings.reopen_within
        kept = {key: row for key, row in ended.items() if datetime.fromisoformat(row[1]) >= limit}
        kept[incident.group_key] = [incident.id, self.now.isoformat()]
        self.unit.documents.put(RECENT, kept, at=self.now)


#: Incidents resolved a moment ago, by group: the ones that may open again.
RECENT = "incidents.recently_resolved"
