"""A composed engine on a manual clock, in a folder of the test: the whole house without processes or ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from support.kept import kept_where
from support.states import hurry, made_already

from watchkeeper.access.roles import Role
from watchkeeper.access.users import create_user, new_user
from watchkeeper.app.compose import compose
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.paths import DataDir
from watchkeeper.clock import ManualClock
from watchkeeper.config import load
from watchkeeper.ports import ActuatorClient

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  #: a Monday, noon in Shanghai
PASSWORD = "correct horse battery"


def quiet(**sections: Any) -> dict[str, Any]:
    """A configuration that reads nothing of this machine and asks nobody."""
    config: dict[str, Any] = {
        "discover": False,
        "language": "en",
        "collect": {"host": False, "own_logs": False},
        "rules": {"packs": [], "directories": ["rules"]},
        "forecasting": {"enabled": False},
        "capacity": {"enabled": False},
    }
    for name, section in kept_where(sections).items():
        config[name] = {**config.get(name, {}), **section} if isinstance(section, dict) else section
    return config


def build(
    folder: Path, *, actuator: ActuatorClient | None = None, clock: ManualClock | None = None, **sections: Any
) -> Engine:
    """Compose an engine on ``folder``; rule files go to ``folder/rules``."""
    (folder / "rules").mkdir(exist_ok=True)
    file = folder / "watchkeeper.yaml"
    file.write_text(yaml.safe_dump(quiet(**sections), allow_unicode=True), encoding="utf-8")
    loaded = load(file, environment={})
    data = DataDir(folder / "data").create()
    if not loaded.config.store.state.url.get_secret_value():
        made_already(data.state)
    found = compose(loaded, data=data, clock=clock or ManualClock(NOON), actuator=actuator)
    if found.state.is_sqlite:
        hurry(found.state)
    return found


def fit_here(engine: Engine) -> None:
    """Fits run in this process: starting another takes seconds."""

    class Here:
        async def run(self, function: Any, *arguments: Any) -> Any:
            return function(*arguments)

        def close(self) -> None:
            return None

    engine.workers = Here()  # type: ignore[assignment]


@contextmanager
def engine(folder: Path, **options: Any) -> Iterator[Engine]:
    """A built engine that is stopped at the end; for tests without an event loop of their own."""
    import asyncio

    found = build(folder, **options)
    try:
        yield found
    finally:
        asyncio.run(stop(found))


def clock_of(found: Engine) -> ManualClock:
    assert isinstance(found.clock, ManualClock)
    return found.clock


def add_user(found: Engine, name: str, role: Role) -> None:
    user = new_user(name, role, PASSWORD, language="en", time_zone="Asia/Shanghai", now=found.clock.now())
    create_user(found.state, user, actor="test", now=found.clock.now())
