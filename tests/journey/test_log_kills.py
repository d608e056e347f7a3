"""A log that is rotated in every way while its reader is killed again and again: no line is lost, none doubled."""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import random
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.log_keeper import NOON, keep_reading, look, opened

from watchkeeper.store.logs import Question

#: Generations that stay plain before they are compressed, as ``delaycompress`` leaves them.
PLAIN = 8


class Rotating:
    def __init__(self, log: Path, chance: random.Random) -> None:
        self.log, self.chance, self.written = log, chance, 0

    def write(self) -> None:
        new = range(self.written, self.written + self.chance.randrange(6))
        with self.log.open("a") as file:
            file.write("".join(f"line {number}\n" for number in new))
        self.written += len(new)

    def name(self, generation: int) -> Path:
        return self.log.with_name(f"{self.log.name}.{generation}")

    def rotate(self, *, copytruncate: bool) -> None:
        last = self.name(PLAIN)
        if last.exists():
            last.with_name(f"{last.name}.gz").write_bytes(gzip.compress(last.read_bytes()))
            last.unlink()
        for generation in range(PLAIN - 1, 0, -1):
            if self.name(generation).exists():
                self.name(generation).rename(self.name(generation + 1))
        if copytruncate:
            shutil.copyfile(self.log, self.name(1))
            with self.log.open("r+") as file:
                file.truncate(0)
        else:
            self.log.rename(self.name(1))
            self.write()


@pytest.mark.parametrize("copytruncate", [False, True], ids=["rename", "copytruncate"])
@pytest.mark.parametrize(
    ("rotations", "kills", "seed"),
    [(25, 3, 0), *(pytest.param(1000, 100, seed, marks=pytest.mark.long) for seed in range(1, 3))],
)
def test_lines_survive_rotations_and_kills(
    tmp_path: Path, rotations: int, kills: int, seed: int, *, copytruncate: bool
) -> None:
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.log_keeper"])
    chance, pattern, folder = random.Random(seed), str(tmp_path / "app.log"), str(tmp_path / "lines")
    log = Rotating(tmp_path / "app.log", chance)
    log.write()
    looks = context.Value("q", 0)
    process = context.Process(target=keep_reading, args=(pattern, folder, looks))
    process.start()
    deadly = set(chance.sample(range(rotations), kills))
    for rotation in range(rotations):
        log.write()
        if rotation in deadly:
            process.kill()  # wherever it is
            process.join()
        log.rotate(copytruncate=copytruncate)
        log.write()
        if rotation in deadly:
            process = context.Process(target=keep_reading, args=(pattern, folder, looks))
            process.start()
        if rotation in deadly or chance.random() < 0.5:
            _wait_for_looks(looks, chance.randrange(1, 3))
    process.kill()
    process.join()
    store, part = opened(pattern, folder)
    for step in range(3):
        asyncio.run(look(store, part, NOON + timedelta(days=1, seconds=70 * step)))
    found = store.search(Question(limit=1_000_000)).lines
    assert sorted(int(line.text.removeprefix("line ")) for line in found) == list(range(log.written))
    assert store.stats()["damaged"] == 0
    asyncio.run(part.close())
    store.close()


def _wait_for_looks(looks: Any, more: int) -> None:
    wanted, ends = looks.value + more, time.monotonic() + 60
    while looks.value < wanted:
        assert time.monotonic() < ends, "the reader reads no more"
        time.sleep(0.002)
