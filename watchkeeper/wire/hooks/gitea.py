"""Gitea and Forgejo: pushes and releases. https://docs.gitea.com/usage/repository/webhooks"""

from __future__ import annotations

from watchkeeper.model import Event, EventKind
from watchkeeper.wire.hooks.read import Hook, Told, at, event, first, moment, rows, text
from watchkeeper.wire.hooks.signature import gitea

NO_COMMIT = "0" * 40


def push(told: Told) -> Event | None:
    """The shape that Gitea and Gitee share."""
    data, commit = told.data, text(told.data, "after")
    if commit in ("", NO_COMMIT):
        return None  # a branch was deleted
    newest = next((one for one in [at(data, "head_commit"), *rows(data, "commits")] if text(one, "id") == commit), None)
    return event(
        told,
        EventKind.CHANGE,
        first(text(newest, "message"), f"push {text(data, 'ref')}"),
        service=text(data, "repository", "full_name"),
        start=moment(at(newest, "timestamp")) or told.now,
        version=commit,
        actor=first(text(data, "pusher", "login"), text(data, "pusher", "username"), text(data, "sender", "login")),
        link=first(text(data, "compare_url"), text(data, "compare")),
        labels={"ref": text(data, "ref"), "stage": "commit"},
    )


def release(told: Told) -> Event | None:
    data = told.data
    if text(data, "action") != "published":
        return None
    tag = text(data, "release", "tag_name")
    return event(
        told,
        EventKind.CHANGE,
        f"release {first(text(data, 'release', 'name'), tag)}",
        service=text(data, "repository", "full_name"),
        start=moment(at(data, "release", "published_at")) or told.now,
        version=tag,
        actor=text(data, "release", "author", "login"),
        link=text(data, "release", "html_url"),
        labels={"stage": "release"},
    )


def read(told: Told) -> list[Event]:
    reader = {"push": push, "release": release}.get(told.headers.get("x-gitea-event", ""))
    found = reader(told) if reader else None
    return [] if found is None else [found]


HOOK = Hook(gitea, read)
