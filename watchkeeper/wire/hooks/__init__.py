"""Webhooks of others: who may speak (``signature``) and what they say (a file each)."""

from __future__ import annotations

from collections.abc import Mapping

from watchkeeper.wire.hooks import alertmanager, argocd, gitea, gitee, github, gitlab, given, jenkins
from watchkeeper.wire.hooks.read import Hook, Told

__all__ = ["BUILTIN", "Hook", "Told"]

#: Presets by name. A new one is one file and one line here.
BUILTIN: Mapping[str, Hook] = {
    "watchkeeper": given.HOOK,
    "github": github.HOOK,
    "gitlab": gitlab.HOOK,
    "gitea": gitea.HOOK,
    "gitee": gitee.HOOK,
    "jenkins": jenkins.HOOK,
    "argocd": argocd.HOOK,
    "alertmanager": alertmanager.HOOK,
}
