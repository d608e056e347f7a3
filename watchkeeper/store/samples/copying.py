"""Backups: immutable files copied to a new directory, made durable before it gets its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from watchkeeper.errors import StoreError


def copy_store(destination: Path, files: Mapping[str, Sequence[Path]], *, link: bool = False) -> int:
    """Copy ``files`` (by subdirectory) to a new directory; returns their bytes. Raises StoreError.

    With ``link`` a file gets a second name instead, where the file system can: they never change.
    """
    if destination.exists():
        raise StoreError(f"backup: {destination} exists already; name a new directory")
    partial = destination.with_name(destination.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        size = sum(_copy_all(partial / name, paths, link=link) for name, paths in files.items())
        _sync(partial)
        partial.rename(destination)
        _sync(destination.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StoreError(f"backup to {destination} failed: {error}") from error
    return size


def _copy_all(directory: Path, paths: Sequence[Path], *, link: bool) -> int:
    directory.mkdir(mode=0o700, parents=True)
    for path in paths:
        if not (link and _linked(path, directory / path.name)):
            shutil.copyfile(path, directory / path.name)
            _sync(directory / path.name)
    _sync(directory)
    return sum(path.stat().st_size for path in paths)


def _linked(path: Path, name: Path) -> bool:
    """Whether the file has a second name now; not every file system gives one."""
    try:
        name.hardlink_to(path)
    except OSError:
        return False
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
