"""Which alerts are one incident, what it is called, and where it probably began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from watchkeeper.model import Alert, Severity
from watchkeeper.wording import in_language


def group_labels(labels: Mapping[str, str], group_by: Sequence[str]) -> dict[str, str]:
    """The labels an incident is made of. ``service/job`` takes the first that is set; nothing set: the alert's name."""
    found: dict[str, str] = {}
    for names in group_by:
        for name in names.split("/"):
            if labels.get(name):
                found[name] = labels[name]
                break
    return found or {"alertname": labels.get("alertname", "")}


def group_key(labels: Mapping[str, str], group_by: Sequence[str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(group_labels(labels, group_by).items()))


def common_labels(alerts: Sequence[Alert]) -> dict[str, str]:
    """Labels all alerts agree on."""
    if not alerts:
        return {}
    first, *rest = alerts
    return {name: value for name, value in first.labels.items() if all(one.labels.get(name) == value for one in rest)}


def worst(severities: Iterable[Severity]) -> Severity:
    return min(severities, key=lambda severity: severity.rank)


def title(alert: Alert, language: str = "zh-CN") -> str:
    """The alert's summary in the language, else its name and labels."""
    if summary := in_language(alert.annotations, "summary", language):
        return summary
    where = alert.labels.get("service") or alert.labels.get("instance") or alert.labels.get("job") or ""
    return f"{alert.rule}: {where}" if where else alert.rule


def likely_cause(
    alerts: Sequence[Alert], dependencies: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str] | None:
    """The earliest alert on the service that all others lean on; without known dependencies the earliest alert."""
    if not alerts:
        return None
    services = {service(alert) for alert in alerts} - {""}
    needs = dependencies or {}
    roots = {one for one in services if not (_needed(one, needs) & services)}
    known = {one for one in services if needs.get(one) or any(one in needed for needed in needs.values())}
    upstream = [alert for alert in alerts if service(alert) in roots & known] if len(services) > 1 else []
    chosen = min(upstream or alerts, key=_began)
    return {
        "alert_id": chosen.id,
        "rule": chosen.rule,
        "service": service(chosen),
        "why": "most_upstream" if upstream else "earliest",
    }


def service(alert: Alert) -> str:
    return alert.labels.get("service") or alert.labels.get("job", "")


def _began(alert: Alert) -> tuple[datetime, int, str]:
    return alert.active_at, alert.severity.rank, alert.id


def _needed(one: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything the service needs, directly or through others; itself excluded."""
    found: set[str] = set()
    left = list(needs.get(one, ()))
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs.get(name, ())
    return found - {one}
