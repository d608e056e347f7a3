"""Sources that an agent gets from its engine: asked for again and again, kept over restarts, of allowed kinds only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from watchkeeper.app.ending import Holder, drop
from watchkeeper.app.link import EngineLink
from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.sending import SendError
from watchkeeper.config import Source as SourceConfig
from watchkeeper.errors import ConfigError
from watchkeeper.telemetry import logger

log = logger(__name__)

EVERY = timedelta(seconds=30)
_ROWS = TypeAdapter(list[SourceConfig])


class Assigned:
    """What the engine wants of this agent."""

    def __init__(
        self,
        holder: Holder,
        link: EngineLink,
        file: Path,
        *,
        location: str,
        kinds: Sequence[str],
        build: Callable[[SourceConfig], Source],
        begin: Callable[[Source, datetime], None],
    ) -> None:
        """``kinds``: those that this machine's owner lets an engine start here."""
        self._holder, self._link, self._file, self._kinds = holder, link, file, frozenset(kinds)
        self._path = f"sources?{urlencode({'location': location})}"
        self._build, self._begin = build, begin
        self._own = frozenset(holder.sources)  #: of the agent's own file: these win
        self._rows: dict[str, SourceConfig] = {}  #: as they are in force, by name
        self.refused: dict[str, str] = {}  #: name -> why it does not run here
        self._kept = ""  #: what is in the file
        self.error = ""  #: why the engine was not understood; empty while it is

    async def restore(self, now: datetime) -> None:
        """Take up what the engine wanted last, before it can be asked."""
        try:
            rows = _ROWS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return
        except ValidationError as error:
            log.error("assigned sources are not read back; the engine is asked", file=str(self._file), error=str(error))
            return
        await self._apply(rows, now)

    async def step(self, now: datetime) -> None:
        """Ask, and start and end sources accordingly. An engine that does not answer changes nothing."""
        try:
            async with self._link.opened() as ask:
                answer = await ask("GET", self._path)
            rows = _ROWS.validate_python(answer["sources"])
        except (SendError, ValidationError, KeyError, TypeError) as error:
            if not self.error:
                log.warning("the engine does not say what to collect", error=str(error))
            self.error = str(error)
            return
        self.error = ""
        text = json.dumps(answer["sources"])
        if text != self._kept:
            await asyncio.to_thread(write_private, self._file, text)
            self._kept = text
        await self._apply(rows, now)

    async def _apply(self, rows: Sequence[SourceConfig], now: datetime) -> None:
        wanted = {row.name: row for row in rows}
        for name in [name for name, row in self._rows.items() if wanted.get(name) != row]:
            del self._rows[name]
            await drop(self._holder, name, now)
        self.refused = {name: why for name, why in self.refused.items() if name in wanted}
        for name, row in wanted.items():
            if name not in self._rows:
                self._start(name, row, now)

    def _start(self, name: str, row: SourceConfig, now: datetime) -> None:
        try:
            source = self._built(row)
        except ConfigError as error:
            if self.refused.get(name) != str(error):
                log.error("a source of the engine does not run here", source=name, error=str(error))
            self.refused[name] = str(error)
            return
        self.refused.pop(name, None)
        self._rows[name] = row
        self._begin(source, now)
        log.info("source assigned", source=name, kind=row.kind)

    def _built(self, row: SourceConfig) -> Source:
        """Raises ConfigError."""
        if row.kind not in self._kinds:
            raise ConfigError(f"{row.kind} is not among the kinds that this agent accepts", key="agent.accept")
        if row.name in self._own:
            raise ConfigError("this agent has a source of that name in its own file", key=row.name)
        return self._build(row)
