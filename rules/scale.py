"""The key ``scale`` of a remediation: how many workers a load needs."""

from __future__ import annotations

import math
from typing import Any

from watchkeeper.model import Scale

from .fields import Fields
from .scale_schedule import read_schedule

KEYS = ("direction", "load", "per_worker", "min", "max", "step", "tolerance", "forecast", "schedule", "cost")
DIRECTIONS = ("out", "in")


def read_scale(outer: Fields) -> Scale | None:
    """None when the rule has none. Raises ConfigError naming the field."""
    value = outer.data.get("scale")
    if value is None:
        return None
    if outer.data.get("parameters"):
        raise outer.error("stands instead of parameters; write one of the two", "scale")
    fields = Fields(outer.document, value, (*outer.path, "scale"))
    fields.known(*KEYS)
    direction = fields.text("direction")
    if direction not in DIRECTIONS:
        raise fields.error(
            f"must be one of {', '.join(DIRECTIONS)}: a rule adds or takes away, never both", "direction"
        )
    least, most = fields.number("min"), fields.number("max")
    if not 1 <= least <= most:
        raise fields.error("needs a min of 1 or more and a max that is not below it", "min" if least < 1 else "max")
    step = fields.number("step", 1 if direction == "in" else most)
    if step < 1:
        raise fields.error("must be 1 or more", "step")
    return Scale(
        direction=direction,
        load=fields.promql("load"),
        per_worker=_above(fields, "per_worker", 0.0, math.inf),
        min=least,
        max=most,
        step=step,
        tolerance=_above(fields, "tolerance", -1e-12, 1.0, 0.1),
        forecast=fields.promql("forecast") if fields.data.get("forecast") else "",
        schedule=read_schedule(fields, most),
        **_cost(fields),
    )


def _cost(outer: Fields) -> dict[str, Any]:
    """``cost``: what one worker costs an hour, what all may cost, and a guard that forbids to add."""
    value = outer.data.get("cost")
    if value is None:
        return {}
    fields = Fields(outer.document, value, (*outer.path, "cost"))
    fields.known("per_worker", "ceiling", "guard")
    if ("per_worker" in fields.data) != ("ceiling" in fields.data):
        raise fields.error("per_worker and ceiling belong together; write both", "ceiling")
    return {
        "cost_per_worker": _above(fields, "per_worker", 0.0, math.inf, 1.0) if "per_worker" in fields.data else 0.0,
        "cost_ceiling": _above(fields, "ceiling", 0.0, math.inf, 1.0) if "ceiling" in fields.data else 0.0,
        "cost_guard": fields.promql("guard") if fields.data.get("guard") else "",
    }


def _above(fields: Fields, key: str, least: float, most: float, default: float | None = None) -> float:
    value = fields.data.get(key, default)
    if value is None:
        raise fields.error(f"key {key!r} is missing; add it")
    if isinstance(value, bool) or not isinstance(value, int | float) or not least < value < most:
        raise fields.error(f"must be a number above {max(least, 0):g}", key)
    return float(value)
