"""Memory while series come and go: a million in all, 100,000 active, 5 % new an hour, in simulated time.

    python benchmarks/churn.py [--hours 181]

Every hour is scraped four times, blocks are cut and the index forgets as in a running engine: a quarter of what it
knows at a time, so that memory rises and falls in rounds of ten hours, the first after forty. The figure is the
largest resident size (mapped blocks, which are the system's cache, left out) of the last twenty hours over the
largest of hours 31 to 50, the first round: what grows with the series of the past would show. Takes forty minutes of
a core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.churn import churn  # noqa: E402

from benchmarks._figures import Figure, show  # noqa: E402

#: Room for the allocator's own ups and downs; 180 hours of names kept would be ten times this.
BAR = 1.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=181)
    hours = parser.parse_args().hours
    with tempfile.TemporaryDirectory() as folder:
        sizes = churn(Path(folder), hours)
    early, late = max(sizes[30:50]), max(sizes[-20:])
    figures = [
        Figure("growth of resident memory", late / early, "times", BAR),
        Figure("resident at hours 31 to 50", early / 2**20, "MiB"),
        Figure(f"resident at the end ({100_000 + 5_000 * (hours - 1):,} series)", late / 2**20, "MiB"),
    ]
    return show(f"churn: {hours} hours, 100,000 series active", figures)


if __name__ == "__main__":
    raise SystemExit(main())
