"""Advice on tuning, from what is measured; and whether the change that somebody then made helped.

Good for: one signal of one thing that was beyond its limit for most of a known time. Nothing is ever applied here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .release_gate import Limit, compare

#: Share of the points looked at that must be known, and share of the known that must be beyond the limit.
KNOWN_SHARE, BEYOND_SHARE = 0.8, 0.8
#: A median that moved by less than this share of what it was, or within noise, did not move.
MOVED_BY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """``query``: PromQL of one number for each thing it may be about."""

    kind: str  #: names its words on the page
    query: str
    limit: float
    unit: str  #: ratio | seconds | count | bytes_per_second
    higher_is_worse: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Medians before and after a change, NaN where nothing is known; ``share``: by how much better, below 0 worse."""

    verdict: str  #: improved | worse | unchanged | unknown
    before: float
    after: float
    share: float
    reason: str = ""  #: few_before | few_after; empty: judged


QUEUE, SPEED = "max by (service, instance, queue) ", "by (service, instance, name) "
ADVICE: tuple[Advice, ...] = (
    Advice(kind="queue_wait", query=f"{QUEUE}(job_queue_oldest_age_seconds)", limit=60.0, unit="seconds"),
    Advice(
        kind="cpu_throttling",
        query=f"sum {SPEED}(rate(container_cpu_cfs_throttled_periods_total[5m]))"
        f" / (sum {SPEED}(rate(container_cpu_cfs_periods_total[5m])) > 0)",
        limit=0.1,
        unit="ratio",
    ),
    Advice(
        kind="connection_pool",
        query="max by (service, instance, pool) (hikaricp_connections_active / hikaricp_connections_max)"
        " or mysql_global_status_threads_connected / mysql_global_variables_max_connections"
        " or sum by (job, instance, service, environment) (pg_stat_database_numbackends)"
        " / sum by (job, instance, service, environment) (pg_settings_max_connections)",
        limit=0.8,
        unit="ratio",
    ),
    Advice(kind="cache_hit", query="cache_hit_rate", limit=0.8, unit="ratio", higher_is_worse=False),
    Advice(
        kind="temporary_files",
        query="sum by (job, instance, service, environment, datname) (rate(pg_stat_database_temp_bytes[5m]))",
        limit=1e7,
        unit="bytes_per_second",
    ),
    Advice(
        kind="garbage_collection",
        query="sum by (service, instance) (rate(jvm_gc_pause_seconds_sum[5m]))",
        limit=0.05,
        unit="ratio",
    ),
    Advice(
        kind="model_queue",
        query="max by (service, instance, model_name) (vllm:num_requests_waiting)",
        limit=5.0,
        unit="count",
    ),
)


def advised(values: Sequence[float], advice: Advice) -> float | None:
    """The median of a window when it was beyond the limit for most of it; None when it was not, or is not known."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < KNOWN_SHARE * len(values) or not known:
        return None
    beyond = sum(value > advice.limit if advice.higher_is_worse else value < advice.limit for value in known)
    return median(known) if beyond >= BEYOND_SHARE * len(known) else None


def judged(before: Sequence[float], after: Sequence[float], *, higher_is_worse: bool) -> Judged:
    """Whether it moved beyond noise, and to which side; the same arithmetic as for releases."""
    worse = compare(before, after, Limit(higher_is_worse=higher_is_worse, worse_by=MOVED_BY))
    better = compare(before, after, Limit(higher_is_worse=not higher_is_worse, worse_by=MOVED_BY))
    gain = worse.before - worse.after if higher_is_worse else worse.after - worse.before
    share = gain / abs(worse.before) if worse.before else math.nan
    if "unknown" in (worse.verdict, better.verdict):
        return Judged(verdict="unknown", before=worse.before, after=worse.after, share=math.nan, reason=worse.reason)
    verdict = "worse" if worse.verdict == "failed" else "improved" if better.verdict == "failed" else "unchanged"
    return Judged(verdict=verdict, before=worse.before, after=worse.after, share=share)
