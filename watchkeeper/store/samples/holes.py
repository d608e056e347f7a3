"""Places where a pushed series has no sample although others of its group have one: not an end, only silence.

A staleness marker says "ended here" and Prometheus stops looking back at it; a hole says nothing at all. Holes live in
the rows of pushed groups and never leave the store.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import STALE_BITS, BoolArray, FloatArray, is_stale

#: A NaN that no arithmetic and no exporter makes.
HOLE_BITS = 0x7FF00000000ABCDE
#: Groups of pushed series are targets of such names; no source's name holds the separator.
PUSHED = "pushed\x1e"


def is_pushed(target: str) -> bool:
    return target.startswith(PUSHED)


def absent_bits(target: str) -> int:
    """What stands where a series of this target was not told of."""
    return HOLE_BITS if is_pushed(target) else STALE_BITS


def is_hole(values: FloatArray) -> BoolArray:
    holes: BoolArray = np.ascontiguousarray(values).view(np.uint64) == np.uint64(HOLE_BITS)
    return holes


def is_absent(values: FloatArray) -> BoolArray:
    """True where there is no sample, ended or silent."""
    return is_stale(values) | is_hole(values)


def without_holes(values: FloatArray) -> FloatArray:
    """Holes as staleness, for aggregates, where the difference does not matter. Changes ``values``."""
    values.view(np.uint64)[is_hole(values)] = STALE_BITS
    return values


def filled(shape: tuple[int, int], bits: int) -> FloatArray:
    return np.full(shape, bits, dtype=np.uint64).view(np.float64)
