"""Bills from disk into the state database: each file once, a corrected one instead of what it corrects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cost import by_day
from collectors.bill_csv import BillColumns, read_bill
from collectors.bill_text import MOST_BYTES
from collectors.focus_csv import read_focus
from watchkeeper.clock import from_ms
from watchkeeper.config.cost import CostSource
from watchkeeper.errors import CollectError
from watchkeeper.model import Bill, DayCharge
from watchkeeper.store.state import CostFile, State
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.config import Loaded

log = logger(__name__)

#: Bad rows that are kept to be shown; all are counted.
SHOWN_BAD = 50


@dataclass(slots=True)
class Importer:
    """Remembers what it saw of each file, so that an unchanged one is not read again."""

    state: State
    errors: dict[tuple[str, str], str] = field(default_factory=dict)  #: (source, file) -> why it cannot be read
    _before: dict[tuple[str, str], str] = field(default_factory=dict)
    _seen: dict[tuple[str, str], tuple[str, int, int]] = field(default_factory=dict)

    def run(self, loaded: Loaded, now: datetime) -> int:
        """Take in what is new; answers how many files changed what is kept."""
        sources = loaded.config.cost.sources
        with self.state.read() as unit:
            kept = {(one.source, one.file): one for one in unit.charges.files()}
        self._before, self.errors = self.errors, {}
        return sum(self._source(source, loaded.base, kept, now) for source in sources)

    def _source(self, source: CostSource, base: Path, kept: Mapping[tuple[str, str], CostFile], now: datetime) -> int:
        changed = 0
        for pattern in source.files:
            found = matches(base, pattern)
            if not found:
                self.errors[source.name, pattern] = (
                    f"no file matches {pattern}; put the bill there, or correct cost.sources"
                )
            for path in found:
                changed += self._file(source, path, kept.get((source.name, str(path))), now)
        return changed

    def _file(self, source: CostSource, path: Path, kept: CostFile | None, now: datetime) -> bool:
        key = (source.name, str(path))
        try:
            about = path.stat()
            seen = (source.model_dump_json(), about.st_mtime_ns, about.st_size)
            if self._seen.get(key) == seen:
                return False
            if about.st_size > MOST_BYTES:
                raise CollectError(
                    f"{path.name} is larger than {MOST_BYTES >> 20} MiB; export it in parts", reason="size"
                )
            raw = path.read_bytes()
            mark = hashlib.sha256(raw + read_as(source).encode()).hexdigest()
            if kept is None or kept.sha256 != mark:
                self._take(source, path, raw, mark, now)
        except (CollectError, OSError) as error:
            text = str(error) if isinstance(error, CollectError) else f"{path} cannot be read: {error.strerror}"
            if self._before.get(key) != text:
                log.warning("bill cannot be read", source=source.name, file=str(path), error=text)
            self.errors[key] = text
            return False
        self._seen[key] = seen
        return kept is None or kept.sha256 != mark

    def _take(self, source: CostSource, path: Path, raw: bytes, mark: str, now: datetime) -> None:
        bill = read(source, path, raw)
        days = by_day(bill.charges, source.name)
        found = CostFile(
            source=source.name,
            file=str(path),
            sha256=mark,
            size=len(raw),
            modified_at=from_ms(path.stat().st_mtime_ns // 1_000_000),
            imported_at=now,
            rows=len(bill.charges),
            bad_rows=len(bill.bad),
            bad=[asdict(row) for row in bill.bad[:SHOWN_BAD]],
            periods=sorted({charge.period for charge in bill.charges}),
        )
        with self.state.begin() as unit:
            unit.charges.replace(found, days)
        log.info("bill taken in", source=source.name, file=str(path), rows=found.rows, bad_rows=found.bad_rows)


def matches(base: Path, pattern: str) -> list[Path]:
    """Files of a path or pattern, relative to the configuration or absolute."""
    whole = Path(pattern)
    folder, inside = (Path(whole.anchor), whole.relative_to(whole.anchor)) if whole.is_absolute() else (base, whole)
    return sorted(path for path in folder.glob(str(inside)) if path.is_file())


def read_as(source: CostSource) -> str:
    """The options that change what a file says; a file is read anew when they do."""
    return source.model_dump_json(include={"kind", "columns", "currency", "encoding"})


def read(source: CostSource, path: Path, raw: bytes) -> Bill:
    if source.kind == "focus_csv":
        return read_focus(path, raw, source.encoding)
    assert source.columns is not None
    columns = BillColumns(**source.columns.model_dump())
    return read_bill(path, raw, columns, source=source.name, currency=source.currency or "", encoding=source.encoding)


def superseded(sources: list[CostSource], files: list[CostFile]) -> dict[tuple[str, str, str], str]:
    """(source, file, period) -> the file that says it now. A newer file of the same account and month wins;
    of files with the same content only the first counts."""
    found: dict[tuple[str, str, str], str] = {}
    for source in sources:
        own = sorted((one for one in files if one.source == source.name), key=lambda one: (one.modified_at, one.file))
        for place, one in enumerate(own):
            for period in one.periods:
                later = [each for each in own[place + 1 :] if period in each.periods]
                if source.corrections == "file":
                    later = [each for each in later if each.sha256 == one.sha256]
                if later:
                    found[one.source, one.file, period] = later[-1].file
    return found


def in_force(state: State, sources: list[CostSource]) -> tuple[list[DayCharge], list[CostFile]]:
    """The charges that count now, and every file of a configured source."""
    names = {source.name for source in sources}
    with state.read() as unit:
        files = [one for one in unit.charges.files() if one.source in names]
        replaced = superseded(sources, files)
        rows = [
            row
            for one in files
            for row in unit.charges.days(one.source, one.file)
            if (one.source, one.file, row.period) not in replaced
        ]
    return rows, files
