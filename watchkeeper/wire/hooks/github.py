"""GitHub: deployment statuses, pushes, releases, workflow runs, and alerts of Dependabot and code scanning.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.hooks.read import Hook, Told, at, event, first, moment, status, text, title
from watchkeeper.wire.hooks.signature import github

NO_COMMIT = "0" * 40
#: GitHub names the tag of a run where it names its branch.
TAG = re.compile(r"v?\d+(?:\.\d+)+\S*")


def deployment_status(told: Told) -> Event | None:
    data = told.data
    state = text(data, "deployment_status", "state")
    found = None if state == "inactive" else status(state)
    if found is None:
        return None
    updated = moment(at(data, "deployment_status", "updated_at")) or told.now
    began = moment(at(data, "deployment", "created_at")) or updated
    environment = first(text(data, "deployment_status", "environment"), text(data, "deployment", "environment"))
    return _event(
        told,
        EventKind.DEPLOY,
        f"deploy {text(data, 'deployment', 'ref')} to {environment}: {state}",
        status=found,
        environment=environment,
        start=min(began, updated),
        end=None if found is EventStatus.RUNNING else updated,
        version=text(data, "deployment", "sha"),
        actor=text(data, "deployment", "creator", "login"),
        link=first(text(data, "deployment_status", "log_url"), text(data, "deployment_status", "target_url")),
        labels={"ref": text(data, "deployment", "ref"), "deployment": text(data, "deployment", "id")},
    )


def push(told: Told) -> Event | None:
    data = told.data
    commit = first(text(data, "after"), text(data, "head_commit", "id"))
    if commit in ("", NO_COMMIT):
        return None  # a branch was deleted
    return _event(
        told,
        EventKind.CHANGE,
        first(title(text(data, "head_commit", "message")), f"push {text(data, 'ref')}"),
        start=moment(at(data, "head_commit", "timestamp")) or told.now,
        version=commit,
        actor=first(text(data, "pusher", "name"), text(data, "sender", "login")),
        link=text(data, "compare"),
        labels={"ref": text(data, "ref"), "stage": "commit"},
    )


def release(told: Told) -> Event | None:
    data = told.data
    if text(data, "action") != "published":
        return None
    tag = text(data, "release", "tag_name")
    return _event(
        told,
        EventKind.CHANGE,
        f"release {first(text(data, 'release', 'name'), tag)}",
        start=moment(at(data, "release", "published_at")) or told.now,
        version=tag,
        actor=text(data, "release", "author", "login"),
        link=text(data, "release", "html_url"),
        labels={"stage": "release"},
    )


def workflow_run(told: Told) -> Event | None:
    run = at(told.data, "workflow_run")
    found = status(text(run, "conclusion"))
    if text(told.data, "action") != "completed" or found is None or not ships(run, at(told.data, "repository")):
        return None
    updated = moment(at(run, "updated_at")) or told.now
    return _event(
        told,
        EventKind.CHANGE,
        f"workflow {text(run, 'name')}: {text(run, 'conclusion')}",
        status=found,
        start=min(moment(at(run, "run_started_at")) or updated, updated),
        end=updated,
        version=text(run, "head_sha"),
        actor=text(run, "actor", "login"),
        link=text(run, "html_url"),
        labels={"ref": text(run, "head_branch"), "stage": first(text(run, "name"), "workflow")},
    )


def ships(run: Any, repository: Any) -> bool:
    """The run is of what may be shipped: the default branch or a tag such as v1.2, not work on a branch."""
    if text(run, "event") in ("pull_request", "pull_request_target", "merge_group"):
        return False
    branch, main = text(run, "head_branch"), text(repository, "default_branch")
    return text(run, "event") != "push" or branch in ("", main) or not main or TAG.fullmatch(branch) is not None


#: What GitHub says when an alert comes, and when it is done away with.
OPENED = ("created", "reopened", "reopened_by_user", "appeared_in_branch", "auto_reopened", "reintroduced")
CLOSED = ("fixed", "dismissed", "auto_dismissed", "closed_by_user")


def finding(told: Told) -> Event | None:
    alert = at(told.data, "alert")
    action = text(told.data, "action")
    if action not in (*OPENED, *CLOSED):
        return None
    severity = first(text(alert, "security_advisory", "severity"), text(alert, "rule", "security_severity_level"),
                     text(alert, "rule", "severity"))  # fmt: skip
    what = first(text(alert, "security_advisory", "summary"), text(alert, "rule", "description"), "security alert")
    when = "created_at" if action == "created" else "updated_at"
    start = moment(at(alert, when)) or told.now
    found = EventStatus.CANCELLED if action in CLOSED else EventStatus.OK
    link = text(alert, "html_url")
    return _event(
        told, EventKind.SECURITY_FINDING, what, status=found, start=start, link=link, labels={"severity": severity}
    )


READERS: Mapping[str, Callable[[Told], Event | None]] = {
    "deployment_status": deployment_status,
    "push": push,
    "release": release,
    "workflow_run": workflow_run,
    "dependabot_alert": finding,
    "code_scanning_alert": finding,
}


def read(told: Told) -> list[Event]:
    reader = READERS.get(told.headers.get("x-github-event", ""))
    found = reader(told) if reader else None
    return [] if found is None else [found]


def _event(told: Told, kind: EventKind, words: str, **more: Any) -> Event:
    return event(told, kind, words, service=text(told.data, "repository", "full_name"), **more)


HOOK = Hook(github, read)
