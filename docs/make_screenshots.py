"""Takes the pictures of README.md from a running Watchkeeper that watches this very host.

Run: .venv/bin/python docs/make_screenshots.py [--seconds 180]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Page, sync_playwright  # noqa: E402
from support.servers import chromium  # noqa: E402
from support.up import PASSWORD, running  # noqa: E402

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
PAGES = {"overview": "/", "capacity": "/capacity"}
#: Time a page gets to fill itself.
SETTLE_MS = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long to watch before the pictures")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as up, sync_playwright() as player:
        up.sign_in()
        time.sleep(seconds)
        browser = player.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(up.dashboard)
        page.fill("input[name=name]", "lin")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        for name, path in PAGES.items():
            shoot(page, f"{up.dashboard}{path}", name)
        browser.close()


def shoot(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")


if __name__ == "__main__":
    main()
