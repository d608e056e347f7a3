"""What is kept of one person erased at one person's asking: lines, events, habits, account. The rest is told."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.access.users import remove_accounts
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.errors import ConfigError
from watchkeeper.person import Person

#: Why what is left is left, by where; of other tables the last.
WHY = {
    "audit": "rows of the audit are never changed: they are the record of who did what",
    "series": "labels of samples stay until the samples are too old (store.retention)",
    "snapshots": "snapshots and backups were made before; they go when they are too old, or remove them",
    "damaged": "damaged files that were set aside are not searched; look at them and remove them",
    "files": "what was learned of lines stays; remove the file while the engine is stopped to learn anew",
    "unreadable": "segments with damaged parts stay whole; `watchkeeper store repair`, then ask again",
}
OTHER = "records of alerts, incidents, actions and messages; they go when they are too old"


@dataclass
class Report:
    """Counts alone: who was erased is not repeated anywhere."""

    receipt: str
    dry_run: bool
    erased: dict[str, int] = field(default_factory=dict)
    left: list[dict[str, Any]] = field(default_factory=list)


def erase(engine: Engine, person: Person, *, reason: str, caller: str, dry_run: bool, now: datetime) -> Report:
    """Raises ConfigError, ForbiddenError before anything is changed; StoreError where lines are left: ask again."""
    if person.named_in(reason):
        raise ConfigError("the reason goes into the audit, which is never changed; leave the person's name out of it")
    report = Report(f"erasure-{secrets.token_hex(6)}", dry_run)
    if dry_run:
        with engine.state.read() as unit:
            accounts = unit.persons.accounts(person)
            report.erased = {"events": len(unit.persons.events_naming(person)), "accounts": len(accounts)}
    else:
        with engine.state.begin() as unit:
            accounts = unit.persons.accounts(person)
            remove_accounts(unit, accounts, person, caller=caller)
            report.erased = {"events": unit.persons.overwrite_events(person), "accounts": len(accounts)}
            unit.audit.append(caller, "person.erase", report.receipt, {"reason": reason, **report.erased}, at=now)
    lines = engine.lines.store.erase(person, now, dry_run=dry_run)
    report.erased |= {"lines": lines.lines, "segments": lines.segments}
    report.erased["entities"] = engine.entities.erase(person.named_in, dry_run=dry_run)
    report.left = _left(engine, person, lines.unreadable, now)
    if not dry_run:
        with engine.state.begin() as unit:
            detail = {"erased": report.erased, "left": {one["where"]: one["count"] for one in report.left}}
            unit.audit.append(caller, "person.erased", report.receipt, detail, at=now)
    return report


def plain(report: Report) -> dict[str, Any]:
    return asdict(report)


def _left(engine: Engine, person: Person, unreadable: int, now: datetime) -> list[dict[str, Any]]:
    with engine.state.read() as unit:
        found = unit.persons.left(person)
    data = engine.data
    found["series"] = sum(
        any(person.named_in(value) for _, value in labels) for labels in engine.samples.series((), 0, to_ms(now))
    )
    found["snapshots"] = sum(1 for _ in data.snapshots.iterdir()) if data.snapshots.is_dir() else 0
    found["damaged"] = sum(1 for folder in data.root.rglob("damaged") for _ in folder.iterdir())
    found["files"] = sum(person.named_in(path.read_text("utf-8", "replace")) for path in data.root.glob("*.json"))
    found["unreadable"] = unreadable
    return [
        {"where": where, "count": count, "why": WHY.get(where, OTHER)}
        for where, count in sorted(found.items())
        if count
    ]
