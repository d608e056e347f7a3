"""The five-minute tour of the README, walked in a real browser on the running demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import chromium, watched
from support.demo import demo
from support.servers import need
from support.tour import address, tour, visitor

pytestmark = [pytest.mark.browser, pytest.mark.servers]


def test_a_visitor_sees_everything_that_the_readme_promises(tmp_path: Path) -> None:
    need("haproxy")
    need("supervisord")
    with demo(tmp_path / "demo") as found, chromium() as browser, watched(browser, address(found.said())) as seen:
        tour(visitor(seen.page, found.said()))
        assert seen.errors == []
        assert seen.foreign == []
