"""A thousand signed-in readers on pages and API at once (SR-127): nobody gets an error, p95 stays under two seconds."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.crowd import Seen, crowd
from support.up import PASSWORD, Up, running

SEED = 20261122
ACCOUNTS = 20


def sessions(up: Up, count: int) -> list[str]:
    """``count`` sessions of a few accounts, one after the other as people arrive in the morning."""
    names = [f"reader-{number}" for number in range(min(ACCOUNTS, count))]
    for name in names:
        up.ask("POST", "/api/wk/users", {"name": name, "role": "viewer", "password": PASSWORD, "language": "en"})
    door = replace(up, session="", csrf="")  # a sign-in that shows a session ends that one
    signed = [names[number % len(names)] for number in range(count)]
    return [door.ask("POST", "/api/wk/login", {"name": name, "password": PASSWORD})["session"] for name in signed]


def callbacks(up: Up, session: str) -> list[dict[str, Any]]:
    """Dash's own list."""
    request = urllib.request.Request(f"{up.dashboard}/_dash-dependencies", headers={"Cookie": f"wk={session}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())
    return found


def let_in(folder: Path, count: int, seconds: float, ramp: float) -> Seen:
    with running(folder) as up:
        up.sign_in()
        signed = sessions(up, count)
        up.until("signals", lambda: up.ask("GET", "/api/wk/overview")["signals"][0]["value"] is not None)
        host, engine = up.dashboard.removeprefix("http://"), up.engine.removeprefix("http://")
        found = callbacks(up, signed[0])
        seen = asyncio.run(crowd(host, engine, signed, found, seconds, SEED, ramp=ramp))
    figures = {kind: (len(row), round(sorted(row)[int(len(row) * 0.95)], 3)) for kind, row in seen.taken.items()}
    print(
        json.dumps({"seed": SEED, "readers": count, "errors": len(seen.errors), "p95": seen.quantile(0.95), **figures})
    )
    return seen


def test_thirty_readers_get_what_they_ask(tmp_path: Path) -> None:
    seen = let_in(tmp_path, 30, seconds=8, ramp=2)
    assert seen.errors == []
    assert {"document", "callback", "api"} <= set(seen.taken)


@pytest.mark.long
def test_a_thousand_readers_get_what_they_ask_in_time(tmp_path: Path) -> None:
    seconds = min(300.0, float(os.environ.get("LONG_SECONDS", "3600")))
    seen = let_in(tmp_path, 1000, seconds=seconds, ramp=30)
    assert seen.errors == []
    assert seen.quantile(0.95) < 2.0
