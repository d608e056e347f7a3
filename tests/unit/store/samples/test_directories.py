"""Directories of blocks stay open within their budget, and never longer than the section they belong to."""

from __future__ import annotations

import gc

import numpy as np

from watchkeeper.store.samples.chunks import pack
from watchkeeper.store.samples.directories import Directories, Directory


class Section:
    """Anything that can be held weakly."""


def directory(series: int = 4) -> Directory:
    packed = pack(np.arange(series * 3.0).reshape(series, 3))
    return packed, packed.offsets()


def test_what_is_kept_is_found_until_it_is_dropped() -> None:
    kept, section, mine = Directories(), Section(), directory()
    assert kept.get(section) is None
    kept.keep(section, mine)
    assert kept.get(section) is mine
    kept.drop(section)
    assert (kept.get(section), kept.nbytes) == (None, 0)


def test_the_one_asked_for_longest_ago_goes_first() -> None:
    size = sum(part.nbytes for part in (directory()[0].lengths, directory()[0].crcs, directory()[1]))
    kept, sections = Directories(budget=2 * size), [Section() for _ in range(3)]
    for section in sections[:2]:
        kept.keep(section, directory())
    kept.get(sections[0])
    kept.keep(sections[2], directory())
    assert [kept.get(section) is not None for section in sections] == [True, False, True]
    assert kept.nbytes == 2 * size


def test_a_section_that_went_leaves_nothing() -> None:
    kept, section = Directories(), Section()
    kept.keep(section, directory())
    del section
    gc.collect()
    assert kept.nbytes == 0
