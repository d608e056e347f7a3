"""A fake engine and two readers of it, for the tests of pages; a module may have its own in their place."""

from collections.abc import AsyncIterator, Iterator

import pytest
from support.fake_engine import FakeEngine, application, free_port, serving
from support.pages import reader

from dashboard.client import EngineClient
from dashboard.context import Caller
from dashboard.settings import Settings
from watchkeeper.clock import SystemClock


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeEngine, str]]:
    engine = FakeEngine()
    for role in ("viewer", "operator", "admin"):
        engine.add_user(role, role)
    with serving(application(engine), free_port()) as url:
        yield engine, url


@pytest.fixture
async def client(served: tuple[FakeEngine, str]) -> AsyncIterator[EngineClient]:
    found = EngineClient(Settings(engine_url=served[1]), SystemClock())
    yield found
    await found.aclose()


@pytest.fixture
def caller(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, "en")


@pytest.fixture
def chinese(served: tuple[FakeEngine, str], client: EngineClient) -> Caller:
    return reader(served[0], client, "zh-CN")
