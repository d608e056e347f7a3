"""Reload: watchkeeper.yaml and the rule files anew, as a whole or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from incidents.settings import Settings as IncidentSettings
from remediation.contingency.load import Known
from rules.book import RuleBook
from rules.load import load as load_rules
from watchkeeper.app.catalogue import read
from watchkeeper.app.ending import drop
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.entities import Checked
from watchkeeper.app.pipeline.lines import classes_of, masker_of
from watchkeeper.app.pipeline.log_metrics import rules_of as log_rules_of
from watchkeeper.app.pipeline.log_rules import LogRule
from watchkeeper.app.pipeline.objectives import check as check_objectives
from watchkeeper.app.pipeline.plans_read import plans_of
from watchkeeper.app.pipeline.tell import Telling
from watchkeeper.app.scrape_files import Scrapes, scrapes
from watchkeeper.config import Config, Loaded
from watchkeeper.errors import ConfigError
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: Sections that are only read at start; a change of theirs is said, and waits for the next start.
AT_START = (
    "data", "engine", "dashboard", "actuator", "store", "scoring", "forecasting", "remediation", "scale", "environment",
    "time_zone", "severities", "remote_write",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything new, built and checked before anything old is touched."""

    loaded: Loaded
    sources: dict[str, Source]  #: configured sources that are new or have changed
    incidents: IncidentSettings
    telling: Telling
    book: RuleBook
    scrapes: list[Scrapes]
    log_rules: list[LogRule]
    entities: Checked
    plans: dict[str, Known]


async def reload(engine: Engine) -> str:
    """Empty when all went well; else the first mistake, and everything stays as it was. One at a time."""
    async with engine.reloading:
        return await _reload(engine)


async def _reload(engine: Engine) -> str:
    engine.reload_tried_at = engine.clock.now()
    try:
        prepared = await asyncio.to_thread(prepare, engine)
    except ConfigError as error:
        engine.judging.reload_error = str(error)
        _count(engine, "refused")
        log.error("not reloaded; the last good configuration stays", error=str(error))
        return str(error)
    waiting = changed_at_start(engine.config, prepared.loaded.config)
    await apply(engine, prepared)
    engine.judging.reload_error = ""
    _count(engine, "ok")
    log.info("reloaded", sources=sorted(prepared.sources), waits_for_restart=waiting)
    return ""


def _count(engine: Engine, outcome: str) -> None:
    engine.telemetry.reloads.labels(outcome).inc()
    engine.telemetry.reload_ok.set(float(outcome == "ok"))


def prepare(engine: Engine) -> Prepared:
    """Read and build. Raises ConfigError with file, line and key; nothing has changed then."""
    from watchkeeper.app.compose import configured_sources, incident_settings, rule_paths
    from watchkeeper.app.pipeline.business import checked_figures

    loaded = read(engine.loaded.path)
    checked_figures(loaded)
    incidents = incident_settings(loaded)
    check_objectives(loaded.config.objectives)
    classes_of(loaded)
    masker_of(loaded)
    telling = Telling.of(
        loaded, state=engine.state, clock=engine.clock, outbound=engine.outbound, routes=incidents.routes
    )
    before = {row.name: row for row in engine.config.collect.sources}
    changed = {row.name for row in loaded.config.collect.sources if before.get(row.name) != row}
    found = {source.name: source for source in configured_sources(loaded) if source.name in changed}
    book = load_rules(rule_paths(loaded), interval=loaded.config.rules.interval)
    plans, entities = plans_of(loaded, book.remedies), Checked.of(loaded)
    return Prepared(loaded, found, incidents, telling, book, scrapes(loaded), log_rules_of(loaded), entities, plans)


async def apply(engine: Engine, prepared: Prepared) -> None:
    """Take over what was prepared."""
    from watchkeeper.app.lifecycle import schedule_notify, schedule_report, schedule_source

    now = engine.clock.now()
    kept = {row.name for row in prepared.loaded.config.collect.sources if not row.agents}
    removed = [row.name for row in engine.config.collect.sources if row.name not in kept and row.name in engine.sources]
    for name in [*removed, *(name for name in prepared.sources if name in engine.sources)]:
        await drop(engine, name, now)
    engine.lines.use(prepared.loaded)
    engine.lines.restore(prepared.sources)
    await _count_lines(engine, prepared, now)
    for name, source in prepared.sources.items():
        engine.sources[name] = source
        schedule_source(engine, source, now)
    engine.loaded, engine.incident_settings = prepared.loaded, prepared.incidents
    engine.scraping.use(prepared.scrapes)
    engine.telling.take_over(prepared.telling)
    engine.planning.known = prepared.plans
    schedule_notify(engine, now)
    if engine.config.capacity.enabled:
        schedule_report(engine)
    await asyncio.get_running_loop().run_in_executor(engine.threads["rules"], engine.judging.use, prepared.book, now)


async def _count_lines(engine: Engine, prepared: Prepared, now: datetime) -> None:
    """The source of logs' metrics comes with the first rule and goes with the last, that of risks by its switch."""
    from watchkeeper.app.lifecycle import schedule_source

    section = prepared.loaded.config.logs
    engine.log_metrics.use(prepared.log_rules, section.templates, section.count_within)
    engine.entities.use(prepared.entities)
    parts = ((engine.log_metrics.source, engine.log_metrics.any), (engine.entities.source, engine.entities.enabled))
    for source, wanted in parts:
        if wanted and source.name not in engine.sources:
            engine.sources[source.name] = source
            schedule_source(engine, source, now)
        elif not wanted and source.name in engine.sources:
            await drop(engine, source.name, now)


def changed_at_start(old: Config, new: Config) -> list[str]:
    return [name for name in AT_START if getattr(old, name) != getattr(new, name)]
