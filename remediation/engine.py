"""The remediator: observations in, guarded actions out, one step at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from watchkeeper.errors import AccessError, ActionError
from watchkeeper.model import ActionRecord, Observation, RemedyRule, Target
from watchkeeper.ports import ActuatorClient, Reading

from . import book, links, probing
from .change import Change
from .confirm import History
from .cuts import Cuts
from .gates import WAIVABLE
from .hindsight import look_back
from .killswitch import KillSwitch
from .people import People
from .rehearse import preview, rehearse
from .run import Run, in_turn
from .settings import Link, Settings
from .situation import Facts, Query
from .start import asked_record, first_record, held_back
from .steady import KEY as CLOCK_KEY
from .steady import Steady, Tick
from .steps import HANDLERS

if TYPE_CHECKING:
    from watchkeeper.store.state.database import State
    from watchkeeper.store.state.repositories import Unit

T = TypeVar("T")
#: A record passes at most this many states in one step; the longest way is nine.
MAX_MOVES = 12
#: Longer pauses of the loop than this many evaluation intervals mean that we slept.
GAP_INTERVALS = 2
#: However often rules look: a busy machine holds a healthy process up for a second, and one look is not three.
LEAST_GAP = timedelta(seconds=2)
DEFAULT_INTERVAL = timedelta(seconds=15)


class Remediator:
    """``step`` at every evaluation; people use ``people``, the switch is ``kill_switch``.

    ``state`` is only touched in threads. One step at a time; a second waits for the first.
    """

    def __init__(
        self,
        state: State,
        settings: Settings,
        rules: Sequence[RemedyRule],
        actuator: ActuatorClient,
        *,
        data_dir: Path,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """``monotonic``: the clock of ``step``; with it a step that was held up does nothing on what it saw before."""
        self._state, self.settings, self._actuator, self._monotonic = state, settings, actuator, monotonic
        self.kill_switch = KillSwitch(data_dir / settings.kill_switch_file, state)
        self.people = People(state, settings)
        self.counts: Counter[str] = Counter()  #: "state:<state>" entered, "refused:<gate>" refusals
        self._histories: dict[str, History] = {}
        self._cuts = Cuts()
        self._links: dict[str, links.LinkState] = {}
        self._read_at: dict[str, datetime] = {}
        self._read: dict[str, tuple[datetime, Reading | None, str]] = {}  #: target -> last look: wall, reading, problem
        self._untold: list[Change] = []  #: of a step that did not come to its end
        self._refused: dict[str, str] = {}  #: rule -> what it was last refused for, told once
        self._steady: Steady | None = None
        self._turn = asyncio.Lock()
        self.use(rules)

    def use(self, rules: Sequence[RemedyRule]) -> None:
        """Take these rules from now on. A rule with a dual link brings its way back along."""
        self._rules: dict[str, RemedyRule] = {}
        interval = min((rule.interval for rule in rules), default=DEFAULT_INTERVAL)
        self._gap = max(GAP_INTERVALS * interval, LEAST_GAP)
        for rule in rules:
            link = self.settings.link(rule.link)
            if link is None:
                self._rules[rule.name] = rule
            else:
                self._rules[rule.name] = links.failover_rule(rule, link)
                self._rules[rule.name + links.RETURN] = links.return_rule(rule, link)

    async def step(
        self,
        now: datetime,
        monotonic: float,
        observations: Sequence[Observation],
        facts: Facts,
        *,
        asleep: float | None = None,
    ) -> list[Change]:
        """Take in what was observed, move every action on, open new ones. Safe to repeat. ``asleep``: see Steady."""
        if not self.settings.enabled:
            return []
        async with self._turn:
            tick = await self._tick(now, monotonic, asleep)
            run = self._run(tick, facts)
            if self._monotonic is not None:
                clock = self._monotonic
                run.held_up = lambda: clock() - monotonic
            try:
                await self._look_and_act(run, observations)
            finally:  # what has become of an action by now is told, whatever went wrong after it
                self._untold += [change for change in run.changes if self._worth_telling(change)]
            told, self._untold = self._untold, []
            return told

    async def _look_and_act(self, run: Run, observations: Sequence[Observation]) -> None:
        await asyncio.to_thread(self.kill_switch.latch, run.tick.wall)
        seen = await self._take_in(run, observations)
        await self._watch_targets(run)
        active = await run.read(lambda unit: unit.actions.active())
        await in_turn([partial(self._advance, run, record) for record in active])
        await in_turn([partial(self._open, run, rule) for rule in seen])
        await look_back(run)

    async def rehearse(self, now: datetime, rule: str) -> None:
        """Try the rule's action and its way back on the test target; until then the action counts as class A4.

        Raises ActionError when it does not work, or when there is nothing to try it on.
        """
        async with self._turn:
            await rehearse(
                self._state, self.settings, self._actuator, self.kill_switch, self._known(rule), now - self.people.skew
            )

    async def request(
        self,
        now: datetime,
        rule: str,
        user: str,
        reason: str,
        facts: Facts,
        *,
        waive: Collection[str] = (),
        incident_id: str = "",
        also: Callable[[Unit, str], None] | None = None,
    ) -> str:
        """A person or a plan asks for a rule's action: same gates, people may waive four. Returns the action's id.

        ``also`` writes what belongs to it, given the id, in the same transaction.
        """
        if not user or not reason.strip():
            raise AccessError("asking for an action needs a name and a written reason")
        if refused := sorted(set(waive) - WAIVABLE):
            raise AccessError(f"gate {refused[0]!r} binds people too; {', '.join(sorted(WAIVABLE))} may be waived")
        async with self._turn:
            run = self._run(Tick(now=now - self.people.skew, wall=now), facts)

            def ask(unit: Unit) -> str:
                found = asked_record(unit, run, self._known(rule), user, reason, waive, incident_id)
                if also is not None:
                    also(unit, found)
                return found

            return await self._in_thread(ask)

    async def drill(self, now: datetime, rule: str, query: Query) -> dict[str, object]:
        """The rule tried without touching what serves: there and back on its test target, else its plan alone.

        Raises ActionError when that does not work.
        """
        known = self._known(rule)
        test = (self.settings.target(known.target) or {}).get("test_target")
        if test:
            await self.rehearse(now, rule)
            return {"how": "rehearsed", "on": str(test)}
        async with self._turn:
            return await preview(self.settings, self._actuator, known, now - self.people.skew, query)

    def last_read(self, target: str) -> tuple[datetime | None, Reading | None, str]:
        """(wall time of the last look, what was read, why it could not be); a target is looked at now and then."""
        return self._read.get(target, (None, None, ""))

    def idle_since(self, rule: str) -> datetime | None:
        """Steady time since when every look of the rule was known and bad: scale-in waits for its length."""
        history = self._histories.get(rule)
        return history.idle_since if history else None

    def link_state(self, link: str) -> links.LinkState:
        """A link as last probed, with its probes; one never looked at serves by its primary."""
        return self._links.get(link) or links.LinkState()

    def sees(self, rule: str) -> bool | None:
        """What the rule's own expression said when it was looked at last; None: not known."""
        history = self._histories.get(rule)
        return history.newest.bad if history is not None and history.newest is not None else None

    def phase(self, link: str) -> links.Phase:
        """The state of a link's circuit as last probed; a link that was never looked at serves by its primary."""
        return self.link_state(link).phase

    def _known(self, rule: str) -> RemedyRule:
        if rule not in self._rules:
            raise ActionError(f"there is no remediation rule {rule!r}")
        return self._rules[rule]

    def _run(self, tick: Tick, facts: Facts) -> Run:
        return Run(
            state=self._state,
            settings=self.settings,
            rules=self._rules,
            actuator=self._actuator,
            switch=self.kill_switch,
            tick=tick,
            facts=facts,
            histories=self._histories,
            cuts=self._cuts,
            counts=self.counts,
        )

    async def _tick(self, now: datetime, monotonic: float, asleep: float | None) -> Tick:
        if self._steady is None:
            kept, shared = await asyncio.to_thread(self._kept_clock), await asyncio.to_thread(self._state.now)
            self._steady = Steady(kept, self.settings.observe_after_gap, shared)
        tick = self._steady.advance(now, monotonic, self._gap, asleep)
        if tick.fresh_start:
            for history in self._histories.values():
                history.forget()
        document = self._steady.to_keep(now, force=tick.fresh_start)
        if document is not None:
            await self._in_thread(lambda unit: unit.documents.put(CLOCK_KEY, document, at=now))
        self.people.skew = now - tick.now
        return tick

    def _kept_clock(self) -> Mapping[str, Any] | None:
        with self._state.read() as unit:
            kept: Mapping[str, Any] | None = unit.documents.get(CLOCK_KEY)
        return kept

    async def _in_thread(self, work: Callable[[Unit], T]) -> T:
        def call() -> T:
            with self._state.begin() as unit:
                return work(unit)

        return await asyncio.to_thread(call)

    async def _take_in(self, run: Run, observations: Sequence[Observation]) -> list[RemedyRule]:
        """Add to the histories; the rules seen bad just now, each once."""
        views = {}
        bad: dict[str, RemedyRule] = {}
        for seen in observations:
            rule = self._rules.get(seen.rule)
            if rule is None:
                continue
            derived = [seen]
            link = self.settings.link(rule.link)
            if link is not None:
                state = await self._probe(run, link, seen)
                pin = await self._pinned(run, link)
                derived.append(links.return_observation(seen, state, link, run.tick.now))
                views[rule.name] = links.view(state, link, run.tick.now, returning=False, pin=pin)
                views[rule.name + links.RETURN] = links.view(state, link, run.tick.now, returning=True, pin=pin)
                if state.phase is links.Phase.PRIMARY:
                    derived.pop()
            for each in derived:
                history = self._histories.setdefault(each.rule, History())
                if self._cuts.look(self._rules[each.rule], self.settings, run.facts, run.tick.now):
                    history.forget()
                new = history.add(each, run.tick.now, self.settings.flap_window)
                if new and each.bad is True and each is derived[-1]:  # a link acts for the side that serves
                    bad[each.rule] = self._rules[each.rule]
        run.links = views
        return list(bad.values())

    async def _probe(self, run: Run, link: Link, seen: Observation) -> links.LinkState:
        kept = await run.read(lambda unit: unit.documents.get(book.LINK_KEY + link.name))
        state = self._links.get(link.name)
        state = links.load(kept) if state is None else links.served(state, kept)
        history = self._histories.get(seen.rule), self._histories.get(seen.rule + links.RETURN)
        counted = any(each and each.newest and each.newest.at >= seen.at for each in history)
        if not counted:
            probes = zip(state.heard, (link.primary_probe, link.backup_probe), strict=True)
            interval, wall = self._rules[seen.rule].interval, run.tick.wall
            said = [probing.word(heard, probing.look(run.facts, expr, wall), wall, interval) for heard, expr in probes]
            state = replace(state, heard=(said[0][0], said[1][0]))
            state = links.follow(state, link, said[0][1], said[1][1], run.tick.now)
        self._links[link.name] = state
        return state

    @staticmethod
    async def _pinned(run: Run, link: Link) -> Mapping[str, Any] | None:
        pin: Mapping[str, Any] | None = await run.read(lambda unit: unit.documents.get(book.PIN_KEY + link.name))
        return pin

    async def _watch_targets(self, run: Run) -> None:
        """Read targets now and then, so that a foreign change is noticed before we act."""
        moving = {
            book.target_of(record.plan)
            for record in await run.read(lambda unit: unit.actions.active())
            if record.state in book.MOVING
        }
        for name in sorted({rule.target for rule in self._rules.values()} - moving):
            spec = self.settings.target(name)
            last = self._read_at.get(name)
            if spec is None or (last is not None and run.tick.now - last < self.settings.read_every):
                continue
            self._read_at[name] = run.tick.now
            try:
                reading = await self._actuator.read(Target(kind=str(spec["kind"]), name=name))
            except ActionError as error:
                self.counts["unreadable"] += 1
                self._read[name] = run.tick.wall, None, str(error)
                continue
            self._read[name] = run.tick.wall, reading, ""
            await self._note(run, name, reading)

    async def _note(self, run: Run, name: str, reading: Reading) -> None:
        if await run.read(lambda unit: book.is_news(unit, name, reading)):
            await run.db(lambda unit: book.note_reading(unit, name, reading, run.tick.now, self.settings))

    async def _advance(self, run: Run, record: ActionRecord) -> None:
        for _ in range(MAX_MOVES):
            handler = HANDLERS.get(record.state)
            moved = await handler(run, record) if handler else None
            if moved is None:
                return
            record = moved

    async def _open(self, run: Run, rule: RemedyRule) -> None:
        """A new record for a rule that is bad, unless one is under way or was refused a moment ago."""
        if rule.on_request or await run.read(lambda unit: held_back(unit, run, rule)):
            return
        record = await run.db(lambda unit: first_record(unit, run, rule))
        if record is not None:
            await self._advance(run, record)

    def _worth_telling(self, change: Change) -> bool:
        """The same refusal of the same rule is told once, until something else happens to the rule."""
        if change.kind not in ("suppressed", "suggested", "dry_run"):
            self._refused.pop(change.rule, None)
            return True
        key = f"{change.kind} {change.evidence.get('gate', '')}"
        told = self._refused.get(change.rule) == key
        self._refused[change.rule] = key
        return not told
