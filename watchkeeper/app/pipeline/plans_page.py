"""The evidence of a run as one page to read: no script, nothing from elsewhere, every word escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from watchkeeper.config.plans import Plan
from watchkeeper.model import PlanRun

WIDTH, HEIGHT = 640, 120
STYLE = (
    "body{font:14px/1.5 system-ui,'Noto Sans CJK SC',sans-serif;margin:2em auto;max-width:60em;color:#1b2740}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d5dbe6;padding:.3em .6em;text-align:left;"
    "vertical-align:top}svg{background:#f4f6fa}pre{white-space:pre-wrap;background:#f4f6fa;padding:.6em}"
)


def page(run: PlanRun, plan: Plan, found: Mapping[str, Any]) -> str:
    """HTML. Both languages' titles stand beside each other: the reader is not known."""
    titles = " / ".join(dict.fromkeys(text for text in (plan.title, plan.title_en) if text)) or plan.name
    drill = " · 演练 / drill" if run.drill else ""
    parts = [
        "<!doctype html><html lang='zh-CN'><head><meta charset='utf-8'>",
        f"<title>{escape(run.id)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(titles)}</h1><p>{escape(run.id)} · {escape(str(run.state))}{drill}</p>",
        _facts(run),
        "<h2>步骤 / Steps</h2>",
        _table(
            ("step", "state", "started", "ended", "by", "action", "note"),
            [_step(step) for step in found["run"]["steps"]],
        ),
        "<h2>时间线 / Timeline</h2>",
        _table(("at", "subject", "change", "actor", "reason"), [_line(row) for row in found["timeline"]]),
        *(_metric(one) for one in found["metrics"]),
        *(_logs(one) for one in found["logs"]),
        "<h2>链接 / Links</h2><ul>",
        *(f"<li><a href='{escape(one['url'])}'>{escape(one['title'])}</a></li>" for one in found["links"]),
        "</ul></body></html>\n",
    ]
    return "\n".join(parts)


def _facts(run: PlanRun) -> str:
    recovered = run.recovered_at
    took = f"{(recovered - run.clock_at).total_seconds():.0f} s" if recovered else "—"
    target = f"{(run.due_at - run.clock_at).total_seconds():.0f} s"
    pairs = (
        ("事件 / incident", run.incident_id or "—"),
        ("触发 / triggered", run.clock_at.isoformat()),
        ("恢复 / recovered", recovered.isoformat() if recovered else "—"),
        ("恢复用时 / took", took),
        ("目标 / target", target),
        ("启动 / started by", f"{run.started_by}: {run.reason}"),
    )
    return _table(("", ""), pairs)


def _step(step: Mapping[str, Any]) -> Sequence[object]:
    return [step[name] for name in ("name", "state", "started_at", "ended_at", "by", "action_id", "note")]


def _line(row: Mapping[str, Any]) -> Sequence[object]:
    change = f"{row['old_state'] or '-'} → {row['new_state']}"
    return [row["at"], f"{row['kind']} {row['subject_id']}", change, row["actor"], row["reason"]]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    titles = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{titles}</tr>{body}</table>"


def _metric(one: Mapping[str, Any]) -> str:
    lines = [_polyline(series["points"]) for series in one["series"]]
    names = "<br>".join(escape(series["name"]) for series in one["series"])
    said = escape(one["error"]) if one["error"] else names
    drawing = f"<svg width='{WIDTH}' height='{HEIGHT}' role='img'>{''.join(lines)}</svg>"
    return f"<h2>{escape(one['title'])}</h2><p><code>{escape(one['query'])}</code></p>{drawing}<p>{said}</p>"


def _polyline(points: Sequence[Sequence[float | None]]) -> str:
    known = [(at, value) for at, value in points if at is not None and value is not None]
    if not known:
        return ""
    times, values = [at for at, _ in known], [value for _, value in known]
    left, low = min(times), min(values)
    wide, tall = max(max(times) - left, 1), (max(values) - low) or 1
    spots = " ".join(
        f"{(at - left) / wide * WIDTH:.1f},{HEIGHT - 4 - (value - low) / tall * (HEIGHT - 8):.1f}"
        for at, value in known
    )
    return f"<polyline fill='none' stroke='#2a78d4' stroke-width='1.5' points='{spots}'/>"


def _logs(one: Mapping[str, Any]) -> str:
    said = escape(one["error"]) if one["error"] else "\n".join(escape(line["text"]) for line in one["found"])
    return f"<h2>日志 / Logs</h2><p>{escape(one['query'] or '*')} {escape(one['service'])}</p><pre>{said}</pre>"
