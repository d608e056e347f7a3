"""Figures out of JSON: paths, labels beside the value, units, words, and what is refused."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.targets import TRUST, answer, target

from collectors import json_path
from collectors.json_http import JsonHttp, JsonMetric
from watchkeeper.errors import CollectError
from watchkeeper.model import format_series, labels
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DOCUMENT = {
    "state": "yellow",
    "nodes": {
        "a": {"disks": [{"dev": "sda", "used": 1}, {"dev": "sdb", "used": None}], "wait_ms": 250, "master": True},
        "b": {"disks": [{"dev": "sda", "used": "7"}], "wait_ms": "n/a", "since": "2026-11-22T12:00:00Z"},
    },
    "odd.name": [[1, 2], [3]],
}


async def collect(document: Any, *metrics: dict[str, Any], **options: Any) -> tuple[dict[str, float], dict[str, int]]:
    """(series without job and instance -> value, rejected)."""
    async with target(doc=answer(json.dumps(document).encode())) as server:
        outbound = Outbound(allow_private=True, verify=TRUST)
        part = JsonHttp(name="n", url=server.url("/doc"), metrics=[JsonMetric(**one) for one in metrics], **options)
        found = await part.collect(NOON, outbound)
        await outbound.aclose()
    rows = {}
    for tick in found.ticks:
        for series, number in zip(tick.layout.series, tick.values.tolist(), strict=True):
            kept = {key: word for key, word in series if key not in ("job", "instance", "__name__")}
            rows[format_series(labels(dict(series)["__name__"], kept))] = number
    return rows, dict(found.rejected)


async def test_labels_stand_beside_their_value_however_deep_it_is() -> None:
    disk = {
        "name": "disk_used",
        "path": "nodes[*].disks[*].used",
        "labels": {"node": "$1", "dev": "nodes[*].disks[*].dev", "nr": "$2", "master": "nodes[*].master"},
    }
    rows, rejected = await collect(DOCUMENT, disk)
    assert rows == {
        'disk_used{dev="sda",master="true",node="a",nr="0"}': 1.0,
        'disk_used{dev="sda",node="b",nr="0"}': 7.0,
    }
    assert rejected == {}


async def test_values_come_in_base_units_and_what_is_no_number_is_counted() -> None:
    rows, rejected = await collect(
        DOCUMENT,
        {"name": "wait_seconds", "path": "nodes[*].wait_ms", "scale": 0.001, "labels": {"node": "$1"}},
        {"name": "state", "path": "state", "words": {"green": 0, "yellow": 1}},
        {"name": "since_seconds", "path": "nodes[*].since", "convert": "time"},
        {"name": "rows", "path": '["odd.name"][*]', "convert": "count", "labels": {"row": "$1"}},
        {"name": "first", "path": '["odd.name"][0][1]'},
        {"name": "nothing", "path": "nodes.c.d"},
    )
    assert rows == {
        'wait_seconds{node="a"}': 0.25, "state": 1.0, "since_seconds": NOON.timestamp(),
        'rows{row="0"}': 2.0, 'rows{row="1"}': 1.0, "first": 2.0,
    }  # fmt: skip
    assert rejected == {"type": 1}


async def test_two_values_under_one_name_are_told_and_the_first_stays() -> None:
    rows, rejected = await collect(DOCUMENT, {"name": "n", "path": '["odd.name"][*][*]'})
    assert (rows, rejected) == ({"n": 1.0}, {"duplicate": 2})


async def test_a_password_goes_into_the_request_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    async with target(doc=answer(b'{"a": 1}')) as server:
        outbound = Outbound(allow_private=True, verify=TRUST)
        given: dict[str, Any] = {"username": "u", "password_file": str(tmp_path / "password")}
        part = JsonHttp(name="n", url=server.url("/doc"), metrics=[JsonMetric(name="a", path="a")], **given)
        await part.collect(NOON, outbound)
        head = server.requests[0][2].lower().split(b"authorization: basic ")[1].split(b"\r\n")[0]
        (tmp_path / "password").unlink()
        with pytest.raises(CollectError) as failure:
            await part.collect(NOON, outbound)
        await outbound.aclose()
    assert len(b64decode(head + b"==", validate=False)) > 0
    assert head == b"dtpzm2nyzxq="
    assert failure.value.reason == "token"
    assert "s3cret" not in repr(part) + str(failure.value)


@pytest.mark.parametrize("path", ["a..b", "a[x]", "a]", '["a', ".a"])
def test_a_wrong_path_is_told_with_its_place(path: str) -> None:
    with pytest.raises(ValueError, match=r"write it as a\.b"):
        json_path.parse(path)


def test_a_label_cannot_go_deeper_than_its_value() -> None:
    with pytest.raises(ValueError, match=r"has more \[\*\] than the path of n"):
        JsonMetric(name="n", path="a[*].b", labels={"x": "a[*].c[*].d"})
