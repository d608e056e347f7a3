"""Products of small matrices stay on the thread that asks for them, and memory with the process."""

from __future__ import annotations

from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

#: Bytes up to which an array is taken from the memory that is kept.
KEPT = 24 << 20


@cache
def one_thread() -> None:
    """From the first call on this process's linear algebra starts no threads.

    Our matrices are small: handed to several threads each product costs up to ten times the processor time that it
    takes itself, as threads wait for one another by spinning; and the processes of the engine share the cores anyway.
    """
    threadpool_limits(limits=1, user_api="blas")


@cache
def keep_memory() -> None:
    """From the first call on glibc serves arrays of up to KEPT bytes from memory that the process has already.

    Else it asks the kernel for each larger one and gives it back at once: a quarter of the time that scoring takes went
    to pages being cleared. The limit is raised by giving back one array of that size; twice as much free memory is
    kept at most. Other allocators are as they were.
    """
    np.empty(KEPT, np.uint8)
