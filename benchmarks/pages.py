"""How long pages take in a real browser, and the questions they ask of the engine's API.

    python benchmarks/pages.py [--loads 5] [--rounds 30]

A load is a whole page load in a new tab of a browser with a profile on disk that was here before: script and style come
from its cache, compiled. It ends when the page shows the age of its data, and its chart or list where it is made of
one; "by click" is the same from the navigation of an open page.

The API is asked what the pages ask, over one connection, in rounds far enough apart that no answer of the Overview is a
remembered one.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from playwright.sync_api import Page  # noqa: E402
from support.browser import Watched, resident  # noqa: E402
from support.up import PASSWORD, Up, running  # noqa: E402

from benchmarks._figures import Figure, median, quantile, show  # noqa: E402
from dashboard.pages import BUILTIN  # noqa: E402

PAGE_BAR, API_BAR = 1.0, 100.0  #: seconds, ms
#: Longer than the engine remembers an Overview.
APART = 2.1
#: Visits before Chromium keeps compiled scripts: it compiles for good at the second.
WARMING = 3
AGE = ".wk-as-of"
#: What a page shows when it is there, where that is more than the age of its data; pages without data have a title.
READY = {
    "settings": "h2",
    "explore": ".wk-page:has(.wk-as-of) .scatterlayer",
    "capacity": ".wk-page:has(.wk-as-of) .js-plotly-plot .xtick",
    "cost": ".wk-page:has(.wk-as-of) .js-plotly-plot .barlayer",
    "incidents": ".wk-page:has(.wk-as-of) .wk-list tbody",
    "collectors": ".wk-page:has(.wk-as-of) .wk-list tbody",
}
TITLES = json.loads((ROOT / "dashboard/locales/en.json").read_text(encoding="utf-8"))
#: A machine that costs, so that there is a cost to look at.
PRICES = {
    "currency": "CNY",
    "hosts": [{"name": "db-1", "price": 1200, "currency": "CNY", "since": "2026-01-01", "service": "database"}],
}
#: One alert that always fires, so that there is an incident to look at.
ALWAYS = {
    "groups": [
        {
            "name": "always",
            "interval": "5s",
            "rules": [{"alert": "Always", "expr": "vector(1)", "labels": {"severity": "P3", "service": "bench"}}],
        }
    ]
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=5, help="loads of each page")
    parser.add_argument("--rounds", type=int, default=30, help="times each question is asked")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "rules").mkdir()
        (folder / "rules" / "always.yaml").write_text(json.dumps(ALWAYS))
        with running(folder, cost=PRICES, capacity={"every": "10s"}) as up:
            up.sign_in()
            found = up.until("incident", lambda: up.ask("GET", "/api/wk/incidents?state=open")["incidents"])
            incident = str(found[0]["id"])
            up.until("pools", lambda: up.ask("GET", "/api/wk/capacity")["rows"], 180)
            up.until("cost", lambda: up.ask("GET", "/api/wk/cost")["days"])
            up.until("signals", lambda: up.ask("GET", "/api/wk/overview")["signals"][0]["value"] is not None)
            loads, clicks = pages(up, options.loads, incident)
            answers = api(up, options.rounds, incident)
    return show(f"pages: {options.loads} loads each, {options.rounds} API rounds", figures(loads, clicks, answers))


def figures(
    loads: dict[str, list[float]], clicks: dict[str, list[float]], answers: dict[str, list[float]]
) -> list[Figure]:
    rows = [Figure("page load, p95 of all", quantile(every(loads), 0.95), "s", PAGE_BAR)]
    rows += [Figure(f"  {key}", median(values), "s (p50)") for key, values in loads.items()]
    rows.append(Figure("page by click, p95 of all", quantile(every(clicks), 0.95), "s", PAGE_BAR))
    rows.append(Figure("API, p95 of all", quantile(every(answers), 0.95), "ms", API_BAR))
    rows += [Figure(f"  {path}", quantile(values, 0.95), "ms (p95)") for path, values in answers.items()]
    return rows


def every(values: dict[str, list[float]]) -> list[float]:
    return [value for row in values.values() for value in row]


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(up: Up, count: int, incident: str) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Page -> seconds of each load, and of each click on the navigation. The first tours only warm."""
    paths = {page.key: page.path for page in BUILTIN} | {"incident": f"/incidents/{incident}"}
    loads: dict[str, list[float]] = {key: [] for key in paths}
    clicks: dict[str, list[float]] = {page.key: [] for page in BUILTIN}
    with resident(up.folder / "profile", up.dashboard) as seen:
        seen.sign_in("lin", PASSWORD)
        seen.page.wait_for_selector(AGE)
        for turn in range(-WARMING, count):
            for key, path in paths.items():
                with tab_of(seen) as tab:
                    taken = load(tab, up.dashboard, key, path)
                if turn >= 0:
                    loads[key].append(taken)
            for key in clicks if turn >= 0 else ():
                with tab_of(seen) as tab:
                    clicks[key].append(click(tab, up.dashboard, key))
        if seen.errors:
            raise SystemExit(f"the pages complained: {seen.errors[:3]}")
    return loads, clicks


def load(tab: Page, base: str, key: str, path: str) -> float:
    """Seconds until the page in a fresh tab shows its data."""
    start = time.perf_counter()
    tab.goto(base + path)
    tab.wait_for_selector(READY.get(key, AGE))
    return time.perf_counter() - start


def click(tab: Page, base: str, key: str) -> float:
    """Seconds from a click on a calm page. The title is waited for too: the page before shows an age as well."""
    load(tab, base, *(("overview", "/") if key != "overview" else ("about", "/about")))
    title = json.dumps(TITLES[f"{key}.title"])
    there = f".wk-page:has(h2:text-is({title})) {READY.get(key, AGE).removeprefix('.wk-page:has(.wk-as-of) ')}"
    start = time.perf_counter()
    tab.click(f"#nav-{key}")
    tab.wait_for_selector(there)
    return time.perf_counter() - start


@contextmanager
def tab_of(seen: Watched) -> Iterator[Page]:
    """A tab of the same visitor: session and cache are shared, nothing of the page before is still under way."""
    page = seen.page.context.new_page()
    yield page
    page.close()


# --- API -------------------------------------------------------------------------------------------------------------


def questions(incident: str) -> list[str]:
    """What the pages ask, docs/api.md; the chart as Explore asks for an hour."""
    end = round(time.time()) * 1000
    chart = urlencode({"expr": "cpu_usage", "start_ms": end - 3_600_000, "end_ms": end, "step_ms": 10_000})
    return [
        "overview",
        f"chart?{chart}",
        "incidents?state=all&limit=500",
        f"incidents/{incident}",
        "actions?limit=200",
        "audit?limit=50",
        "capacity",
        "reports",
        "collectors",
        "rules",
        "users",
        "status",
        "session",
        "setup",
    ]


def api(up: Up, rounds: int, incident: str) -> dict[str, list[float]]:
    """Question -> milliseconds of each answer."""
    connection = http.client.HTTPConnection(up.engine.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Session {up.session}"}
    taken: dict[str, list[float]] = {}

    def ask(path: str) -> None:
        connection.request("GET", f"/api/wk/{path}", headers=headers)
        with connection.getresponse() as response:
            body = response.read()
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {body[:200]!r}")

    for _ in range(rounds):
        began = time.monotonic()
        for path in questions(incident):
            name = path.split("?")[0].replace(incident, "{id}")
            taken.setdefault(name, []).append(timed(partial(ask, path)) * 1000)
        time.sleep(max(0.0, APART - (time.monotonic() - began)))
    connection.close()
    return taken


if __name__ == "__main__":
    sys.exit(main())
