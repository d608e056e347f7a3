"""What Watchkeeper says about itself: counters behind ``/metrics`` and structured logs without secrets."""

from __future__ import annotations

import logging
import logging.handlers
import re
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from watchkeeper import __version__
from watchkeeper.ports import Appended

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """The engine's own metrics. The sample ledger balances: received = stored + deduplicated + rejected + in flight."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        build = Gauge("watchkeeper_build_info", "Version of the engine.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self.received = Counter(
            "watchkeeper_samples_received", "Samples a source brought.", ["source"], registry=registry
        )
        self.stored = Counter("watchkeeper_samples_stored", "Samples kept.", ["source"], registry=registry)
        self.deduplicated = Counter(
            "watchkeeper_samples_deduplicated", "Samples that were there already.", ["source"], registry=registry
        )
        self.rejected = Counter(
            "watchkeeper_samples_rejected", "Samples refused, by reason.", ["source", "reason"], registry=registry
        )
        self.in_flight = Gauge(
            "watchkeeper_samples_in_flight", "Samples received but not yet decided.", registry=registry
        )
        self.remote_writes = Counter(
            "watchkeeper_remote_write_requests",
            "Requests of remote write that came in, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.remote_write_exemplars = Counter(
            "watchkeeper_remote_write_exemplars", "Exemplars that came in; they are not kept.", registry=registry
        )
        self.forwarded = Counter(
            "watchkeeper_remote_write_sent_samples",
            "Samples of remote write out, by what became of them: sent, refused, repeated, unwanted, dropped.",
            ["name", "outcome"],
            registry=registry,
        )
        self.forward_failures = Counter(
            "watchkeeper_remote_write_failures", "Requests to be tried again.", ["name", "reason"], registry=registry
        )
        self.forward_lag = Gauge(
            "watchkeeper_remote_write_lag_records", "Records kept and not yet sent.", ["name"], registry=registry
        )
        self.webhooks = Counter(
            "watchkeeper_webhook_deliveries",
            "Deliveries of webhooks: accepted, repeated, ignored, refused, malformed.",
            ["webhook", "outcome"],
            registry=registry,
        )
        self.pushes = Counter(
            "watchkeeper_pushes", "Pushes of short jobs that came in, by outcome.", ["outcome"], registry=registry
        )
        self.otlp_requests = Counter(
            "watchkeeper_otlp_requests", "Requests of OTLP that came in, by outcome.", ["outcome"], registry=registry
        )
        self.collections = Counter(
            "watchkeeper_collections", "Readings of sources, by outcome.", ["source", "outcome"], registry=registry
        )
        self.collect_seconds = Histogram(
            "watchkeeper_collect_seconds", "Time a reading took.", ["kind"], buckets=_SECONDS, registry=registry
        )
        self.jobs = Counter(
            "watchkeeper_jobs", "Runs of periodic steps, by outcome.", ["step", "outcome"], registry=registry
        )
        self.job_seconds = Histogram(
            "watchkeeper_job_seconds", "Time a periodic step took.", ["step"], buckets=_SECONDS, registry=registry
        )
        self._runs: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._sources: dict[str, tuple[Counter, Counter]] = {}
        self.loop_lag = Gauge(
            "watchkeeper_loop_lag_seconds", "Lateness of the event loop, last look.", registry=registry
        )
        self.not_scored = Gauge("watchkeeper_series_not_scored", "Series over scoring.series_limit.", registry=registry)
        self.learning = Gauge(
            "watchkeeper_series_learning",
            "Series with samples, too few yet or for too short a time for an alarm.",
            registry=registry,
        )
        self.log_lines = Counter("watchkeeper_log_lines_read", "Log lines read.", ["source"], registry=registry)
        self.log_stored = Counter("watchkeeper_log_lines_stored", "Log lines kept.", ["source"], registry=registry)
        self.log_rejected = Counter(
            "watchkeeper_log_lines_rejected", "Log lines that were not kept.", ["source", "reason"], registry=registry
        )
        self.log_forwarded = Counter(
            "watchkeeper_log_lines_forwarded",
            "Log lines that an agent sends on: sent, refused by the engine, dropped from a full queue.",
            ["outcome"],
            registry=registry,
        )
        self.log_times = Counter(
            "watchkeeper_log_times_replaced",
            "Log lines kept under the time they were read, for their own cannot be: ahead, or older than retention.",
            ["source", "reason"],
            registry=registry,
        )
        self.log_masked = Counter(
            "watchkeeper_log_masked", "Places of log lines that were masked.", ["rule"], registry=registry
        )
        self.log_store = Gauge("watchkeeper_log_store", "Figures of the log store.", ["figure"], registry=registry)
        self.api_requests = Counter(
            "watchkeeper_api_requests", "Requests answered by the API.", ["route", "code"], registry=registry
        )
        self.transitions = Gauge(
            "watchkeeper_transitions", "Rows of the state ledgers.", ["kind", "state"], registry=registry
        )
        self.alerts_raised = Gauge(
            "watchkeeper_alerts_raised",
            "Alerts that fired; all of them are in watchkeeper_alerts_told.",
            registry=registry,
        )
        self.alerts_told = Gauge(
            "watchkeeper_alerts_told",
            "Alerts that fired, by what became of them: notified, grouped, waiting, or why nobody was told.",
            ["outcome"],
            registry=registry,
        )
        self.leader = Gauge(
            "watchkeeper_leader", "1 while this engine is the one of its database that acts.", registry=registry
        )
        self.actions = Gauge("watchkeeper_actions", "Actions ever proposed, by state.", ["state"], registry=registry)
        self.deliveries = Gauge(
            "watchkeeper_deliveries", "Messages of the outbox, by state.", ["channel", "state"], registry=registry
        )
        self.audit_heads = Counter(
            "watchkeeper_audit_heads",
            "Hashes of the audit's newest row sent to a second place, by place and outcome.",
            ["place", "outcome"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "watchkeeper_heartbeats",
            "Words to the dead-man switch outside: delivered, refused, failed, or withheld because not all is well.",
            ["outcome"],
            registry=registry,
        )
        self.remediation = Counter(
            "watchkeeper_remediation_verdicts", "Answers of gates.", ["gate", "passed"], registry=registry
        )
        self.predictions = Counter(
            "watchkeeper_remediation_predictions",
            "Actions whose effect was compared with what their plan had said, by rule and whether it was so.",
            ["rule", "as_predicted"],
            registry=registry,
        )
        self.prediction_error = Gauge(
            "watchkeeper_remediation_prediction_error_ratio",
            "By how much the figures of a rule's last action were worse than its plan had said; below 0: better.",
            ["rule"],
            registry=registry,
        )
        self.clock_gaps = Counter(
            "watchkeeper_clock_gaps", "Times the loop woke more than two intervals late.", registry=registry
        )
        self.reloads = Counter(
            "watchkeeper_config_reloads", "Attempts to read the configuration anew.", ["outcome"], registry=registry
        )
        self.reload_ok = Gauge(
            "watchkeeper_config_last_reload_successful", "1: what is in the files is in force.", registry=registry
        )
        self.reload_ok.set(1)
        self.store_stats = Gauge("watchkeeper_store", "Figures of the sample store.", ["figure"], registry=registry)

    def count_run(self, step: str, outcome: str, seconds: float) -> None:
        """Enter one run of a periodic step."""
        found = self._runs.get((step, outcome))
        if found is None:
            found = self._runs[step, outcome] = self.jobs.labels(step, outcome), self.job_seconds.labels(step)
        found[0].inc()
        found[1].observe(seconds)

    def store_stat(self, name: str, value: float) -> None:
        """One figure of the sample store: series, bytes, blocks ..."""
        self.store_stats.labels(name).set(value)

    def count_append(self, source: str, appended: Appended) -> None:
        """Enter one append into the ledger."""
        self.count_appends(source, (appended,))

    def count_appends(self, source: str, appends: Sequence[Appended]) -> None:
        """Enter several appends of one source into the ledger."""
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = self.received.labels(source), self.stored.labels(source)
        found[0].inc(sum([one.received for one in appends]))
        found[1].inc(sum([one.stored for one in appends]))
        if repeated := sum([one.deduplicated for one in appends]):
            self.deduplicated.labels(source).inc(repeated)
        for appended in appends:
            if appended.rejected:
                for reason, samples in appended.rejected.items():
                    self.rejected.labels(source, reason).inc(samples)

    def count_lines(self, source: str, received: int, stored: int, reason: str) -> None:
        """Enter one collection into the ledger of lines: read = stored + rejected."""
        self.log_lines.labels(source).inc(received)
        self.log_stored.labels(source).inc(stored)
        if received > stored:
            self.log_rejected.labels(source, reason or "store").inc(received - stored)

    def count_refused(self, source: str, rejected: Mapping[str, int]) -> None:
        """Samples that a collector refused before they could be appended."""
        for reason, samples in rejected.items():
            self.received.labels(source).inc(samples)
            self.rejected.labels(source, reason).inc(samples)

    def mirror_alerts(self, raised: int, outcomes: Mapping[str, int]) -> None:
        """The alert ledger as its rows have it: raised = sum of the outcomes."""
        self.alerts_raised.set(raised)
        _mirror(self.alerts_told, "outcome", outcomes)

    def mirror_actions(self, states: Mapping[str, int]) -> None:
        """The action ledger as its rows have it: proposed = sum of the states."""
        _mirror(self.actions, "state", states)

    def ledger(self) -> dict[str, Any]:
        """Totals of the sample ledger."""
        totals: dict[str, Any] = {"received": 0, "stored": 0, "deduplicated": 0, "rejected": {}, "in_flight": 0}
        for family in self.registry.collect():
            for sample in family.samples:
                short = sample.name.removeprefix("watchkeeper_samples_").removesuffix("_total")
                if sample.name == "watchkeeper_samples_rejected_total":
                    reason = sample.labels["reason"]
                    totals["rejected"][reason] = totals["rejected"].get(reason, 0) + int(sample.value)
                elif (
                    short in totals and sample.name.startswith("watchkeeper_samples_") and "created" not in sample.name
                ):
                    totals[short] += int(sample.value)
        return totals

    def exposition(self) -> bytes:
        """The text of ``/metrics``."""
        return generate_latest(self.registry)


# --- logs ------------------------------------------------------------------------------------------------------------

_SECRET_KEYS = re.compile(r"secret|token|passw|authorization|cookie|api_?key|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?i)((?:access_token|token|key|sign|secret|password|passwd|pwd)=)[^&\s\"']+"
    r"|((?:bearer|session)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(://[^/\s:@]*:)[^/\s]+(?=@)"
    r"|(://)[^/\s:@?#]+(?=@)"
    r"|(/bot/v2/hook/)[A-Za-z0-9-]+"
)
#: Characters that can make a log line read as something else: bidirectional controls and C1 controls.
_FORGERY = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u0080-\u009f]")


def _mirror(gauge: Gauge, label: str, values: Mapping[str, int]) -> None:
    """Set one gauge per value; what was there before and is no more becomes 0."""
    before = {sample.labels[label] for family in gauge.collect() for sample in family.samples}
    for name in before | values.keys():
        gauge.labels(name).set(values.get(name, 0))


def redact(text: str) -> str:
    """The text without tokens, keys, passwords and signatures."""
    return _SECRET_TEXT.sub(lambda match: f"{next(part for part in match.groups() if part)}***", text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _FORGERY.sub("\ufffd", redact(value))
    if isinstance(value, Mapping):
        return {key: "***" if _SECRET_KEYS.search(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: nothing secret and nothing forged passes."""
    for key, value in list(event.items()):
        event[key] = "***" if _SECRET_KEYS.search(key) else _clean(value)
    return event


def set_up_logging(file: Path | None, *, process: str, stderr_level: int = logging.WARNING) -> None:
    """JSON lines into ``file`` (rotated at 10 MB, five kept) and the important ones on standard error."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(stderr_level)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(file, maxBytes=10_000_000, backupCount=5, encoding="utf-8")
        )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
        redact_event,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    for noisy in ("httpcore2", "httpx2", "uvicorn", "apscheduler", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)


def logger(name: str) -> Any:
    """A structured logger."""
    return structlog.get_logger(name)
