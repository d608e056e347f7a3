from collections.abc import Iterator
from pathlib import Path

import pytest
from support.states import sqlite_state

from watchkeeper.store.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    found = sqlite_state(tmp_path)
    yield found
    found.close()
