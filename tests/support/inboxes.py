"""NATS clients that count their inboxes instead of inventing them: what was recorded once answers every client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from unittest import mock

from nats.aio import client


class Counted:
    """For ``nats.nuid.NUID``: the same names in the same order, for every client."""

    def __init__(self) -> None:
        self._numbers = count()

    def next(self) -> bytearray:
        return bytearray(b"%022d" % next(self._numbers))


@contextmanager
def same_inboxes() -> Iterator[None]:
    with (
        mock.patch.object(client, "NUID", Counted),
        mock.patch.object(client, "token_hex", lambda size: "0" * 2 * size),
    ):
        yield
