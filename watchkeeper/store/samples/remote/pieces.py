"""A request taken apart again: to send what is good of it, and to look whether the server has it already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, is_stale
from watchkeeper.model.series import FloatArray, IntArray, MatchOp
from watchkeeper.store.samples.remote.raw import read
from watchkeeper.store.samples.remote.server import Server
from watchkeeper.wire import snappy
from watchkeeper.wire.remote_write import decode, encode, labels_of

#: Largest request that was ever packed, unpacked.
MOST_BODY = 256 << 20


@dataclass(frozen=True, slots=True)
class Pieces:
    """Sample i belongs to the series of ``blocks[i]``."""

    blocks: Sequence[bytes]
    times: IntArray
    values: FloatArray

    @classmethod
    def of(cls, body: bytes) -> Pieces:
        written = decode(snappy.unpack(body, MOST_BODY), {})
        return cls([written.fresh[-1 - code] for code in written.codes.tolist()], written.times, written.values)

    def __len__(self) -> int:
        return len(self.blocks)

    def packed(self) -> bytes:
        return snappy.compress(encode(self.blocks, self.times, self.values))

    def without(self, block: bytes) -> Pieces:
        """All but the samples of one series."""
        return self._of([place for place, one in enumerate(self.blocks) if one != block])

    def halves(self) -> Iterator[Pieces]:
        """Two parts, in order."""
        middle = len(self.blocks) // 2
        yield self._of(range(middle))
        yield self._of(range(middle, len(self.blocks)))

    def _of(self, places: Sequence[int]) -> Pieces:
        rows = np.array(places, dtype=np.int64)
        return Pieces([self.blocks[place] for place in places], self.times[rows], self.values[rows])

    def shown(self, server: Server) -> bool:
        """Whether the server shows the first, middle and last of these samples; False where it cannot be asked."""
        told = np.flatnonzero(~is_stale(self.values)).tolist()
        if not told:
            return False
        return all(self._shown(server, told[place]) for place in {0, len(told) // 2, len(told) - 1})

    def _shown(self, server: Server, place: int) -> bool:
        exactly = [Matcher(name, MatchOp.EQUAL, value) for name, value in labels_of(self.blocks[place])]
        at = int(self.times[place])
        try:
            return any(at in times.tolist() for times, _ in read(server, exactly, at, at).values())
        except QueryError:
            return False
