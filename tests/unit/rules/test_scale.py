"""The key ``scale``: what is written, and what is refused with its place."""

from __future__ import annotations

import re
from datetime import time

import pytest

from rules import load_text
from watchkeeper.errors import ConfigError
from watchkeeper.model import Scale, ScaleTime

TEXT = """
remediations:
- name: more
  when: pending > 100
  action: supervisord
  target: jobs
  verify: pending > 100
  scale: {direction: out, load: pending, per_worker: 40, min: 2, max: 8}
"""


def scale_of(text: str) -> Scale | None:
    return load_text(text).remedies[0].scale


def test_a_scale_is_read_with_its_defaults() -> None:
    assert scale_of(TEXT) == Scale(direction="out", load="pending", per_worker=40.0, min=2, max=8, step=8)
    calm = scale_of(TEXT.replace("out,", "in, tolerance: 0,"))
    assert calm == Scale(direction="in", load="pending", per_worker=40.0, min=2, max=8, step=1, tolerance=0.0)
    assert scale_of(TEXT[: TEXT.index("  scale:")]) is None


@pytest.mark.parametrize(
    ("before", "after", "key", "message"),
    [
        ("direction: out", "direction: up", "scale.direction", "one of out, in"),
        ("direction: out, ", "", "scale", "'direction' is missing"),
        ("load: pending", "load: 'pending ('", "scale.load", "PromQL"),
        ("per_worker: 40", "per_worker: 0", "scale.per_worker", "above 0"),
        (", per_worker: 40", "", "scale", "'per_worker' is missing"),
        ("min: 2", "min: 0", "scale.min", "min of 1"),
        ("max: 8", "max: 1", "scale.max", "not below"),
        ("max: 8", "max: 8, step: 0", "scale.step", "1 or more"),
        ("max: 8", "max: 8, tolerance: 1.5", "scale.tolerance", "number above 0"),
        ("max: 8", "max: 8, cap: 9", "scale.cap", "not a known key"),
        ("  scale: {", "  parameters: {count: 3}\n  scale: {", "scale", "instead of parameters"),
    ],
)
def test_a_mistake_in_a_scale_names_its_place(before: str, after: str, key: str, message: str) -> None:
    assert before in TEXT
    with pytest.raises(ConfigError) as caught:
        scale_of(TEXT.replace(before, after))
    assert f"remediations[0].{key}" in str(caught.value)
    assert message in str(caught.value)


PLANNED = """
    direction: out
    load: pending
    per_worker: 40
    min: 2
    max: 8
    forecast: max(soon)
    schedule: [{days: [mon, sat], from: "22:00", to: "02:30", zone: Asia/Shanghai, min: 6}]
    cost: {per_worker: 0.5, ceiling: 3, guard: over > 0}
"""


def test_forecast_schedule_and_cost_are_read() -> None:
    scale = scale_of(TEXT[: TEXT.index("{direction")].rstrip() + PLANNED)
    assert scale is not None
    hours = ScaleTime(days=(0, 5), start=time(22), end=time(2, 30), zone="Asia/Shanghai", min=6)
    assert (scale.forecast, scale.schedule) == ("max(soon)", (hours,))
    assert (scale.cost_per_worker, scale.cost_ceiling, scale.cost_guard) == (0.5, 3.0, "over > 0")


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("[mon, sat]", "[monday]", "must be a list of mon, tue"),
        ('"22:00"', '"25:00"', "time of day"),
        ('to: "02:30"', 'to: "22:00"', "must differ"),
        ("Asia/Shanghai", "Mars/Base", "is no time zone"),
        ("min: 6", "min: 600", "not above max"),
        ("ceiling: 3, ", "", "belong together"),
        ("max(soon)", "max(", "forecast"),
        ("guard: over > 0", "gard: over", "not a known key"),
    ],
)
def test_a_mistake_in_them_names_its_place(was: str, now: str, says: str) -> None:
    text = TEXT[: TEXT.index("{direction")].rstrip() + PLANNED
    assert was in text
    with pytest.raises(ConfigError, match=re.escape(says)):
        scale_of(text.replace(was, now, 1))
