"""Rows of the audit, and whether its chain holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.i18n import Words

#: Characters of a detail that are shown before it is unfolded.
FOLDED = 90
#: What has steps, and how one of them is called.
STEPS = {"action": "audit.action_state", "plan": "audit.plan_state", "plan_step": "audit.step_state"}


def table(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "audit.rows")
    words = caller.words
    return widgets.table(
        [words(f"audit.{name}") for name in ("seq", "at", "actor", "action", "subject", "detail")],
        [
            [
                str(row["seq"]),
                words.moment(row["at"]),
                row["actor"],
                kind(words, row["action"]),
                row["subject"],
                folded(row["detail"]),
            ]
            for row in rows
        ],
    )


def kind(words: Words, action: str) -> str:
    """What was done, in words; steps of actions and plans are named by the state they lead to."""
    named = words.word("audited", action)
    about, _, state = action.partition(".")
    if named != action or about not in STEPS:
        return named
    return words(STEPS[about], state=words.word("state", state))


def folded(detail: Any) -> Any:
    """The first words of a detail; all of it by a click, as one may be a page long."""
    if not detail:
        return ""
    text = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
    if len(text) <= FOLDED:
        return html.Code(text, className="wk-series")
    whole = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False, indent=2)
    head = html.Summary(html.Code(f"{text[:FOLDED]} …", className="wk-series"))
    return html.Details([head, html.Pre(whole)], className="wk-plan wk-folded")


def chain(caller: Caller, found: Mapping[str, Any]) -> Any:
    """The verdict, when it was made, the head, and where heads were sent."""
    words = caller.words
    return html.Div(
        [
            verdict(caller, found),
            widgets.facts(
                [
                    (words("audit.verified_at"), words.moment(found["verified_at"])),
                    (words("audit.verified_rows"), words.number(found["verified_rows"], 0)),
                    (words("audit.head"), html.Code(found["head"], className="wk-series")),
                    (words("audit.heads_compared"), compared(caller, found)),
                ]
            ),
            heads(caller, found),
        ]
    )


def verdict(caller: Caller, found: Mapping[str, Any]) -> Any:
    words = caller.words
    if found["broken_at"] is not None:
        return widgets.notice(words("audit.broken", row=found["broken_at"]), "red", title=words("audit.chain_broken"))
    if found["missing_head"]:
        lost = found["missing_head"]
        text = words("audit.missing", row=lost["row"], hash=lost["hash"][:16])
        return widgets.notice(text, "red", title=words("audit.chain_broken"))
    return widgets.notice(words("audit.intact_text"), "teal", title=words("audit.intact"))


def compared(caller: Caller, found: Mapping[str, Any]) -> str:
    words = caller.words
    if found["heads_unread"]:
        return words("audit.heads_unread", why=found["heads_unread"])
    return words.number(found["heads_compared"], 0)


def heads(caller: Caller, found: Mapping[str, Any]) -> Any:
    words = caller.words
    if not found["heads_configured"]:
        return widgets.notice(words("audit.no_heads"), "orange")
    if not found["heads_sent"]:
        return widgets.quiet(words("audit.heads_wait"))
    return widgets.table(
        [words(f"audit.{name}") for name in ("place", "at", "seq", "outcome")],
        [
            [
                words(f"audit.place.{row['place']}"),
                words.moment(row["at"]),
                str(row["row"]),
                widgets.state(caller, row["outcome"]),
            ]
            for row in found["heads_sent"]
        ],
    )
