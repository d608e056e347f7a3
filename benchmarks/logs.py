"""Log lines: CPU to read a megabyte and to mask a line, and how long 50,000 new lines take until they are found.

    python benchmarks/logs.py [MB]

Reading is the collector's own way: files from disk, lines apart, severities. CPU is the process's own.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._figures import Figure, show
from collectors.log_file import LogFile
from watchkeeper.masking import Masker
from watchkeeper.model import LogBatch
from watchkeeper.store.logs import LogLines, Question

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEVELS = ("INFO", "INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG")
NOBODY: Any = None


def plain(place: int, level: str) -> str:
    return (
        f"2026-11-22 12:00:{place % 60:02d}.{place % 1000:03d} {level} [http-nio-8080-exec-{place % 50}] "
        f"com.shop.OrderService - order {place * 7919} accepted in {place % 900} ms for customer {place * 31}"
    )


def as_json(place: int, level: str) -> str:
    return (
        f'{{"time":"2026-11-22T12:00:{place % 60:02d}Z","level":"{level.lower()}","logger":"shop",'
        f'"msg":"order {place * 7919} accepted in {place % 900} ms","customer":{place * 31}}}'
    )


def chinese(place: int, level: str) -> str:
    return f"2026-11-22 12:00:{place % 60:02d} 【{level}】 订单 {place * 7919} 已接受，用时 {place % 900} 毫秒"


FORMS: dict[str, Callable[[int, str], str]] = {"plain": plain, "json": as_json, "chinese": chinese}


def lines(form: str, size: int) -> Iterator[str]:
    chance, place, made = random.Random(7), 0, 0
    while made < size:
        line = FORMS[form](place, chance.choice(LEVELS))
        made += len(line.encode()) + 1
        place += 1
        yield line


def read(folder: Path, form: str, megabytes: int) -> float:
    """Milliseconds of process CPU for a megabyte, the file in the page cache."""
    path = folder / f"{form}.log"
    path.write_text("".join(f"{line}\n" for line in lines(form, megabytes << 20)))
    size = path.stat().st_size
    part = LogFile(name="app", paths=[str(path)], from_beginning=True)

    async def all_of_it() -> tuple[int, float]:
        found, began = 1, time.process_time()
        taken = 0
        while found:
            collected = await part.collect(NOON, NOBODY)
            found = sum(map(len, collected.logs))
            taken += collected.body_bytes
        return taken, time.process_time() - began

    taken, seconds = asyncio.run(all_of_it())
    assert taken == size
    return seconds * 1e9 / size


def masked() -> float:
    """Microseconds of process CPU for a line with every rule on; one line in ten holds something."""
    texts = list(lines("plain", 16 << 20))
    for place in range(0, len(texts), 10):
        texts[place] += " user=bob@example.com password=hunter2 tel 13812345678 from 10.0.0.7"
    batches = [LogBatch.of((), texts[at : at + 8000], 0) for at in range(0, len(texts), 8000)]
    masker = Masker({"ip": True})
    began = time.process_time()
    for batch in batches:
        masker.mask(batch)
    return (time.process_time() - began) * 1e6 / len(texts)


def stored(folder: Path) -> float:
    """Seconds until 50,000 lines are masked, durable and found; the worst of six times."""
    store, masker = LogLines(folder / "lines"), Masker()
    rate, worst = 50_000, 0.0
    texts = list(lines("plain", 60 << 20))[: 6 * rate]
    for second in range(6):
        arrived = time.perf_counter()
        mine = [*texts[second * rate : (second + 1) * rate], f"needle{second}"]
        batch = masker.mask(LogBatch.of((("file", "/app.log"),), mine, round(NOON.timestamp() * 1000)))
        store.append("app", [batch], {"n": second}, NOON)
        assert len(store.search(Question(query=f"needle{second}")).lines) == 1
        worst = max(worst, time.perf_counter() - arrived)
    store.maintain(datetime(2026, 11, 22, 14, tzinfo=UTC))
    assert len(store.search(Question(query="needle3")).lines) == 1, "sealed lines are found too"
    store.close()
    return worst


def main() -> int:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        speeds = {form: read(folder, form, megabytes) for form in FORMS}
        worst = stored(folder)
    figures = [Figure(f"CPU to read a megabyte, {form} lines", speed, "ms", 5.0) for form, speed in speeds.items()]
    figures.append(Figure("CPU to mask a line, every rule on", masked(), "us", 20.0))
    figures.append(Figure("50,000 lines masked, durable and found", worst, "s", 2.0))
    return show("log lines", figures)


if __name__ == "__main__":
    sys.exit(main())
