"""Builds the whole engine from its configuration, in one straight function. Nothing is global."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from collectors import BUILTIN as COLLECTORS
from detectors import BUILTIN as DETECTORS
from detectors import align
from incidents.correlate import step as correlate
from incidents.settings import Settings as IncidentSettings
from remediation.actuator import SocketClient
from remediation.engine import Remediator
from rules.evaluate import Evaluator
from rules.load import load as load_rules
from rules.load import pack_paths
from rules.persist import Saved
from watchkeeper.app.catalogue import expand, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.lead import Leading, lease_of
from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.act import Acting
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.blame import blamed
from watchkeeper.app.pipeline.business import Business, checked_figures
from watchkeeper.app.pipeline.catalogue import Cataloguing
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.pipeline.cost import Costing
from watchkeeper.app.pipeline.credentials import Credentials
from watchkeeper.app.pipeline.entities import SOURCE as ENTITIES
from watchkeeper.app.pipeline.entities import Checked, Watching
from watchkeeper.app.pipeline.events import Eventing
from watchkeeper.app.pipeline.foresee import Foreseeing
from watchkeeper.app.pipeline.forward import forwarders, rules_of
from watchkeeper.app.pipeline.hear import Hearing
from watchkeeper.app.pipeline.judge import Judging
from watchkeeper.app.pipeline.lanes import Override, declared
from watchkeeper.app.pipeline.lines import Lines, classes_of, masker_of
from watchkeeper.app.pipeline.log_metrics import SOURCE as LOG_METRICS
from watchkeeper.app.pipeline.log_metrics import LogMetrics
from watchkeeper.app.pipeline.log_metrics import rules_of as log_rules_of
from watchkeeper.app.pipeline.log_templates import LineTemplates
from watchkeeper.app.pipeline.objectives import Objectives
from watchkeeper.app.pipeline.objectives import check as check_objectives
from watchkeeper.app.pipeline.plans import Planning
from watchkeeper.app.pipeline.plans_read import plans_of
from watchkeeper.app.pipeline.predict import Predicting
from watchkeeper.app.pipeline.pushing import SOURCE as PUSHED
from watchkeeper.app.pipeline.pushing import Pushing
from watchkeeper.app.pipeline.rate import Rating
from watchkeeper.app.pipeline.receive import Receiving
from watchkeeper.app.pipeline.receive_lines import ReceivingLines
from watchkeeper.app.pipeline.receive_logs import ReceivingLogs
from watchkeeper.app.pipeline.receive_otlp import ReceivingOtlp
from watchkeeper.app.pipeline.receive_traces import ReceivingTraces
from watchkeeper.app.pipeline.release_gate import Gating
from watchkeeper.app.pipeline.risk import Foretelling
from watchkeeper.app.pipeline.score import Scoring
from watchkeeper.app.pipeline.scored import Memories, signature
from watchkeeper.app.pipeline.tell import Telling
from watchkeeper.app.samples import open_samples, pages
from watchkeeper.app.schedule import Scheduler
from watchkeeper.app.scrape import Scraping
from watchkeeper.app.scrape_files import scrapes
from watchkeeper.app.sources import build_source, host_sources
from watchkeeper.app.targets import remediation_settings
from watchkeeper.app.wiring import actuator_socket, data_dir
from watchkeeper.app.workers import Workers
from watchkeeper.clock import Clock
from watchkeeper.config import Loaded
from watchkeeper.outbound import Outbound
from watchkeeper.ports import ActuatorClient, Detector
from watchkeeper.promql import Engine as PromQL
from watchkeeper.promql import Gate
from watchkeeper.registry import Registry
from watchkeeper.store.logs import LogLines
from watchkeeper.store.state import State, Unit, sqlite_url
from watchkeeper.store.state.migrations import migrate
from watchkeeper.telemetry import Telemetry
from watchkeeper.wire.otlp_labels import Translation

#: Signals whose expected band is stored beside the score: the Overview draws them.
BANDED = frozenset(
    {
        "cpu_usage", "memory_usage", "disk_io", "network_io", "database_connections", "cache_hit_rate",
        "api_response_times", "error_rates",
    }
)  # fmt: skip
THREADS = ("append", "score", "rules", "state", "lines", "seal")


def compose(loaded: Loaded, *, data: DataDir, clock: Clock, actuator: ActuatorClient | None = None) -> Engine:
    """The engine, ready to be started. Raises ConfigError for whatever the rooms refuse."""
    loaded = expand(loaded)
    config, now = loaded.config, clock.now()
    telemetry = Telemetry()
    state_url = config.store.state.url.get_secret_value() or sqlite_url(data.state)
    lease = lease_of(state_url, data)
    state = State(state_url)
    migrate(state)
    samples = open_samples(loaded, data, clock)
    threads = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in THREADS}
    gate = Gate()
    promql = pages(samples, gate)
    ask = Ask(PromQL(samples, gate=gate, urgent=True))  # rules wait for nobody's question
    detector, overrides = _detector(loaded), _overrides(loaded)
    scoring = Scoring(
        detector,
        align,
        telemetry,
        limit=config.scoring.series_limit,
        exclude=config.scoring.exclude,
        banded=BANDED,
        learning=config.scoring.learning,
        grouped=config.scoring.groups,
        overrides=overrides,
    )
    scoring.about = lambda target, metric: declared(_collector(engine, target), metric)
    scoring.memories = Memories(data.scored, signature(detector, overrides))
    scheduler = Scheduler(clock, telemetry)
    workers = Workers(config.scale.workers, config.scale.idle.total_seconds())
    engine = Engine(
        loaded=loaded,
        data=data,
        clock=clock,
        telemetry=telemetry,
        samples=samples,
        state=state,
        promql=promql,
        exact=PromQL(samples, gate=gate),
        outbound=Outbound(allow_private=True),
        detector=detector,
        scoring=scoring,
        scheduler=scheduler,
        workers=workers,
        leads=Leading(state, lease, telemetry),
        started_at=now,
        threads=threads,
    )
    engine.sources = {source.name: source for source in sources(loaded, engine)}
    engine.incident_settings = incident_settings(loaded)
    engine.telling = Telling.of(
        loaded, state=state, clock=clock, outbound=engine.outbound, routes=engine.incident_settings.routes
    )
    engine.telling.leads = engine.leads
    engine.lines = Lines(
        LogLines(
            data.lines,
            retention=config.logs.retention,
            classes=classes_of(loaded),
            retention_bytes=config.logs.retention_bytes,
        ),
        masker_of(loaded),
        telemetry,
        clock,
        threads["lines"],
        retention=config.logs.retention,
        classes=classes_of(loaded),
    )
    engine.collecting = Collecting(
        store=samples,
        outbound=engine.outbound,
        telemetry=telemetry,
        clock=clock,
        executor=threads["append"],
        scored=engine.score,
        logged=engine.lines.take,
    )

    engine.receiving = Receiving(samples, telemetry, clock)
    engine.forwarders = forwarders(config.remote_write, samples, data.root / "remote_write", telemetry, clock)
    engine.receiving_lines = ReceivingLines(engine.lines, telemetry, clock)
    engine.receiving_logs = ReceivingLogs(engine.lines, telemetry, clock)
    engine.receiving_traces = ReceivingTraces(telemetry, clock, lambda: engine.cataloguing.named)
    engine.receiving_otlp = ReceivingOtlp(samples, telemetry, clock, _translation(loaded))
    environment = {"environment": config.environment} if config.environment else {}
    engine.log_metrics = LogMetrics(
        log_rules_of(loaded),
        clock,
        config.collect.interval,
        environment,
        engine.collecting.append_derived,
        LineTemplates(data.templates, config.logs.templates, clock.now()),
        config.logs.count_within,
    )
    if engine.log_metrics.any:
        engine.sources[LOG_METRICS] = engine.log_metrics.source
    engine.entities = Watching(Checked.of(loaded), data.entities, state, clock, config.collect.interval, environment)
    if engine.entities.enabled:
        engine.sources[ENTITIES] = engine.entities.source
    engine.lines.counted = engine.count_lines
    engine.pushing = Pushing(state, clock, config.collect.interval, environment)
    if engine.pushing.any:  # of the last life
        engine.sources[PUSHED] = engine.pushing.source

    def follow(at: datetime, unit: Unit, _saved: Sequence[Saved]) -> int:
        """Incidents and their messages, in the transaction of the alerts."""
        return engine.telling.about_incidents(at, unit, correlate(at, unit, engine.incident_settings))

    book = load_rules(rule_paths(loaded), interval=config.rules.interval)
    engine.judging = Judging(
        state=state,
        ask=ask,
        clock=clock,
        telemetry=telemetry,
        executor=threads["rules"],
        default_interval=config.rules.interval,
        evaluator=Evaluator(
            book,
            dict(config.severities),
            _external_labels(loaded),
            external_url=engine.telling.public_url,
        ),
        follow=follow,
        recorded=engine.record,
        wake=engine.telling.wake,
        changed=engine.rules_changed,
    )
    remediation = remediation_settings(loaded)
    remediator = Remediator(
        state,
        remediation,
        book.remedies,
        actuator or SocketClient(actuator_socket(config, data)),
        data_dir=data.root,
        monotonic=clock.monotonic,
    )
    engine.remediation = Acting(
        remediator=remediator,
        state=state,
        ask=ask,
        clock=clock,
        telemetry=telemetry,
        executor=threads["rules"],
        rules=lambda: engine.judging.book.remedies,
        sources=lambda: list(engine.sources.values()),
        tell=engine.telling.about_actions,
        wake=engine.telling.wake,
        leads=engine.leads,
        soon=lambda when: engine.scheduler.soon("act_on_news", when, engine.remediation.step),
    )
    engine.collecting.news = engine.remediation.news
    engine.rating = Rating(remediation.links, ask, threads["rules"], engine.collecting.append_derived)
    engine.rating.phase = remediator.phase
    engine.rating.counts = engine.remediation.link_counts
    engine.remediation.quality = engine.rating.evidence
    engine.foreseeing = Foreseeing(engine)
    engine.business, engine.predicting = Business.checked(engine), Predicting(engine)
    engine.scraping = Scraping(engine, scrapes(loaded))
    engine.cataloguing, engine.eventing = Cataloguing(engine, ask), Eventing(engine)
    if scoring.groups is not None:
        scoring.groups.pool_of = engine.cataloguing.pool_of
    engine.gating, engine.hearing = Gating(engine), Hearing(engine)
    engine.hearing.refresh(now)
    engine.foretelling = Foretelling(engine)
    engine.planning = Planning.checked(engine, ask, book.remedies)
    engine.telling.changes = lambda unit, incident: [one for one, _ in blamed(engine, unit, incident)]
    engine.objectives, engine.costing = Objectives.checked(engine), Costing.of(engine)
    return engine


def sources(loaded: Loaded, engine: Engine) -> list[Source]:
    """Everything configured, this machine and the engine itself."""
    return [*host_sources(loaded.config, Registry("collectors", COLLECTORS), engine), *configured_sources(loaded)]


def configured_sources(loaded: Loaded) -> list[Source]:
    """The sources of the file that run here. Raises ConfigError with the place of a wrong option, theirs or not."""
    config, registry = loaded.config, Registry("collectors", COLLECTORS)
    built = [
        loaded.part(("collect", "sources", index), lambda row=row: build_source(row, config, registry))
        for index, row in enumerate(config.collect.sources)
    ]
    return [source for source, row in zip(built, config.collect.sources, strict=True) if not row.agents]


def incident_settings(loaded: Loaded) -> IncidentSettings:
    merged = {**loaded.config.incidents, "routes": loaded.config.notify.routes}
    return loaded.section(("incidents",), merged, IncidentSettings)


def rule_paths(loaded: Loaded) -> list[Path]:
    """Shipped packs, then every *.yaml and *.yml of the configured folders, in order."""
    found = pack_paths(loaded.config.rules.packs)
    for folder in loaded.config.rules.directories:
        place = loaded.base / folder
        found += sorted(path for path in place.glob("*.y*ml") if path.suffix in (".yaml", ".yml"))
    return found


def _collector(engine: Engine, target: str) -> object:
    """Whose metadata tell of a target's metrics; of what was written to us, those of all who write."""
    source = engine.sources.get(target)
    return engine.receiving.inlet if source is None else source.collector


def _detector(loaded: Loaded) -> Detector:
    section = loaded.config.scoring
    return _built(loaded, ("scoring", "options"), section.detector, section.options)


def _overrides(loaded: Loaded) -> list[Override]:
    """Detectors of series that ``scoring.overrides`` names."""
    return [
        Override(
            {label: re.compile(pattern) for label, pattern in one.match.items()},
            _built(loaded, ("scoring", "overrides", at, "options"), one.detector, one.options),
        )
        for at, one in enumerate(loaded.config.scoring.overrides)
    ]


def _built(loaded: Loaded, place: Sequence[str | int], kind: str, options: Mapping[str, Any]) -> Detector:
    registry = Registry("detectors", DETECTORS)
    whole = {**_clocks(loaded, getattr(DETECTORS.get(kind), "__dataclass_fields__", {})), **options}
    key = ".".join(map(str, place))
    found: Detector = loaded.part(place, lambda: registry.build(kind, whole, key=key))
    return found


def _clocks(loaded: Loaded, fields: Mapping[str, object]) -> dict[str, str]:
    """Where series live unless ``scoring.options`` says otherwise: our zone, and whose holidays our calendar keeps."""
    config = loaded.config
    usual = "CN" if config.time_zone == "Asia/Shanghai" else ""
    country = config.incidents.get("calendar", {}).get("country", usual)
    return {name: value for name, value in (("zone", config.time_zone), ("country", country)) if name in fields}


def _translation(loaded: Loaded) -> Translation:
    section = loaded.config.otlp
    return Translation(
        promote_resource_attributes=frozenset(section.promote_resource_attributes),
        promote_scope_metadata=section.promote_scope_metadata,
        keep_identifying_resource_attributes=section.keep_identifying_resource_attributes,
    )


def _external_labels(loaded: Loaded) -> dict[str, str]:
    labels = dict(loaded.config.rules.external_labels)
    if loaded.config.environment:
        labels.setdefault("environment", loaded.config.environment)
    return labels


def check(path: Path | None) -> list[str]:
    """Everything ``compose`` would refuse, without opening a store; answers what was found to be right."""
    loaded = read(path)
    config = loaded.config
    configured_sources(loaded)
    jobs = len(scrapes(loaded))
    _detector(loaded)
    _overrides(loaded)
    incident_settings(loaded)
    Telling.channels_of(loaded)
    check_objectives(config.objectives)
    classes_of(loaded)
    masker_of(loaded)
    log_rules_of(loaded)
    for row in config.remote_write:
        rules_of(row)
        Credentials(row)
    remediation = remediation_settings(loaded)
    book = load_rules(rule_paths(loaded), interval=config.rules.interval)
    rules = sum(len(group.rules) for group in book.groups)
    return [
        f"configuration: {path or 'built-in defaults'}",
        f"data: {data_dir(config).root}",
        f"services: {len(loaded.services)} in the catalogue",
        f"sources: {len(config.collect.sources)} configured" + (", and this machine" if config.collect.host else ""),
        f"scrape configurations: {jobs}",
        f"rules: {rules} in {len(book.groups)} groups, {len(book.remedies)} remediation rules",
        f"contingency plans: {len(plans_of(loaded, book.remedies))}",
        f"channels: {len(config.notify.channels)}",
        f"targets: {len(remediation.targets)}",
        f"business figures: {checked_figures(loaded)}",
        *([f"left out of inventories: {len(loaded.left_out)}"] if loaded.left_out else []),
        *(f"  {one}" for one in loaded.left_out),
    ]
