"""Fits the networks of the default detector on labelled and made-up series, and says what they are worth elsewhere.

    WATCHKEEPER_TEST_DATA=DATA python -m benchmarks.fit_ensemble --out detectors/ensemble_weights.json
    WATCHKEEPER_TEST_DATA=DATA python -m benchmarks.fit_ensemble --folds 2 --families-out [--harness FILE.py]

DATA/detection holds manifest.json and the Parquet files it names (benchmarks/_fit_series.py says which columns). A
point takes 176 bytes of memory. Nothing asked for, nothing is done.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import _fit_figures as figures
from benchmarks._fit_inputs import inputs_of
from benchmarks._fit_made_up import made_up
from benchmarks._fit_networks import fit, write
from benchmarks._fit_series import read
from benchmarks._fit_traffic import traffic

#: Seed of made-up series, of the choice of points and of the parts; networks start from it and the next.
SEED = 0


def asked_for(arguments: list[str] | None) -> argparse.Namespace | None:
    """The options, or None, with the help printed, where they ask for nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write weights fitted on all series")
    parser.add_argument("--folds", type=int, metavar="N", help="print figures of series that the fit did not see")
    parser.add_argument(
        "--families-out", action="store_true", help="print figures of families that the fit did not see"
    )
    parser.add_argument("--harness", type=Path, metavar="FILE", help="take more measures from this file of Python")
    asked = parser.parse_args(arguments)
    if asked.folds is not None and asked.folds < 2:
        parser.error("--folds: at least 2, else there is nothing to fit on")
    if asked.out is None and asked.folds is None and not asked.families_out:
        parser.print_help()
        return None
    return asked


def main(arguments: list[str] | None = None) -> int:
    asked = asked_for(arguments)
    if asked is None:
        return 0
    measure = figures.precision if asked.harness is None else figures.harness(asked.harness)
    data = Path(os.environ.get("WATCHKEEPER_TEST_DATA", ".")) / "detection"
    series = [*read(data), *made_up(seed=SEED), *traffic(seed=SEED)]
    inputs = inputs_of(series)
    print(f"{len(series)} series, {sum(len(one.values) for one in series):,} points", flush=True)
    if asked.out is not None:
        write(fit(series, inputs), asked.out)
        print(f"wrote {asked.out}", flush=True)
    if asked.folds is not None:
        parts = figures.folds(series, asked.folds, SEED)
        figures.show(f"{asked.folds} folds of series", series, inputs, parts, measure)
    if asked.families_out:
        figures.show("families left out", series, inputs, figures.families(series), measure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
