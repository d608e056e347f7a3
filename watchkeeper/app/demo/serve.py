"""Engine and dashboard of the demo: the real ones, with one page and one API more."""

from __future__ import annotations

import sys
from pathlib import Path

from watchkeeper.app.children import die_with_parent
from watchkeeper.app.demo.place import Place


def main(part: str, root: str) -> None:
    die_with_parent()
    place = Place(Path(root))
    if part == "engine":
        from watchkeeper.app.api.demo import router_of
        from watchkeeper.app.serve import serve_engine

        serve_engine(place.config, routers=[router_of(place)])
    else:
        from dashboard.pages import demo
        from watchkeeper.app.serve_dashboard import serve_dashboard

        serve_dashboard(place.config, pages=[demo.PAGE])


if __name__ == "__main__":
    main(*sys.argv[1:])
