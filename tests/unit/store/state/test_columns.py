"""What goes into JSON and time columns, and what comes out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select

from watchkeeper.store.state.columns import dump_json
from watchkeeper.store.state.tables import metadata, settings

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_json_read_back_dumps_to_the_same_text(value: object) -> None:
    text = dump_json(value)
    text.encode()
    assert dump_json(json.loads(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": math.nan, "a": [math.inf, -math.inf]}, '{"a":[null,null],"b":null}'),
        (MappingProxyType({"a": MappingProxyType({"b": math.nan})}), '{"a":{"b":null}}'),
        ({"z", "a"}, '["a","z"]'),
        (np.float64(1.5), "1.5"),
        ([np.int64(3), np.array([1.0, math.nan])], "[3,[1.0,null]]"),
        (Decimal("0.10"), '"0.10"'),
        (datetime(2026, 1, 1, tzinfo=UTC), '"2026-01-01T00:00:00+00:00"'),
        ("名\x00", '"名\ufffd"'),
        (True, "true"),
    ],
)
def test_values_python_has_and_json_has_not(value: object, text: str) -> None:
    assert dump_json(value) == text


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=8))),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_a_moment_comes_back_to_the_millisecond_in_utc(moment: datetime) -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine, tables=[settings])
    with engine.begin() as connection:
        connection.execute(insert(settings).values(key="a", value=1, updated_at=moment))
        found = connection.execute(select(settings.c.updated_at)).scalar_one()
    engine.dispose()
    assert found == moment
    assert found.utcoffset() == timedelta(0)


def test_a_mapping_with_equal_keys_after_cleaning_stays_valid_json() -> None:
    odd: Mapping[object, int] = {1: 1, "1": 2}
    assert json.loads(dump_json(odd)) == {"1": 2}
