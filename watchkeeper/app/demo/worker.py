"""One worker of the queue: takes a job, works on it for 0.4 s, and so on. supervisord starts and stops them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from watchkeeper.app.demo.place import Place
from watchkeeper.app.demo.shop import Shop

#: Seconds of one job, so one worker does 2.5 a second; and between two looks at an empty queue.
WORK, REST = 0.4, 0.25
_PR_SET_PDEATHSIG = 1


def work(shop: Shop, stopping: threading.Event, *, seconds: float = WORK) -> int:
    """Jobs done until told to stop; one that was begun is given back."""
    done, me = 0, os.getpid()
    while not stopping.is_set():
        job = shop.take(me, time.time())
        if job is None:
            stopping.wait(REST)
        elif stopping.wait(seconds):
            shop.give_back(job)
        else:
            shop.finish(job)
            done += 1
    shop.leave(me)
    return done


def main(root: str) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # supervisord may be killed
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    shop = Shop.of(Place(Path(root)))
    while not stopping.is_set():
        try:
            work(shop, stopping)
        except shop.sessions.errors():  # locked for too long on a busy machine, or started anew: try again
            stopping.wait(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
