"""Labelled series to fit on: a folder with ``manifest.json`` and one Parquet file a series.

The manifest lists ``series``, each with id, family, file, dims, interval_s (seconds), warmup (points that no figure
judges, though their labels are learned from), delay_k (points within which an event counts as found), vus_window
(points), real_timestamps and, where labels are wide windows, nab_windows (first and last point). A file has the columns
timestamp (s), value and label (0 or 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.residuals import Clock

Array = npt.NDArray[Any]
#: Points, and days, that a series is looked at before its points are learned from.
LEAST_PAST, DAYS_PAST = 600, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One series; ``about`` is its entry in the manifest."""

    about: Mapping[str, Any]
    times: Array  #: [time], seconds since the epoch, or row numbers where time stamps are not real
    values: Array  #: [time]
    label: Array  #: [time], int8, 1 inside an event

    @property
    def family(self) -> str:
        return str(self.about["family"])

    @property
    def warmup(self) -> int:
        return int(self.about["warmup"])

    @property
    def taught(self) -> int:
        """The first point that is learned from: labels of the warm-up, which no figure judges, teach as well."""
        return int(min(self.warmup, max(LEAST_PAST, DAYS_PAST * self.day)))

    @property
    def delay(self) -> int:
        return int(self.about["delay_k"])

    @property
    def season(self) -> bool:
        return bool(self.about["real_timestamps"])

    @property
    def day(self) -> float:
        """Samples that the detector's memory takes for a day."""
        return Clock(int(self.about["interval_s"] * 1000), self.season).day

    def events(self) -> list[tuple[int, int]]:
        """(first, last) point of each event to learn from: its window where the labels are windows."""
        if "nab_windows" in self.about:
            return [(first, last) for first, last in self.about["nab_windows"] if first >= self.taught]
        learned = self.label.copy()
        learned[: self.taught] = 0
        return runs(learned)

    def normal(self, margin: int) -> Array:
        """The points to learn from that are neither in an event nor within ``margin`` points after one."""
        free = np.ones(len(self.label), np.bool_)
        free[: self.taught] = False
        for first, last in runs(self.label):
            free[first : last + 1 + margin] = False
        return np.flatnonzero(free)


def runs(label: Array) -> list[tuple[int, int]]:
    """(first, last) of each run of ones."""
    edge = np.diff(np.concatenate([[0], label, [0]]))
    firsts, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    return list(zip(firsts.tolist(), (ends - 1).tolist(), strict=True))


def read(folder: Path) -> list[Labelled]:
    """The series of one value a point, in the order of the manifest."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest}: no such file; set WATCHKEEPER_TEST_DATA to the folder that holds detection/")
    listed = json.loads(manifest.read_text(encoding="utf-8"))["series"]
    return [_series(folder, about) for about in listed if about["dims"] == 1]


def _series(folder: Path, about: Mapping[str, Any]) -> Labelled:
    frame = pd.read_parquet(folder / about["file"])
    return Labelled(
        about=about,
        times=frame["timestamp"].to_numpy(),
        values=frame["value"].to_numpy(np.float64),
        label=frame["label"].to_numpy(np.int8),
    )
