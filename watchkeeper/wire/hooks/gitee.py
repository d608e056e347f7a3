"""Gitee: pushes of branches and tags. https://help.gitee.com/webhook/gitee-webhook-push-data-format"""

from __future__ import annotations

from watchkeeper.model import Event
from watchkeeper.wire.hooks.gitea import push
from watchkeeper.wire.hooks.read import Hook, Told, text
from watchkeeper.wire.hooks.signature import gitee


def read(told: Told) -> list[Event]:
    found = push(told) if text(told.data, "hook_name") in ("push_hooks", "tag_push_hooks") else None
    return [] if found is None else [found]


HOOK = Hook(gitee, read)
