"""A log that is rotated in every way while its reader is killed again and again: no line is lost, none doubled.

Nobody writes between the copy and the emptying of copy-and-truncate: what is written there is lost by the rotation
itself, whoever reads (logrotate(8) says so), and no reader can prove anything about it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import shutil
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.compressing import PACKED
from support.log_keeper import NOON, keep_reading, look, opened

from watchkeeper.store.logs import Question

#: Generations that stay plain before they are compressed, as ``delaycompress`` leaves them, and compressed ones kept.
PLAIN, KEPT = 8, 20


class Rotating:
    def __init__(self, log: Path, chance: random.Random, form: str) -> None:
        self.log, self.chance, self.form, self.written = log, chance, form, 0
        self.end = f".{form.partition('+')[2] or 'gz'}"  #: of the name of what is compressed

    def write(self) -> None:
        new = range(self.written, self.written + self.chance.randrange(6))
        with self.log.open("a") as file:
            file.write("".join(f"line {number}\n" for number in new))
        self.written += len(new)

    def name(self, generation: int, end: str = "") -> Path:
        return self.log.with_name(f"{self.log.name}.{generation}{end}")

    def rotate(self) -> None:
        for end, last in ((self.end, KEPT), ("", PLAIN)):
            for generation in range(last, 0, -1):
                if self.name(generation, end).exists():
                    self.name(generation, end).rename(self.name(generation + 1, end))
        if self.name(PLAIN + 1).exists():
            compress(self.name(PLAIN + 1), self.end)
        if self.form.startswith("copytruncate"):
            shutil.copyfile(self.log, self.name(1))
            with self.log.open("r+") as file:
                file.truncate(0)
        else:
            self.log.rename(self.name(1))
            self.write()
        if "+" in self.form:
            compress(self.name(1), self.end)


def compress(path: Path, end: str) -> None:
    """As gzip does: beside the file, piece by piece, and then in its place."""
    whole = PACKED[end](path.read_bytes())
    with path.with_name(f"{path.name}{end}").open("wb") as file:
        for piece in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
            file.write(piece)
            file.flush()
    path.unlink()


@pytest.mark.parametrize(
    "form", ["rename", "copytruncate", "rename+gz", "copytruncate+gz", "rename+zst", "copytruncate+lz4"]
)
@pytest.mark.parametrize(
    ("rotations", "kills", "seed"),
    [(25, 3, 0), *(pytest.param(1000, 100, seed, marks=pytest.mark.long) for seed in range(1, 3))],
)
def test_lines_survive_rotations_and_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotations: int, kills: int, seed: int, form: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # or the server of forks imports nothing beforehand
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.log_keeper"])
    chance, pattern, folder = random.Random(seed), str(tmp_path / "app.log"), str(tmp_path / "lines")
    log = Rotating(tmp_path / "app.log", chance, form)
    log.write()
    looks = context.Value("q", 0)
    process = context.Process(target=keep_reading, args=(pattern, folder, looks))
    process.start()
    _wait_for_looks(looks, 1)  # what was compressed before it ever looked is old
    deadly = set(chance.sample(range(rotations), kills))
    for rotation in range(rotations):
        log.write()
        if rotation in deadly:
            process.kill()  # wherever it is
            process.join()
        log.rotate()
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
    wanted, ends = looks.value + more, time.monotonic() + 600
    while looks.value < wanted:
        assert time.monotonic() < ends, "the reader reads no more"
        time.sleep(0.002)
