"""Takes the pictures of README.md on the tour of the running demo.

Run: .venv/bin/python docs/make_screenshots.py [--only NAME ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Page  # noqa: E402
from support.browser import chromium, watched  # noqa: E402
from support.demo import demo  # noqa: E402
from support.tour import address, tour, visitor  # noqa: E402

#: Pictures that the README shows, and how much of the page they hold, in pixels; 0: all of it.
PICTURES = {
    "overview": 900,
    "demo": 620,
    "incident-checkout": 0,
    "sla": 900,
    "cost": 900,
    "business": 900,
    "predictions": 900,
    "sla-zh": 900,
}
WIDTH = 1280


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(PICTURES), help="pictures to write")
    wanted = set(parser.parse_args().only)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder) / "demo") as found, chromium() as browser:
        said = found.said()
        with watched(browser, address(said), width=WIDTH) as seen:

            def look(name: str) -> None:
                if name in wanted & set(PICTURES):
                    shoot(seen.page, name)

            tour(visitor(seen.page, said, look))
            if seen.errors or seen.foreign:
                raise SystemExit(f"the pages complained: {seen.errors[:3]} {seen.foreign[:3]}")


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(1000)
    page.evaluate("window.scrollTo(0, 0)")
    height = PICTURES[name]
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height} if height else None
    page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png", full_page=True, clip=clip)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
