"""Pairs of senders that say the same: one of them is listened to, the other steps in when it falls silent.

As Mimir and Cortex have it: the label ``cluster`` names the pair and ``__replica__`` the sender; the second label is
taken off, so that the series goes on when the sender changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.model import Labels, label
from watchkeeper.model.series import BoolArray, IntArray

CLUSTER, REPLICA = "cluster", "__replica__"
#: The other replica is listened to after so much silence.
FAILOVER_SECONDS = 30.0


class Replicas:
    """Numbers for (cluster, replica); 0 is a sender without."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._numbers: dict[tuple[str, str], int] = {}
        self._names: list[tuple[str, str]] = [("", "")]
        self._elected: dict[str, tuple[str, float]] = {}

    def of(self, series: Labels) -> tuple[Labels, int]:
        """The series without the replica's label, and the number of its sender."""
        replica = label(series, REPLICA)
        if not replica:
            return series, 0
        name = (label(series, CLUSTER), replica)
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return tuple(pair for pair in series if pair[0] != REPLICA), number

    def repeated(self, numbers: IntArray, codes: IntArray) -> BoolArray:
        """Samples of a replica that is not the one listened to; ``numbers[codes[i]]`` is the sender of sample i."""
        senders = numbers[codes]
        told: BoolArray = np.zeros(len(codes), dtype=np.bool_)
        if not senders.any():
            return told
        for sender in np.unique(senders).tolist():
            if sender and not self._listened(*self._names[sender]):
                told |= senders == sender
        return told

    def _listened(self, cluster: str, replica: str) -> bool:
        now = self._monotonic()
        elected, seen = self._elected.get(cluster, (replica, now))
        if elected != replica and now - seen < FAILOVER_SECONDS:
            return False
        self._elected[cluster] = (replica, now)
        return True
