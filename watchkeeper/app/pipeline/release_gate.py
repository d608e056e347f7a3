"""The gate of a release by metrics: its golden signals, or what the configuration asks, before and after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.changes import Deployment
from analytics.release_gate import Compared, Limit, compare, overall
from watchkeeper.app.catalogue.coverage import golden
from watchkeeper.app.catalogue.kinds import about_service
from watchkeeper.app.pipeline.release_signals import by_names
from watchkeeper.clock import to_ms
from watchkeeper.config.events import Check
from watchkeeper.errors import QueryError
from watchkeeper.model import EventStatus, metric_name

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: Points of each side.
POINTS = 40
#: What stands for the release's version in PromQL.
VERSION = "$version"
#: Golden signals that a release may not make worse, in seconds, ratios or whatever the kind measures them in.
USUAL = (
    Check(name="latency", query="latency", worse_by=0.3, least=0.01),
    Check(name="errors", query="errors", worse_by=0.5, least=0.01),
    Check(name="saturation", query="saturation", worse_by=0.3, least=0.05),
)
#: Verdicts that are remembered.
REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Judged:
    """``verdict``: watching, passed, failed or unknown; empty: the deploy came to no good end."""

    verdict: str
    checks: Mapping[str, Compared] = field(default_factory=dict)
    final: bool = False  #: it will not change any more

    def shape(self) -> dict[str, Any]:
        """As the API has it."""
        rows = [
            {
                "name": name, "verdict": one.verdict, "reason": one.reason, "before": _number(one.before),
                "after": _number(one.after), "allowed": _number(one.allowed),
            }
            for name, one in self.checks.items()
        ]  # fmt: skip
        return {"verdict": self.verdict, "final": self.final, "checks": rows}


@dataclass(slots=True, eq=False)
class Gating:
    """Judges deploys; what is final is remembered."""

    engine: Engine
    _final: dict[tuple[str, ...], Judged] = field(default_factory=dict)

    def judge(self, one: Deployment, now: datetime) -> Judged:
        """The gate of one deploy, or of one stage of it, as it stands now. Whatever fails early stays failed."""
        if one.status is not EventStatus.OK or one.end is None or not one.service:
            return Judged("")
        key = (one.service, one.environment, one.version, one.stage, one.end.isoformat())
        known = self._final.get(key)
        if known is not None:
            return known
        judged = self._judge(one, one.end, now)
        if judged.final:
            while len(self._final) >= REMEMBERED:
                self._final.pop(next(iter(self._final)))
            self._final[key] = judged
        return judged

    def _judge(self, one: Deployment, end: datetime, now: datetime) -> Judged:
        section = self.engine.config.events.gate
        begin, last = end + section.settle, min(end + section.after, now)
        if last <= begin:
            return Judged("watching")
        over, after = now >= end + section.after, (begin, last)
        known = self._known(self._checks(one.service), one, after) or self._known(self._named(one, last), one, after)
        verdict = overall(found.verdict for found in known.values())
        return Judged(verdict if over or verdict == "failed" else "watching", known, over or verdict == "failed")

    def _known(
        self, checks: Mapping[str, Check], one: Deployment, after: tuple[datetime, datetime]
    ) -> dict[str, Compared]:
        """Those of which something is measured on both sides."""
        found = {name: self._compared(check, one, after) for name, check in checks.items()}
        return {name: each for name, each in found.items() if not math.isnan(each.before + each.after)}

    def _named(self, one: Deployment, at: datetime) -> dict[str, Check]:
        """Latencies and errors by the names of what is measured of the service; none where checks are configured."""
        if any(not each.services or one.service in each.services for each in self.engine.config.events.gate.checks):
            return {}
        expr = about_service('group by (__name__) (last_over_time({service="$service"}[10m]))', one.service)
        try:
            rows = self.engine.cataloguing.ask(expr, at)
        except QueryError:
            return {}
        return by_names(metric_name(series) for series, _ in rows)

    def _checks(self, service: str) -> dict[str, Check]:
        """What the configuration asks of the service, else its golden signals."""
        own = [one for one in self.engine.config.events.gate.checks if not one.services or service in one.services]
        if own:
            return {one.name: one for one in own}
        book = self.engine.cataloguing
        kind = next((one.kind for one in book.services if one.name == service), "")
        queries = golden(book.kinds.get(kind))
        return {one.name: one.model_copy(update={"query": queries[one.query]}) for one in USUAL if one.query in queries}

    def _compared(self, check: Check, one: Deployment, after: tuple[datetime, datetime]) -> Compared:
        limit = Limit(
            higher_is_worse=check.worse == "higher", worse_by=check.worse_by, least=check.least,
            bound=check.at_most if check.worse == "higher" else check.at_least,
        )  # fmt: skip
        before = (one.start - self.engine.config.events.gate.before, one.start)
        asked = (check.baseline, after) if check.baseline else (check.query, before)
        old, new = (self._asked(query, one, span, limit) for query, span in (asked, (check.query, after)))
        return compare(old, new, limit)

    def _asked(self, query: str, one: Deployment, span: tuple[datetime, datetime], limit: Limit) -> list[float]:
        """The worst series at each point; infinite where nothing is known."""
        expr = about_service(query, one.service).replace(VERSION, _quoted(one.version))
        step = max((span[1] - span[0]) / POINTS, timedelta(seconds=5))
        try:
            found = self.engine.exact.range(expr, to_ms(span[0]), to_ms(span[1]), round(step.total_seconds() * 1000))
        except QueryError:
            return []
        if not len(found.series):
            return []
        nothing, worst = (-np.inf, np.fmax) if limit.higher_is_worse else (np.inf, np.fmin)
        worst_of: list[float] = worst.reduce(np.where(found.present, found.values, nothing), axis=0).tolist()
        return worst_of


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
