"""Rate: how good each provider of a dual link has been lately, from 0 to 100, as series and with its explanation.

Everything comes from the link's own probes: their success, how long they took, when they were last good and what they
failed with. A component without a source gives its weight to the others, and a score that would be a guess is unknown.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from analytics.quality import Observed, Quality, quality
from remediation.links import Phase
from remediation.settings import Link
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Layout, Tick, format_series, label, labels

STATE, COST = "watchkeeper_link_state", "watchkeeper_link_cost"
SWITCHES, FLAPS = "watchkeeper_link_switches_total", "watchkeeper_link_flaps_total"
SCORE, COMPONENT = "watchkeeper_quality_score", "watchkeeper_quality_component_score"
#: Window of success, latency and errors; how far back the last good answer is looked for.
WINDOW, LOOK_BACK = "5m", "15m"
#: Seconds of that, for an answer that is older than anything in it.
LOOK_BACK_SECONDS = 900.0
#: What a probe failed with -> what that says about the provider (``analytics.quality.ERROR_WEIGHT``).
CLASSES = {"timeout": "timeout", "slow": "timeout", "connect": "connect", "tls": "connect"}
OTHER_CLASS = "server"


@dataclass(frozen=True, slots=True)
class Rated:
    """One provider's score with what it was made from."""

    link: str
    service: str
    provider: str
    side: str  #: primary | backup
    at: datetime
    observed: Observed
    found: Quality

    def view(self) -> dict[str, Any]:
        """As docs/api.md has it; null is unknown."""
        return {
            "provider": self.provider,
            "side": self.side,
            "score": _known(self.found.score),
            "unknown": self.found.unknown,
            "worst": self.found.worst,
            "components": [
                {
                    "name": part.name,
                    "score": _known(part.score),
                    "weight": round(part.weight, 4),
                    "lost": _known(part.lost),
                }
                for part in self.found.components
            ],
            "observed": {
                "success_ratio": _known(self.observed.success_ratio),
                "latency_p95_seconds": _known(self.observed.latency_seconds),
                "last_good_age_seconds": _known(self.observed.age_seconds),
                "probes": _known(self.observed.requests),
                "errors": None if self.observed.errors is None else dict(self.observed.errors),
            },
        }


@dataclass(slots=True, eq=False)
class Rating:
    """``step`` rates every provider of every link and keeps the scores as series."""

    links: Sequence[Link]
    ask: Ask
    executor: Executor
    append: Callable[[str, Sequence[Tick]], Any]
    phase: Callable[[str], str] = lambda _link: Phase.PRIMARY  #: link -> state of its circuit
    counts: Callable[[str], tuple[int, int]] = lambda _link: (0, 0)  #: link -> changes of side ever, and flaps of them
    rated: dict[tuple[str, str], Rated] = field(default_factory=dict)
    _layouts: dict[str, Layout] = field(default_factory=dict)

    async def step(self, now: datetime) -> None:
        found = await asyncio.get_running_loop().run_in_executor(self.executor, self._rate, now)
        self.rated = {(one.link, one.side): one for one in found}
        if found:
            counts = await asyncio.to_thread(lambda: [self.counts(link.name) for link in self.links])
            states = [self._state(link, found, now) for link, found in zip(self.links, counts, strict=True)]
            await self.append("quality", [*(self._tick(one) for one in found), *states])

    def views(self, now: datetime, serving: Callable[[str], str]) -> list[dict[str, Any]]:
        """Every link with both its providers, best explanation first; ``serving``: link -> side."""
        rows = []
        for link in self.links:
            mine = [one for one in self.rated.values() if one.link == link.name]
            rows.append(
                {
                    "link": link.name,
                    "service": link.service,
                    "serving": serving(link.name),
                    "age_seconds": (now - mine[0].at).total_seconds() if mine else None,
                    "providers": [one.view() for one in mine],
                }
            )
        return rows

    def evidence(self) -> dict[str, dict[str, object]]:
        """Link -> what a plan says about the quality of its providers, at the moment it was made."""
        found: dict[str, dict[str, object]] = {}
        for one in self.rated.values():
            found.setdefault(one.link, {})[one.provider] = {"at": one.at.isoformat(), **one.view()}
        return found

    def _rate(self, now: datetime) -> list[Rated]:
        sides = [
            (link, side, name, probe)
            for link in self.links
            for side, name, probe in (
                ("primary", link.primary, link.primary_probe),
                ("backup", link.backup, link.backup_probe),
            )
        ]
        found = []
        for link, side, name, probe in sides:
            seen = self._observe(probe, now)
            found.append(Rated(link.name, link.service, name, side, now, seen, quality(seen)))
        return found

    def _observe(self, probe: str, now: datetime) -> Observed:
        """What the probe and its companions of the same labels say."""
        identity = self._identity(probe, now)
        good_at = self._one(f"max(max_over_time((timestamp({probe}) * (({probe}) > bool 0))[{LOOK_BACK}:5s]))", now)
        failures, requests = self._failures(identity, now), math.nan
        took = math.nan
        if identity is not None:
            took = self._one(
                f"max(quantile_over_time(0.95, {_named('probe_duration_seconds', identity)}[{WINDOW}]))", now
            )
            requests = self._one(f"sum(count_over_time({_named('probe_success', identity)}[{WINDOW}]))", now)
        return Observed(
            success_ratio=self._one(f"min(avg_over_time(({probe})[{WINDOW}:5s]))", now),
            latency_seconds=took,
            age_seconds=_age(good_at, now),
            errors=failures,
            requests=requests,
        )

    def _identity(self, probe: str, now: datetime) -> Labels | None:
        """Labels of the probe's own series; None when it is not one plain series of a probe."""
        rows = self._rows(f"last_over_time({probe}[{WINDOW}])", now)
        if len(rows) != 1 or "probe_success" not in probe:
            return None
        return tuple(pair for pair in rows[0][0] if pair[0] != METRIC_NAME)

    def _failures(self, identity: Labels | None, now: datetime) -> Mapping[str, float] | None:
        """Error class -> failed probes of the window."""
        if identity is None:
            return None
        expr = f"sum by (reason) (count_over_time({_named('probe_failure_info', identity)}[{WINDOW}]))"
        counts: dict[str, float] = {}
        for series, value in self._rows(expr, now):
            kind = CLASSES.get(label(series, "reason"), OTHER_CLASS)
            counts[kind] = counts.get(kind, 0.0) + value
        return counts

    def _one(self, expr: str, now: datetime) -> float:
        rows = self._rows(expr, now)
        return rows[0][1] if rows else math.nan

    def _rows(self, expr: str, now: datetime) -> Sequence[tuple[Labels, float]]:
        try:
            return self.ask(expr, now)
        except QueryError:  # a probe that is no plain selector has no companions: that part is unknown, and shown so
            return []

    def _state(self, link: Link, counts: tuple[int, int], now: datetime) -> Tick:
        """The link's circuit, one series a state and 1 for the one it is in; what each provider costs; switches."""
        pairs = {"link": link.name, "service": link.service}
        costs = {link.primary: link.primary_cost, link.backup: link.backup_cost}
        phase = self.phase(link.name)
        series = (
            *(labels(STATE, pairs, state=each) for each in Phase),
            *(labels(COST, pairs, provider=name) for name in costs),
            *(labels(name, pairs) for name in (SWITCHES, FLAPS)),
        )
        layout = self._layout(f"link/{link.name}", series)
        values = np.array([*(float(each == phase) for each in Phase), *costs.values(), *counts], dtype=np.float64)
        return Tick(target=f"link/{link.name}", time_ms=to_ms(now), layout=layout, values=values)

    def _layout(self, name: str, series: tuple[Labels, ...]) -> Layout:
        known = self._layouts.get(name)
        if known is None or known.series != series:
            known = self._layouts[name] = Layout(series)
        return known

    def _tick(self, one: Rated) -> Tick:
        pairs = {"link": one.link, "provider": one.provider, "service": one.service}
        parts = one.found.components
        series = (labels(SCORE, pairs), *(labels(COMPONENT, pairs, component=part.name) for part in parts))
        name = f"quality/{one.link}/{one.side}"
        layout = self._layout(name, series)
        values = np.array([one.found.score, *(part.score for part in parts)], dtype=np.float64)
        return Tick(
            target=name, time_ms=to_ms(one.at), layout=layout, values=np.where(np.isnan(values), STALE_NAN, values)
        )


def _named(name: str, identity: Labels) -> str:
    return format_series(labels(name, dict(identity)))


def _age(good_at: float, now: datetime) -> float:
    """Seconds since the last good answer; not measured when nothing was asked at all."""
    if math.isnan(good_at):
        return math.nan
    return now.timestamp() - good_at if good_at > 0 else LOOK_BACK_SECONDS


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
