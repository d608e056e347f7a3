"""One entry under ``remediations`` as a RemedyRule."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta

from watchkeeper.model import Mode, RemedyRule

from .expect import read_expectation
from .fields import Fields, as_text
from .scale import read_scale

KEYS = (
    "name", "when", "confirm", "observers", "action", "target", "parameters", "mode", "owner", "verify", "guards",
    "rollback", "hold", "cooldown", "interval", "service", "labels", "link", "scale", "expect",
    "on_request",
)  # fmt: skip
#: ``3 of 4``: three bad evaluations out of the last four.
OF = re.compile(r"(\d{1,3}) of (\d{1,3})")
DEFAULT_CONFIRM = (3, 4)


def read_remedy(fields: Fields) -> RemedyRule:
    """The rule, or ConfigError naming the field."""
    fields.known(*KEYS)
    confirm_k, confirm_n = _confirm(fields)
    interval = fields.duration("interval", timedelta(seconds=15))
    if interval <= timedelta(0):
        raise fields.error("must be more than 0", "interval")
    return RemedyRule(
        name=_filled(fields, "name"),
        when=fields.promql("when"),
        confirm_k=confirm_k,
        confirm_n=confirm_n,
        observers=_observers(fields),
        action=_filled(fields, "action"),
        target=fields.text("target", ""),
        parameters=_mapping(fields, "parameters"),
        scale=read_scale(fields),
        mode=_mode(fields),
        owner=fields.text("owner", ""),
        verify=(verify := fields.promql("verify", "")),
        expect=read_expectation(fields, verify),
        guards=_guards(fields),
        rollback=_rollback(fields),
        hold=fields.duration("hold", timedelta(minutes=5)),
        cooldown=fields.duration("cooldown", timedelta(minutes=10)),
        interval=interval,
        service=fields.text("service", ""),
        incident_labels=fields.labels("labels", templates=False),
        link=fields.text("link", ""),
        on_request=_flag(fields, "on_request"),
        version=_version(fields),
        file=fields.document.file,
        line=fields.line,
    )


def _flag(fields: Fields, key: str) -> bool:
    value = fields.data.get(key, False)
    if not isinstance(value, bool):
        raise fields.error("write true or false", key)
    return value


def _filled(fields: Fields, key: str) -> str:
    value = fields.text(key)
    if not value:
        raise fields.error("must not be empty", key)
    return value


def _confirm(fields: Fields) -> tuple[int, int]:
    value = fields.data.get("confirm")
    if value is None:
        return DEFAULT_CONFIRM
    if isinstance(value, dict):
        inner = Fields(fields.document, value, (*fields.path, "confirm"))
        inner.known("k", "n")
        k, n = inner.number("k", DEFAULT_CONFIRM[0]), inner.number("n", DEFAULT_CONFIRM[1])
    else:
        found = OF.fullmatch(str(value).strip())
        if found is None:
            raise fields.error('write how many of how many evaluations, for example "3 of 4"', "confirm")
        k, n = int(found.group(1)), int(found.group(2))
    if not 1 <= k <= n:
        raise fields.error(f"{k} of {n} can never be met; the first number is 1 or more and at most the second",
                           "confirm")  # fmt: skip
    return k, n


def _observers(fields: Fields) -> dict[str, str]:
    found = fields.texts("observers")
    for name, expr in found.items():
        fields.check_promql(expr, "observers", name)
    return found


def _guards(fields: Fields) -> tuple[str, ...]:
    found = []
    for index, item in enumerate(fields.items("guards")):
        if isinstance(item, dict | list):
            raise fields.error("must be PromQL text", "guards", index)
        fields.check_promql(as_text(item), "guards", index)
        found.append(as_text(item))
    return tuple(found)


def _mode(fields: Fields) -> Mode:
    text = fields.text("mode", Mode.DRY_RUN)
    try:
        return Mode(text)
    except ValueError:
        raise fields.error(f"{text!r} is no mode; choose one of {', '.join(Mode)}", "mode") from None


def _mapping(fields: Fields, key: str) -> Mapping[str, object]:
    value = fields.data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fields.error("must be a mapping", key)
    return dict(value)


def _rollback(fields: Fields) -> Mapping[str, object] | str:
    value = fields.data.get("rollback", "before")
    if isinstance(value, dict):
        return dict(value)
    if value in ("before", "none"):
        return str(value)
    raise fields.error('must be "before", "none" or a mapping that states what to restore', "rollback")


def _version(fields: Fields) -> str:
    text = json.dumps(fields.data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
