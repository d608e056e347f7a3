"""Out-of-sample figures of a fit: each series is scored by networks that were fitted without it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks._fit_made_up import FAMILY
from benchmarks._fit_networks import fit
from benchmarks._fit_series import Array, Labelled

#: (series, score [time], alarm [time]) of one family to its figures by name.
Measure = Callable[[Sequence[tuple[Labelled, Array, Array]]], Mapping[str, float]]
#: The harness's figures that are shown.
SHOWN = ("vus_pr", "auc_pr", "best_f1", "best_fc", "f1", "fa_day", "recall_ev")


def precision(scored: Sequence[tuple[Labelled, Array, Array]]) -> dict[str, float]:
    """Average precision, the mean over the series that have labelled points after their warm-up."""
    judged = [(one.label[one.warmup :], score[one.warmup :]) for one, score, _ in scored]
    found = [float(average_precision_score(label, score)) for label, score in judged if label.any()]
    return {"auc_pr": float(np.mean(found)) if found else np.nan}


def harness(path: Path) -> Measure:
    """The measures of a file that defines ``measure(about, times, label, score, alarm)`` and ``summarise(rows)``."""
    spec = importlib.util.spec_from_file_location("fit_harness", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--harness {path}: no such Python file")
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)

    def measure(scored: Sequence[tuple[Labelled, Array, Array]]) -> dict[str, float]:
        rows = [module.measure(one.about, one.times, one.label, score, alarm) for one, score, alarm in scored]
        summary = module.summarise(rows)
        return {name: float(summary[name]) for name in SHOWN}

    return measure


def folds(series: Sequence[Labelled], count: int, seed: int) -> Iterator[Array]:
    """Indexes of each of ``count`` parts, drawn within each family."""
    dice, families = np.random.default_rng(seed), np.array([one.family for one in series])
    part = np.zeros(len(series), np.int64)
    for family in dict.fromkeys(families.tolist()):
        mine = dice.permutation(np.flatnonzero(families == family))
        part[mine] = np.arange(len(mine)) % count
    yield from (np.flatnonzero(part == number) for number in range(count))


def families(series: Sequence[Labelled]) -> Iterator[Array]:
    """Indexes of each family of real series."""
    names = np.array([one.family for one in series])
    yield from (np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist()) if name != FAMILY)


def show(
    title: str, series: Sequence[Labelled], inputs: Sequence[Array], parts: Iterator[Array], measure: Measure
) -> None:
    """Fits without each part in turn and prints the figures of each family of real series, and their plain mean.

    An alarm is a beginning more likely than not; the detector itself holds alarms to a budget.
    """
    by_family: dict[str, list[tuple[Labelled, Array, Array]]] = {}
    for part in parts:
        left_out = set(part.tolist())
        kept = [index for index in range(len(series)) if index not in left_out]
        pair = fit([series[index] for index in kept], [inputs[index] for index in kept])
        for index in part.tolist():
            begins, score = pair.logits(series[index], inputs[index])
            by_family.setdefault(series[index].family, []).append((series[index], score, begins > 0))
    figures = {family: measure(scored) for family, scored in by_family.items() if family != FAMILY}
    names = list(next(iter(figures.values())))
    mean = {name: float(np.nanmean([found[name] for found in figures.values()])) for name in names}
    print(title)
    for family, found in {**figures, "all": mean}.items():
        print(f"  {family:<10}" + "".join(f"  {name} {found[name]:.3f}" for name in names), flush=True)
