"""Products of small matrices stay on the thread that asks for them."""

from __future__ import annotations

from functools import cache

from threadpoolctl import threadpool_limits


@cache
def one_thread() -> None:
    """From the first call on this process's linear algebra starts no threads.

    Our matrices are small: handed to several threads each product costs up to ten times the processor time that it
    takes itself, as threads wait for one another by spinning; and the processes of the engine share the cores anyway.
    """
    threadpool_limits(limits=1, user_api="blas")
