"""Starting and stopping an engine: what is scheduled, and in which order things end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta

from collectors import BUILTIN as COLLECTORS
from collectors.discover import discover, place_of
from rules.book import RuleBook
from watchkeeper.access.roles import Role
from watchkeeper.access.secrets import new_secret
from watchkeeper.access.sessions import end_expired
from watchkeeper.access.setup import new_setup_secret
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api import environments
from watchkeeper.app.engine import Engine
from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.business import schedule as schedule_business
from watchkeeper.app.pipeline.catalogue import schedule as schedule_catalogue
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.cost import schedule as schedule_cost
from watchkeeper.app.pipeline.events import schedule as schedule_events
from watchkeeper.app.pipeline.hear import schedule as schedule_feedback
from watchkeeper.app.pipeline.judge import group_key
from watchkeeper.app.pipeline.objectives import schedule as schedule_objectives
from watchkeeper.app.pipeline.plans import schedule as schedule_plans
from watchkeeper.app.pipeline.plans_keep import schedule as schedule_plans_keep
from watchkeeper.app.pipeline.risk import schedule as schedule_risk
from watchkeeper.app.pipeline.scored import EVERY as SCORED_EVERY
from watchkeeper.app.schedule import Trigger, at, every, reading
from watchkeeper.app.scrape import EVERY as SCRAPE_EVERY
from watchkeeper.app.sources import discovered_source
from watchkeeper.errors import StoreError
from watchkeeper.registry import Registry
from watchkeeper.telemetry import logger

log = logger(__name__)

#: How often the remediator looks; each rule has its own interval besides.
ACT_EVERY = timedelta(seconds=1)
#: How often the providers of dual links are rated.
RATE_EVERY = timedelta(seconds=15)
#: How often incidents are looked at without a change of alerts: waits and clocks run on.
TEND_EVERY = timedelta(seconds=2)
#: Samples that others write wait ten seconds for those of the same moment.
SCORE_PUSHED_EVERY = timedelta(seconds=5)
#: Sources of counters are read once more so soon after the start, and rules are evaluated then: rates exist.
READ_AGAIN = timedelta(seconds=1.2)
COUNTERS = ("host", "openmetrics")
FIRST_RULES = timedelta(seconds=1.5)
#: Groups that are evaluated more often than this do not wait for that.
SHORT = timedelta(seconds=5)
KEEP_EVERY = timedelta(minutes=1)
#: How often log segments are looked at: at full speed one fills in a quarter of a minute.
KEEP_LINES_EVERY = timedelta(seconds=15)
DISCOVER_EVERY = timedelta(minutes=10)
#: What collectors get for closing, all together.
CLOSE_SECONDS = 2.0
#: State rows of what ended longer ago are dropped (never the audit).
STATE_DAYS = timedelta(days=400)


async def start(engine: Engine) -> None:
    """Give out what the command line needs, collect, and act when this engine is the one that leads."""
    now = engine.clock.now()
    await asyncio.to_thread(_credentials, engine, now)
    engine.lines.restore(engine.sources)
    schedule_collecting(engine, now)
    for forwarder in engine.forwarders:  # sources of their own that nobody collects
        engine.sources[forwarder.source.name] = forwarder.source
        forwarder.start()
    if engine.leads.start(functools.partial(lead, engine), _end):
        await lead(engine)


async def lead(engine: Engine) -> None:
    """Take up the last life, whoever's it was, and schedule what only one engine may do."""
    now = engine.clock.now()
    await asyncio.to_thread(_setup_secret, engine, now)
    for name in await asyncio.to_thread(environments.strangers, engine):
        log.warning("access.environments limits nobody: there is no such user yet", user=name)
    await asyncio.to_thread(engine.judging.start, now)
    await asyncio.to_thread(engine.remediation.take_rules, engine.judging.book.remedies, now)
    await engine.telling.start(now)
    schedule_acting(engine, now)


def _end() -> None:
    """As if we were told to stop: our parent starts us again, as one that waits."""
    os.kill(os.getpid(), signal.SIGTERM)


def _credentials(engine: Engine, now: datetime) -> None:
    """A token for this user's command line; each engine of a shared database has its own."""
    name = "cli" if engine.leads.lease is None else f"cli/{engine.leads.lease.holder[:12]}"
    token, _ = create_system_token(engine.state, name, Role.ADMIN, now=now)
    write_private(engine.data.cli_token, token)
    if not engine.data.dashboard_proof.exists():  # kept: an installer may have given the dashboard a copy
        write_private(engine.data.dashboard_proof, new_secret())


def _setup_secret(engine: Engine, now: datetime) -> None:
    """While there is no account."""
    secret = new_setup_secret(engine.state, now)
    if secret is None:
        engine.data.setup_secret.unlink(missing_ok=True)
    else:
        write_private(engine.data.setup_secret, secret)


def schedule_collecting(engine: Engine, now: datetime) -> None:
    """What every engine does: read its sources, score, keep its own stores."""
    config, scheduler = engine.config, engine.scheduler
    for source in engine.sources.values():
        schedule_source(engine, source, now)
        if source.kind in COUNTERS and source.interval > READ_AGAIN:
            again = functools.partial(_read_again, engine, source)
            scheduler.soon(f"read_again/{source.name}", now + READ_AGAIN, again)
    scheduler.add("targets", every(SCRAPE_EVERY, now), engine.scraping.step)
    scheduler.add("score_pushed", every(SCORE_PUSHED_EVERY, now), engine.score_pushed)
    scheduler.add("keep", every(KEEP_EVERY, now + KEEP_EVERY), engine.keep)
    if config.scoring.enabled:
        scheduler.add("keep_scored", every(SCORED_EVERY, now + SCORED_EVERY), engine.keep_scored)
    scheduler.add("keep_lines", every(KEEP_LINES_EVERY, now + KEEP_LINES_EVERY), engine.keep_lines)
    if config.discover:
        scheduler.add("discover", every(DISCOVER_EVERY, now), functools.partial(_discover, engine))


def schedule_acting(engine: Engine, now: datetime) -> None:
    """What one engine of a database does: judge, act, tell, foresee, report."""
    config, scheduler = engine.config, engine.scheduler
    schedule_rules(engine, engine.judging.book, now)
    scheduler.add("act", every(ACT_EVERY, now), engine.remediation.step)
    if engine.rating.links:
        scheduler.add("rate", every(RATE_EVERY, now + RATE_EVERY / 2), engine.rating.step)
    scheduler.add("tend", every(TEND_EVERY, now), engine.tend)
    scheduler.add("deliver", every(timedelta(seconds=1), now), engine.telling.deliver)
    scheduler.add("prune", at("03:40", config.time_zone), functools.partial(_prune, engine))
    schedule_notify(engine, now)
    schedule_heads(engine, now)
    if config.forecasting.enabled:
        first = now + timedelta(seconds=30)
        scheduler.add("forecast", every(config.forecasting.every, first), engine.foreseeing.forecast)
        early = timedelta(minutes=5)
        scheduler.add("forecast_early", every(early, first + early), engine.foreseeing.forecast_young)
    if config.capacity.enabled:
        scheduler.add("capacity", every(config.capacity.every, now + timedelta(seconds=45)), engine.foreseeing.capacity)
        schedule_report(engine)
    schedule_business(engine, now)
    schedule_objectives(engine, now)
    schedule_cost(engine, now)
    schedule_catalogue(engine, now)
    schedule_events(engine, now)
    schedule_feedback(engine, now)
    schedule_risk(engine, now)
    schedule_plans(engine, now)
    schedule_plans_keep(engine, now)


def schedule_report(engine: Engine) -> None:
    """The capacity report, at the time that the configuration has now."""
    config = engine.config
    engine.scheduler.remove("capacity_report")
    if not engine.leads.led:
        return
    engine.scheduler.add("capacity_report", at(config.capacity.report, config.time_zone), engine.foreseeing.send_report)


def schedule_notify(engine: Engine, now: datetime) -> None:
    """The daily digest and the heartbeat, as the configuration has them now."""
    scheduler, heartbeat = engine.scheduler, engine.config.notify.heartbeat
    for name in ("digest", "heartbeat"):
        scheduler.remove(name)
    if not engine.leads.led:
        return
    scheduler.add("digest", _daily(engine), engine.digest)
    if heartbeat is not None:
        scheduler.add("heartbeat", every(heartbeat.every, now), functools.partial(_beat, engine))


def schedule_heads(engine: Engine, now: datetime) -> None:
    """The audit's head goes elsewhere, when a place is configured."""
    engine.keep_chain()
    if engine.heads.any:
        engine.scheduler.add("audit_heads", every(engine.heads.places.every, now), engine.heads.step)


async def _beat(engine: Engine, _now: datetime) -> None:
    """Only while all is well: an engine that watches nothing must not say that it lives."""
    why = await asyncio.to_thread(engine.unwell)
    if why:
        log.warning("heartbeat withheld", reason=why)
    outcome = "withheld" if why else await engine.telling.heartbeat()
    engine.telemetry.heartbeats.labels(outcome).inc()


def _daily(engine: Engine) -> Trigger:
    when = engine.config.notify.digest_at
    return at(f"{when.hour:02d}:{when.minute:02d}", engine.config.time_zone)


def schedule_source(engine: Engine, source: Source, now: datetime) -> None:
    step = functools.partial(engine.collecting.step, source)
    trigger = reading(source.name, source.interval, now, sources=len(engine.sources))
    engine.scheduler.add(f"collect/{source.name}", trigger, step)


async def _read_again(engine: Engine, source: Source, now: datetime) -> None:
    """Not beside a first reading that still runs: that one would be blamed for being slow."""
    if source.running is None or source.running.done():
        await engine.collecting.step(source, now)


def schedule_rules(engine: Engine, book: RuleBook, now: datetime) -> None:
    """One job per group, where this engine judges; groups that are gone are taken off."""
    wanted = {f"rules/{group_key(group)}": group for group in book.groups if engine.leads.led}
    for name in [name for name in engine.scheduler.jobs if name.startswith("rules/") and name not in wanted]:
        engine.scheduler.remove(name)
    for name, group in wanted.items():
        engine.scheduler.remove(name)
        step = functools.partial(engine.judging.step, group_key(group))
        first = now + (group.interval / 2 if group.interval < SHORT else FIRST_RULES)
        engine.scheduler.add(name, every(group.interval, first), step)


async def _discover(engine: Engine, now: datetime) -> None:
    """Exporters and servers on the usual local ports become sources of their own."""
    own = int(engine.config.engine.listen.rpartition(":")[2])
    known = {place_of(source.kind, source.target) for source in engine.sources.values()}
    for settings in await discover(engine.outbound):
        place = settings.get("url") or settings["address"]
        if place in known or f":{own}/" in place or settings["name"] in engine.sources:
            continue
        source = discovered_source(settings, engine.config, Registry("collectors", COLLECTORS))
        engine.sources[source.name] = source
        schedule_source(engine, source, now)
        log.info("source discovered", source=source.name, place=place)


async def _prune(engine: Engine, now: datetime) -> None:
    await asyncio.to_thread(end_expired, engine.state, now)
    await asyncio.to_thread(engine.prune, now - STATE_DAYS)


async def _close_collectors(sources: Sequence[Source]) -> None:
    """Each gets a moment; one that fails or hangs does not keep the stores from being closed."""
    closing = {asyncio.ensure_future(source.collector.close()): source.name for source in sources}
    if not closing:
        return
    done, pending = await asyncio.wait(closing, timeout=CLOSE_SECONDS)
    for task in pending:
        task.cancel()
        log.error("collector does not close", source=closing[task])
    for task in done:
        error = task.exception()
        if error is not None:
            log.error("collector not closed", source=closing[task], error=f"{type(error).__name__}: {error}")


async def stop(engine: Engine) -> None:
    """Sources first, then people, then the stores; every thread ends."""
    await _close_collectors(list(engine.sources.values()))
    await engine.outbound.aclose()
    engine.workers.close()
    for executor in engine.threads.values():
        executor.shutdown(wait=True, cancel_futures=True)
    if engine.config.scoring.enabled:
        await asyncio.to_thread(lambda: engine.save_scored(engine.scoring.remember(), engine.clock.now()))
    with contextlib.suppress(StoreError):
        engine.samples.sync()
    for forwarder in engine.forwarders:
        await asyncio.to_thread(forwarder.stop)
    engine.samples.close()
    engine.lines.store.close()
    await asyncio.to_thread(engine.leads.stop)
    engine.state.close()
