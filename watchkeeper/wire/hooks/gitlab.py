"""GitLab: deployments, pipelines, pushes and releases. https://docs.gitlab.com/user/project/integrations/webhook_events/"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.wire.hooks.read import Hook, Told, at, event, first, moment, rows, status, text
from watchkeeper.wire.hooks.signature import gitlab


def deployment(told: Told) -> Event | None:
    data, found = told.data, status(text(told.data, "status"))
    if found is None:
        return None
    changed = moment(at(data, "status_changed_at")) or told.now
    return _event(
        told,
        EventKind.DEPLOY,
        f"deploy {text(data, 'ref')} to {text(data, 'environment')}: {text(data, 'status')}",
        status=found,
        environment=text(data, "environment"),
        start=changed,
        end=None if found is EventStatus.RUNNING else changed,
        version=text(data, "short_sha"),
        actor=first(text(data, "user", "username"), text(data, "user", "name")),
        link=first(text(data, "deployable_url"), text(data, "commit_url")),
        labels={"ref": text(data, "ref"), "deployment": text(data, "deployment_id")},
    )


def pipeline(told: Told) -> Event | None:
    run = at(told.data, "object_attributes")
    found = status(text(run, "status"))
    finished = moment(at(run, "finished_at"))
    if found in (None, EventStatus.RUNNING) or finished is None or not ships(run, at(told.data, "project")):
        return None
    began = moment(at(run, "created_at")) or finished
    return _event(
        told,
        EventKind.CHANGE,
        f"pipeline {text(run, 'id')}: {text(run, 'status')}",
        status=found,
        start=min(began, finished),
        end=finished,
        version=text(run, "sha"),
        actor=text(told.data, "user", "username"),
        link=text(run, "url"),
        labels={"ref": text(run, "ref"), "stage": "pipeline"},
    )


def ships(run: Any, project: Any) -> bool:
    """The pipeline is of what may be shipped: the default branch or a tag, not work on a branch."""
    main = text(project, "default_branch")
    return at(run, "tag") is True or not main or text(run, "ref") == main


def push(told: Told) -> Event | None:
    data, commit = told.data, text(told.data, "checkout_sha")
    if not commit:
        return None  # a branch was deleted
    newest = next((one for one in rows(data, "commits") if text(one, "id") == commit), None)
    return _event(
        told,
        EventKind.CHANGE,
        first(text(newest, "title"), text(newest, "message"), f"push {text(data, 'ref')}"),
        start=moment(at(newest, "timestamp")) or told.now,
        version=commit,
        actor=text(data, "user_username"),
        link=text(newest, "url"),
        labels={"ref": text(data, "ref"), "stage": "commit"},
    )


def release(told: Told) -> Event | None:
    data = told.data
    if text(data, "action") != "create":
        return None
    return _event(
        told,
        EventKind.CHANGE,
        f"release {first(text(data, 'name'), text(data, 'tag'))}",
        start=moment(at(data, "released_at")) or told.now,
        version=text(data, "tag"),
        link=text(data, "url"),
        labels={"stage": "release"},
    )


READERS: Mapping[str, Callable[[Told], Event | None]] = {
    "deployment": deployment,
    "pipeline": pipeline,
    "push": push,
    "tag_push": push,
    "release": release,
}


def read(told: Told) -> list[Event]:
    reader = READERS.get(text(told.data, "object_kind"))
    found = reader(told) if reader else None
    return [] if found is None else [found]


def _event(told: Told, kind: EventKind, words: str, **more: Any) -> Event:
    return event(told, kind, words, service=text(told.data, "project", "path_with_namespace"), **more)


HOOK = Hook(gitlab, read)
