"""What a detector answers."""

from __future__ import annotations

from dataclasses import dataclass

from watchkeeper.model.series import FloatArray, IntArray, Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Evidence over series x time. NaN means unknown: too little history, or no sample. Never a guess."""

    series: tuple[Labels, ...]
    times: IntArray  #: shape [time], milliseconds
    value: FloatArray  #: shape [series, time], 0 (as expected) .. 1 (far outside)
    expected: FloatArray  #: shape [series, time]
    lower: FloatArray  #: lower edge of the expected band
    upper: FloatArray  #: upper edge of the expected band
    detector: str
    alarm: FloatArray | None = None  #: 1 where an alarm opens, 0 where not, NaN unknown; None: the kind has none
