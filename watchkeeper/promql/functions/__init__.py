"""Every PromQL function by name: how its arguments are read and which arithmetic answers it."""

from __future__ import annotations

from watchkeeper.promql.functions.base import Handler
from watchkeeper.promql.functions.info import INFO
from watchkeeper.promql.functions.ranges import RANGE
from watchkeeper.promql.functions.scalars import SCALAR
from watchkeeper.promql.functions.vectors import VECTOR

FUNCTIONS: dict[str, Handler] = {**SCALAR, **VECTOR, **RANGE, **INFO}

__all__ = ["FUNCTIONS"]
