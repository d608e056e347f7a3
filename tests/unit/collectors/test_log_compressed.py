from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.compressing import PACKED
from support.mutations import mutated

from collectors.log_compressed import READABLE, head_of, plain_name, unpacked

TEXT = b"".join(b"2026-11-22 12:00:00 INFO order %d accepted\n" % number for number in range(60_000))


def read(path: Path) -> bytes | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        text = unpacked(fd, path.name)
    finally:
        os.close(fd)
    if text is None:
        return None
    with os.fdopen(text, "rb") as file:
        file.seek(0)
        return file.read()


@pytest.mark.parametrize("end", READABLE)
def test_text_of_every_kind_is_read_whole_with_more_put_behind_it(end: str, tmp_path: Path) -> None:
    path = tmp_path / f"app.log.1{end}"
    path.write_bytes(PACKED[end](TEXT) + PACKED[end](b"a second part\n"))
    assert read(path) == TEXT + b"a second part\n"
    assert plain_name(path.name) == "app.log.1"
    with path.open("rb") as file:
        assert head_of(file.fileno(), path.name, 512) == TEXT[:512]


@pytest.mark.parametrize("end", READABLE)
def test_what_is_not_whole_gives_nothing_instead_of_a_part(end: str, tmp_path: Path) -> None:
    path, whole = tmp_path / f"app.log.1{end}", PACKED[end](TEXT)
    for length in (len(whole) - 1, len(whole) // 2, 9, 1):
        path.write_bytes(whole[:length])
        assert read(path) is None


@pytest.mark.parametrize("end", READABLE)
def test_a_damaged_file_ends_nothing(end: str, tmp_path: Path) -> None:
    path, whole, dice = tmp_path / f"app.log.1{end}", PACKED[end](TEXT[:9000]), random.Random(5)
    for _ in range(200):
        path.write_bytes(mutated(whole, dice))
        read(path)
        with path.open("rb") as file:
            assert len(head_of(file.fileno(), path.name, 512)) <= 512
