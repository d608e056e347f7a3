"""info(): labels of info metrics joined to a vector."""

from __future__ import annotations

from watchkeeper.promql.functions import base

INFO: dict[str, base.Handler] = {}
