"""What counts towards a service being watched."""

from __future__ import annotations

from collectors import BUILTIN
from watchkeeper.app.catalogue.coverage import LOGS
from watchkeeper.app.pipeline.receive_logs import SOURCE


def test_every_kind_that_brings_log_lines_is_one_that_there_is() -> None:
    assert set(LOGS) - {SOURCE} <= set(BUILTIN)
