"""What a release may not make worse where the service's kind has no golden signals that are measured: by names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from watchkeeper.config.events import Check

#: Checks made of names, at most.
MOST = 8
_SLOW = re.compile(r"(?:\w+_)?(?:latency|duration|response_time)(?:_\w+)?_(seconds|milliseconds|ms)")
_SLOW_BUCKETS = re.compile(r"(?:\w+_)?(?:latency|duration|response_time)(?:_\w+)?_(seconds|milliseconds|ms)_bucket")
_WRONG = re.compile(r"(?:\w+_)?(?:error|failure|failed|exception|timeout)s?(?:_\w+)?_total")
#: Of runtimes, exporters and of us: no signal of what the service does.
_OURS = re.compile(r"(?:go|process|python|node|jvm|scrape|watchkeeper|log_template)_.*")
#: Error lines of the service's logs, by the collectors that read them.
LINES = 'sum(rate(watchkeeper_log_lines_total{service="$service",severity=~"error|critical"}[5m]))'
#: Rates below so many a second never count.
LEAST_RATE = 0.05


def by_names(names: Iterable[str]) -> dict[str, Check]:
    """Latencies and errors among these metrics of a service, and its error lines."""
    found = [one for name in sorted(set(names)) if not _OURS.fullmatch(name) and (one := _of(name))]
    found = found[:MOST]
    found.append(Check(name="error_lines", query=LINES, worse_by=0.5, least=LEAST_RATE))
    return {one.name: one for one in found}


def _of(name: str) -> Check | None:
    own = '{service="$service"}'
    if slow := _SLOW.fullmatch(name):
        return Check(name=name[:60], query=f"max({name}{own})", worse_by=0.3, least=_least(slow))
    if slow := _SLOW_BUCKETS.fullmatch(name):
        query = f"histogram_quantile(0.95, sum by (le) (rate({name}{own}[5m])))"
        return Check(name=name.removesuffix("_bucket")[:60], query=query, worse_by=0.3, least=_least(slow))
    if _WRONG.fullmatch(name):
        return Check(name=name[:60], query=f"sum(rate({name}{own}[5m]))", worse_by=0.5, least=LEAST_RATE)
    return None


def _least(found: re.Match[str]) -> float:
    """Ten milliseconds, in the unit of the name."""
    return 0.01 if found.group(1) == "seconds" else 10.0
