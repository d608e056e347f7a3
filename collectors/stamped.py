"""Samples that carry their own time: ticks of their own, as a tick has one time.

cAdvisor stamps all series of a container alike. Series that came with one time are one group, a target of the store
named ``<target>@<number>``; a group whose members part is divided. As in Prometheus these series get no staleness
marks: they end five minutes after their last sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from watchkeeper.model import Labels, Layout, Tick
from watchkeeper.model.series import BoolArray, FloatArray


class Stamped:
    """Remembers which series move together."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._groups: dict[Labels, int] = {}
        self._layouts: dict[int, Layout] = {}
        self._plain: tuple[Layout, bytes, Layout] | None = None

    @property
    def any(self) -> bool:
        """Whether the last page had such samples."""
        return bool(self._groups)

    def ticks(self, layout: Layout, values: FloatArray, stamps: Mapping[int, int]) -> list[Tick]:
        """One tick for each group of series; none when ``stamps`` (column -> ms) is empty."""
        together: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for column, time_ms in stamps.items():
            together[self._groups.get(layout.series[column], -1), time_ms].append(column)
        taken: dict[int, tuple[int, list[int]]] = {}
        for (group, time_ms), columns in sorted(together.items(), key=lambda item: -len(item[1])):
            number = group if group >= 0 and group not in taken else self._free(taken)
            taken[number] = time_ms, columns
        self._groups = {layout.series[column]: number for number, (_, columns) in taken.items() for column in columns}
        self._layouts = {
            number: self._layout(number, [layout.series[column] for column in columns])
            for number, (_, columns) in taken.items()
        }
        return [
            Tick(
                target=f"{self._target}@{number}",
                time_ms=time_ms,
                layout=self._layouts[number],
                values=values[np.array(columns, np.intp)],
            )
            for number, (time_ms, columns) in sorted(taken.items())
        ]

    def others(self, layout: Layout, stamps: Mapping[int, int], before: Mapping[Labels, int]) -> BoolArray:
        """The columns whose time is the scrape's: neither stamped now nor, being gone, stamped ``before``."""
        return np.array(
            [column not in stamps and series not in before for column, series in enumerate(layout.series)], np.bool_
        )

    def split(self, layout: Layout, values: FloatArray, stamps: Mapping[int, int]) -> tuple[Layout, FloatArray]:
        """What is left for the tick at the scrape's own time; the layout stays the same object while it can."""
        mask = self.others(layout, stamps, self._groups)
        known = self._plain
        if known is None or known[0] is not layout or known[1] != mask.tobytes():
            kept = tuple(series for series, stays in zip(layout.series, mask.tolist(), strict=True) if stays)
            self._plain = known = layout, mask.tobytes(), Layout(kept)
        return known[2], values[mask]

    def _free(self, taken: Mapping[int, object]) -> int:
        used = {*taken, *self._groups.values()}
        return next(number for number in range(len(used) + 1) if number not in used)

    def _layout(self, number: int, series: Sequence[Labels]) -> Layout:
        known = self._layouts.get(number)
        return known if known is not None and known.series == tuple(series) else Layout(tuple(series))
